import { errors } from '../../errors.js'
import type { Histogram, ProviderTally, Tally } from '../../ledger/tally.js'
import type { Family, Sample } from './text.js'

/** A counter that each provider has, and its numbers by labels of its own. */
interface Row {
  readonly name: string
  readonly help: string
  values(tally: ProviderTally): readonly Sample[]
}

const one = (value: number): Sample[] => [{ value }]

const rows: readonly Row[] = [
  {
    name: 'soakp_calls_total',
    help: 'Calls that are over, by provider and how they ended: ok, refused (by soakp), failed (at the provider), client_gone, cut (by soakp, midway).',
    values: ({ calls }) => Object.entries(calls).map(([outcome, value]) => ({ labels: { outcome }, value })),
  },
  {
    name: 'soakp_replies_total',
    help: 'The same calls by the status that the client was answered.',
    values: ({ replies }) => [1, 2, 3, 4, 5].map(hundreds => ({ labels: { status: `${hundreds}xx` }, value: replies[hundreds] ?? 0 })),
  },
  {
    name: 'soakp_model_tokens_total',
    help: 'Model tokens that calls consumed, as the provider counts them or estimated.',
    values: ({ inputTokens, outputTokens }) => [
      { labels: { direction: 'input' }, value: inputTokens },
      { labels: { direction: 'output' }, value: outputTokens },
    ],
  },
  {
    name: 'soakp_cost_dollars_total',
    help: 'What calls cost by the price list, in US dollars.',
    values: ({ microDollars }) => one(microDollars / 1e6),
  },
  {
    name: 'soakp_unpriced_calls_total',
    help: 'Calls, or attempts at one, that consumed something and have no price.',
    values: ({ unpriced }) => one(unpriced),
  },
  {
    name: 'soakp_estimated_calls_total',
    help: 'Calls, or attempts at one, whose model tokens are an estimate.',
    values: ({ estimated }) => one(estimated),
  },
]

/** What became of calls. */
export function trafficFamilies(tally: Tally): Family[] {
  const providers = [...tally.providers]
  const counters = rows.map(({ name, help, values }): Family => {
    const samples = providers.flatMap(([provider, of]) => values(of).map(sample => ({ ...sample, labels: { provider, ...sample.labels } })))
    return { name, type: 'counter', help, samples }
  })
  return [
    ...counters,
    histogram('soakp_call_duration_seconds', 'From the head of a call to its end.', providers, ({ durations }) => durations),
    histogram('soakp_first_byte_seconds', 'From the head of a call to the first byte of its reply.', providers, of => of.firstBytes),
    {
      name: 'soakp_refusals_total',
      type: 'counter',
      help: 'Requests that were answered with an error of soakp, or whose reply was broken off with one, by its code.',
      samples: overHttp.map(code => ({ labels: { code }, value: tally.refusals[code] })),
    },
    {
      name: 'soakp_refused_connections_total',
      type: 'counter',
      help: 'Connections that were closed before they were a request: no TLS, no HTTP, or too slow.',
      samples: one(tally.refusedConnections),
    },
  ]
}

/** Codes with the status 500 are the command line's, but for this one. All of them are there from the start: what appears with its first count has no increase. */
const overHttp = (Object.keys(errors) as (keyof typeof errors)[]).filter(code => errors[code].status !== 500 || code === 'internal')

function histogram(
  name: string,
  help: string,
  providers: readonly (readonly [string, ProviderTally])[],
  pick: (of: ProviderTally) => Histogram,
): Family {
  return { name, type: 'histogram', help, samples: providers.flatMap(([provider, of]) => bucketsOf(provider, pick(of))) }
}

function bucketsOf(provider: string, { boundsMs, buckets, sumMs }: Histogram): Sample[] {
  let below = 0
  const samples = [...buckets].map((number, at): Sample => {
    below += number
    const bound = boundsMs[at]
    return { suffix: '_bucket', labels: { provider, le: bound === undefined ? '+Inf' : String(bound / 1000) }, value: below }
  })
  return [
    ...samples,
    { suffix: '_sum', labels: { provider }, value: sumMs / 1000 },
    { suffix: '_count', labels: { provider }, value: below },
  ]
}
