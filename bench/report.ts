import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import type { Measure, Sample } from './measures/measure.js'
import type { Options } from './options.js'
import { median } from './statistics.js'

export interface Section {
  readonly measure: Measure
  readonly samples: readonly Sample[]
  /** Why there are no samples. */
  readonly failure?: string
}

export interface Setting {
  readonly date: string
  readonly machine: string
  readonly node: string
  readonly wrk: string
  readonly nginx: string
  readonly soakp: string
  readonly rounds: number
  readonly seconds: number
}

export function settingOf(options: Options, now: Date): Setting {
  const version = (program: string): string => {
    const { stdout, stderr } = spawnSync(program, ['-v'], { encoding: 'utf8' })
    return /\d+\.\d+[.\d]*/.exec(`${stdout}${stderr}`)?.[0] ?? 'none'
  }
  const { version: own } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  return {
    date: now.toISOString(),
    machine: machine(),
    node: process.version,
    wrk: version('wrk'),
    nginx: version('nginx'),
    soakp: own,
    rounds: options.rounds,
    seconds: options.seconds,
  }
}

export function machine(): string {
  return `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()} ${release()}`
}

export function markdown(setting: Setting, sections: readonly Section[]): string {
  const head = `# Benchmark

${setting.date.slice(0, 16).replace('T', ' ')} UTC. ${setting.machine}. Node ${setting.node}, soakp ${setting.soakp}, nginx ${setting.nginx}, wrk ${setting.wrk}.
Medians of ${setting.rounds} rounds of ${setting.seconds} s. "× floor" is the median of the ratios to the bare Node floor within each round.
`
  return [head, ...sections.map(section)].join('\n')
}

function section({ measure, samples, failure }: Section): string {
  if (failure !== undefined) return `## ${measure.title}\n\nNot measured: ${failure}.\n`
  const metrics = unique(samples.map(sample => sample.metric))
  const main = metrics[0] ?? ''
  const lines = [
    line(['', 'contender', main, '× floor', ...metrics.slice(1)]),
    line(['---', '---', '---:', '---:', ...metrics.slice(1).map(() => '---:')]),
  ]
  for (const row of unique(samples.map(sample => sample.row))) {
    for (const contender of unique(samples.map(sample => sample.contender))) {
      const of = (metric: string): Sample[] =>
        samples.filter(each => each.row === row && each.contender === contender && each.metric === metric)
      const values = metrics.map(metric => figure(median(of(metric).map(sample => sample.value))))
      lines.push(line([row, contender, values[0] ?? '', figure(ratioToFloor(samples, of(main))), ...values.slice(1)]))
    }
  }
  return `## ${measure.title}\n\n${measure.about}\n\n${lines.join('\n')}\n`
}

/** The median of the ratios of each round, which what else the machine did in a round bends less than the ratio of the medians. NaN without a floor. */
function ratioToFloor(all: readonly Sample[], own: readonly Sample[]): number {
  const ratios = own.flatMap(sample => {
    const floor = all.find(
      each => each.contender === 'floor' && each.row === sample.row && each.metric === sample.metric && each.round === sample.round,
    )
    return floor === undefined ? [] : [sample.value / floor.value]
  })
  return median(ratios)
}

function figure(value: number): string {
  if (Number.isNaN(value)) return ''
  if (Math.abs(value) >= 1000) return value.toFixed(0)
  return value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2)
}

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
const unique = <T>(values: readonly T[]): T[] => [...new Set(values)]

export function write(folder: string, setting: Setting, sections: readonly Section[]): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'latest.md'), markdown(setting, sections))
  const data = { ...setting, sections: sections.map(({ measure, ...rest }) => ({ title: measure.title, ...rest })) }
  writeFileSync(join(folder, 'latest.json'), `${JSON.stringify(data, undefined, 1)}\n`)
}
