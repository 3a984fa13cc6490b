import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Contender } from './contenders/contender.js'
import type { Options } from './options.js'
import type { Place } from './place.js'
import { cpuUs, stop } from './processes.js'
import { wrk } from './wrk.js'

const connections = 50
const shownFunctions = 45
const shownGroups = 20

/** The parts of a `.cpuprofile` that are read here (Chrome DevTools protocol, `Profiler.Profile`); times are microseconds. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly startTime: number
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Loads one contender under V8's sampling profiler and tells, per call, where the time went. */
export async function profile(contender: Contender, place: Place, options: Options): Promise<string> {
  const folder = mkdtempSync(join(place.folder, 'profile-'))
  const running = await contender.start(place, { nodeFlags: ['--cpu-prof', '--cpu-prof-interval', '200', '--cpu-prof-dir', folder] })
  const seconds = Math.max(options.seconds, 5)
  await wrk(running, place.folder, connections, 3)
  const load = wrk(running, place.folder, connections, seconds)
  // not the handshakes at the beginning, nor the closing at the end
  await delay(700)
  const from = look(running.pid)
  await delay(seconds * 1000 - 1000)
  const until = look(running.pid)
  const calls = ((await load).callsPerSecond * (until.us - from.us)) / 1_000_000
  await stop(running.child, 30_000)
  // worker threads write profiles of their own; the main thread's is the one with most samples
  const read = (name: string): CpuProfile => JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile
  const profiles = readdirSync(folder).map(read)
  const main = profiles.toSorted((a, b) => b.samples.length - a.samples.length)[0]
  if (main === undefined) throw new Error(`${contender.name} left no profile`)
  const functions = selfTimes(main, from.us, until.us)
  return [
    `# ${contender.name}: ${((until.cpu - from.cpu) / calls).toFixed(1)} µs of CPU per call, all threads, with the profiler on (${Math.round(calls)} calls)`,
    '',
    table('by file or package', grouped(functions), calls, shownGroups),
    table('by function', functions, calls, shownFunctions),
  ].join('\n')
}

/** CPU time used and the time of day, both in microseconds; the second on the monotonic clock, which is also V8's. */
function look(pid: number): { readonly cpu: number; readonly us: number } {
  return { cpu: cpuUs(pid), us: Number(process.hrtime.bigint() / 1000n) }
}

interface SelfTime {
  readonly name: string
  readonly group: string
  readonly us: number
}

/** Samples between the two instants only. */
function selfTimes(profile: CpuProfile, fromUs: number, untilUs: number): SelfTime[] {
  const usOf = new Map<number, number>()
  let at = profile.startTime
  for (const [i, id] of profile.samples.entries()) {
    const delta = profile.timeDeltas[i] ?? 0
    at += delta
    if (at >= fromUs && at <= untilUs) usOf.set(id, (usOf.get(id) ?? 0) + delta)
  }
  const found = new Map<string, SelfTime>()
  for (const { id, callFrame } of profile.nodes) {
    const us = usOf.get(id)
    if (us === undefined || callFrame.functionName === '(idle)') continue
    const group = groupOf(callFrame.url, callFrame.functionName)
    const name = `${callFrame.functionName || '(anonymous)'} ${callFrame.url === '' ? '' : `${group}:${callFrame.lineNumber + 1}`}`.trim()
    found.set(name, { name, group, us: us + (found.get(name)?.us ?? 0) })
  }
  return [...found.values()].toSorted((a, b) => b.us - a.us)
}

/** A file of ours, a module of Node, or a file of a package; native functions by their own name. */
function groupOf(url: string, functionName: string): string {
  if (url === '') return functionName.startsWith('(') ? functionName : 'native'
  return /node_modules\/(.+)$/.exec(url)?.[1] ?? /dist\/(.+)$/.exec(url)?.[1] ?? url
}

function grouped(functions: readonly SelfTime[]): SelfTime[] {
  const groups = new Map<string, number>()
  for (const { group, us } of functions) groups.set(group, (groups.get(group) ?? 0) + us)
  return [...groups].map(([name, us]) => ({ name, group: name, us })).toSorted((a, b) => b.us - a.us)
}

function table(title: string, rows: readonly SelfTime[], calls: number, shown: number): string {
  const total = rows.reduce((sum, row) => sum + row.us, 0)
  const lines = rows.slice(0, shown).map(row => {
    const share = ((100 * row.us) / total).toFixed(1)
    return `${(row.us / calls).toFixed(2).padStart(8)} µs/call ${share.padStart(5)} %  ${row.name}`
  })
  return `${title} (${(total / calls).toFixed(1)} µs/call on the main thread)\n${lines.join('\n')}\n`
}
