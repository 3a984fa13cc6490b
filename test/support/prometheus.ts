/** One line of an exposition, taken apart. */
export interface ScrapedSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface ScrapedFamily {
  readonly type: string
  readonly help: string
  readonly samples: readonly ScrapedSample[]
}

export interface Scraped {
  readonly families: ReadonlyMap<string, ScrapedFamily>
  /** The one sample of this name with exactly these labels; undefined: there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined
}

const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
}

/**
 * Reads Prometheus' text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/) and is stricter than Prometheus: a family has one HELP and one TYPE, in that
 * order and before its samples, which stand together; no series twice; histograms whose buckets grow to their count; counters that are no less than zero and end in `_total`.
 */
export function parseExposition(text: string): Scraped {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const families = new Map<string, { type: string; help: string; samples: ScrapedSample[] }>()
  const series = new Map<string, number>()
  let current: { name: string; type: string; help: string; samples: ScrapedSample[] } | undefined
  for (const line of text.slice(0, -1).split('\n')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line) ?? []
    if (kind === 'HELP') {
      if (families.has(name)) throw new Error(`${name} comes twice`)
      if (!/^(?:[^\\]|\\[\\n])*$/.test(rest)) throw new Error(`an escape that is none: ${line}`)
      current = { name, type: '', help: rest, samples: [] }
      families.set(name, current)
    } else if (kind === 'TYPE') {
      if (current?.name !== name || current.type !== '' || current.samples.length > 0) throw new Error(`out of place: ${line}`)
      if (!Object.hasOwn(suffixes, rest)) throw new Error(`no type: ${line}`)
      current.type = rest
    } else {
      const sample = parseSample(line)
      if (current === undefined || current.type === '') throw new Error(`a sample without a family: ${line}`)
      const suffix = sample.name.startsWith(current.name) ? sample.name.slice(current.name.length) : undefined
      if (suffix === undefined || !suffixes[current.type]?.includes(suffix)) throw new Error(`not of ${current.name}: ${line}`)
      const id = idOf(sample.name, sample.labels)
      if (series.has(id)) throw new Error(`twice: ${id}`)
      series.set(id, sample.value)
      current.samples.push(sample)
    }
  }
  for (const [name, family] of families) check(name, family)
  return { families, value: (name, labels = {}) => series.get(idOf(name, labels)) }
}

function idOf(name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))])
}

const number = /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/

function parseSample(line: string): ScrapedSample {
  const [, name = '', inside, text = ''] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
  if (name === '' || !number.test(text)) throw new Error(`no sample: ${line}`)
  const labels: Record<string, string> = {}
  let left = inside ?? ''
  while (left !== '') {
    const [all = '', label = '', value = ''] = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,(?=.)|$)/.exec(left) ?? []
    if (all === '' || Object.hasOwn(labels, label)) throw new Error(`no labels: ${line}`)
    labels[label] = value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
    left = left.slice(all.length)
  }
  return { name, labels, value: text.endsWith('Inf') ? Number(text.replace('Inf', 'Infinity')) : Number(text) }
}

function check(name: string, { type, samples }: ScrapedFamily): void {
  if (type === '' || samples.length === 0) throw new Error(`${name} is empty`)
  if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`${name} is a ${type}`)
  if (type !== 'gauge' && samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} is below zero`)
  if (type !== 'histogram') return
  const groups = new Map<string, ScrapedSample[]>()
  for (const sample of samples) {
    const { le, ...labels } = sample.labels
    const id = idOf('', labels)
    groups.set(id, [...(groups.get(id) ?? []), sample])
  }
  for (const group of groups.values()) {
    const buckets = group.filter(sample => sample.name === `${name}_bucket`)
    const bounds = buckets.map(({ labels }) => (labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le)))
    const grows = (values: readonly number[], by: (a: number, b: number) => boolean) =>
      values.every((value, at) => at === 0 || by(values[at - 1] as number, value))
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY || !grows(bounds, (a, b) => a < b)) throw new Error(`${name}: bounds`)
    if (
      !grows(
        buckets.map(({ value }) => value),
        (a, b) => a <= b,
      )
    )
      throw new Error(`${name}: buckets`)
    const count = group.find(sample => sample.name === `${name}_count`)?.value
    if (count !== buckets.at(-1)?.value || !group.some(sample => sample.name === `${name}_sum`)) throw new Error(`${name}: count`)
  }
}
