import { endpoint, inPath } from './endpoints.js'
import type { Dialect, Endpoint } from './provider.js'
import { providerRow } from './row.js'
import { beginsWith } from './stated-error.js'

/** Replies hold pictures and no counts: what succeeds is as many pictures as were asked for, whatever they cost. */
const stabilityDialect: Dialect = {
  name: 'stability',
  errorBody: ({ message, code, requestId }) => ({ id: requestId, name: code, errors: [message] }),
  usageMembers: [],
  readUsage: (_, soFar) => soFar,
  maxOutputPointers: [],
  choicesPointers: ['/samples'],
  textMembers: [],
  modelMember: 'model',
}

const image = { perCall: 'images', bills: 'pictures' } as const

/** Source: platform.stability.ai/docs/api-reference. */
const endpoints: readonly Endpoint[] = [
  endpoint('inference', 'POST /v2beta/stable-image/generate/{model}', {
    ...image,
    models: [...inPath, { in: 'multipart', field: 'model' }],
  }),
  endpoint('inference', 'POST /v2beta/stable-image/edit/*', image),
  endpoint('inference', 'POST /v2beta/stable-image/upscale/*', image),
  endpoint('inference', 'POST /v2beta/stable-image/control/*', image),
  endpoint('inference', 'POST /v2beta/3d/*', image),
  endpoint('inference', 'POST /v2beta/audio/*/*'),
  endpoint('inference', 'POST /v2beta/image-to-video'),
  endpoint('inference', 'POST /v1/generation/{model}/*', { ...image, models: inPath }),
  endpoint('inference', 'POST /v1/generation/{model}/*/*', { ...image, models: inPath }),
  endpoint('inference', 'GET /v1/engines/list'),
  // results are found by an id alone, whoever asked for them
  endpoint('account', 'GET /v2beta/results/**'),
  endpoint('account', 'GET /v2beta/image-to-video/result/**'),
  endpoint('account', 'GET /v2beta/*/*/result/**'),
  endpoint('account', 'GET /v2beta/*/*/*/result/**'),
  endpoint('administration', '* /v1/user/**'),
]

export const stability = providerRow({
  id: 'stability',
  title: 'Stability AI',
  origin: 'https://api.stability.ai',
  dialect: stabilityDialect,
  keyHints: [{ pattern: /^sk-[A-Za-z0-9]{48}$/ }],
  keyCheck: { method: 'GET', path: '/v1/user/balance', works: [200], restricted: [402, 429], refused: [401, 403] },
  endpoints,
  keyRefused: (status, body) => status === 401 || (status === 403 && beginsWith(body, /api key|unauthorized/i)),
  unverified: ['the form of its keys', 'where the results of its slower calls are read'],
})
