import { endpoint, inPath } from './endpoints.js'
import type { Dialect, Endpoint } from './provider.js'
import * as own from './resources/others.js'
import { providerRow } from './row.js'

/** What a model counts, if anything, is its own: nothing is read but what the head states. */
const falDialect: Dialect = {
  name: 'fal',
  errorBody: ({ message, code }) => ({ detail: message, error_type: code }),
  usageMembers: [],
  readUsage: (_, soFar) => soFar,
  usageHeaders: { 'x-fal-billable-units': 'credits' },
  maxOutputPointers: [],
  choicesPointers: [],
  textMembers: [],
  modelMember: 'model',
}

/** Source: fal.ai/docs (queue and synchronous API). The model is the path: `fal-ai/flux/dev`. */
const endpoints: readonly Endpoint[] = [
  endpoint('inference', 'POST /queue/{model+}', { models: inPath, owns: own.requestsMade }),
  endpoint('inference', 'POST /{model+}', { models: inPath }),
  // what was asked for is found by an id alone, whoever asked; `**` so that no depth of a model's name hides it
  ...['*/*', '*/*/*', '*/*/*/*'].flatMap(app =>
    ['/queue/', '/'].map(root => endpoint('account', `* ${root}${app}/requests/**`, { owns: own.requests })),
  ),
  endpoint('credential', '* /tokens/**'),
  endpoint('credential', '* /queue/tokens/**'),
  endpoint('administration', '* /queue/*/*/queue/**'),
]

export const fal = providerRow({
  id: 'fal',
  title: 'fal',
  origin: 'https://fal.run',
  hosts: [{ prefix: '/queue', origin: 'https://queue.fal.run', strips: true }],
  auth: { type: 'header', name: 'authorization', word: 'Key' },
  dialect: falDialect,
  keyHints: [{ pattern: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{32}$/ }],
  endpoints,
  calledNext: { headers: [], members: ['status_url', 'response_url', 'cancel_url'] },
  keyRefused: (status, body) => status === 401 && !/locked|balance/i.test(body),
  unverified: ['the form of its keys', 'the header `x-fal-billable-units`'],
})
