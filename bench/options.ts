import { parseArgs } from 'node:util'

const contenderNames = ['nginx', 'floor', 'soakp', 'soakp-limited', 'portkey'] as const
export type ContenderName = (typeof contenderNames)[number]

const measureNames = ['calls', 'http2', 'chunks', 'first-byte', 'idle', 'sockets'] as const
export type MeasureName = (typeof measureNames)[number]

export interface Options {
  readonly rounds: number
  /** Length of one measurement under load. */
  readonly seconds: number
  readonly connections: readonly number[]
  readonly contenders: readonly ContenderName[]
  readonly measures: readonly MeasureName[]
  /** How many idle streams are held open to weigh one. */
  readonly idleStreams: number
  readonly profile: boolean
  /** Folder for latest.md and latest.json; undefined writes nothing. */
  readonly out: string | undefined
}

export const help = `npm run bench -- [options]

  --rounds N         how often each measurement is repeated, contenders in turn (5)
  --seconds N        length of one measurement under load (4)
  --connections LIST connections of the load generator (1,50,200)
  --only LIST        contenders: ${contenderNames.join(',')}
  --measures LIST    ${measureNames.join(',')}
  --idle-streams N   streams held open to weigh one (1000)
  --out DIR          where latest.md and latest.json go (bench/results); 'none' writes nothing
  --profile          no table: where the CPU time of floor and soakp goes, by function
`

/** Undefined when only help was asked for. Throws with a sentence about what is wrong. */
export function readOptions(argv: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '4' },
      connections: { type: 'string', default: '1,50,200' },
      only: { type: 'string', default: contenderNames.join(',') },
      measures: { type: 'string', default: measureNames.join(',') },
      'idle-streams': { type: 'string', default: '1000' },
      out: { type: 'string', default: 'bench/results' },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  return {
    rounds: positive('--rounds', values.rounds),
    seconds: positive('--seconds', values.seconds),
    connections: values.connections.split(',').map(text => positive('--connections', text)),
    contenders: chosen('--only', values.only, contenderNames),
    measures: chosen('--measures', values.measures, measureNames),
    idleStreams: positive('--idle-streams', values['idle-streams']),
    profile: values.profile,
    out: values.out === 'none' ? undefined : values.out,
  }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} takes whole numbers above 0, not "${text}"`)
  return value
}

function chosen<T extends string>(name: string, text: string, known: readonly T[]): T[] {
  const asked = text.split(',')
  const unknown = asked.find(item => !known.some(row => row === item))
  if (unknown !== undefined) throw new Error(`${name} knows ${known.join(', ')}, not "${unknown}"`)
  return known.filter(item => asked.includes(item))
}
