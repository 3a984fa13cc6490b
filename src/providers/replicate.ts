import { endpoint, inPath, json } from './endpoints.js'
import type { Dialect, Endpoint, Usage } from './provider.js'
import * as own from './resources/others.js'
import { providerRow } from './row.js'
import { count, noUsage, object, unitsOf } from './usage.js'

/** A finished prediction tells tokens where its model has such, and always the time it took. */
function readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const metrics = object(object(value)?.metrics)
  if (!metrics) return soFar
  const input = count(metrics.input_token_count)
  const output = count(metrics.output_token_count)
  if (input !== undefined || output !== undefined) return { ...noUsage, inputTokens: input ?? 0, outputTokens: output ?? 0 }
  const seconds = unitsOf('computeSeconds', metrics.predict_time)
  return seconds ? { ...noUsage, ...seconds } : soFar
}

const replicateDialect: Dialect = {
  name: 'replicate',
  errorBody: ({ status, message, code }) => ({ type: code, title: message, detail: message, status }),
  usageMembers: ['metrics'],
  readUsage,
  maxOutputPointers: [],
  choicesPointers: [],
  textMembers: [],
  modelMember: 'model',
}

/** Source: the replicate package 1.4, replicate.com/docs/reference/http. Models are named `owner/name`. */
const endpoints: readonly Endpoint[] = [
  endpoint('inference', 'POST /v1/predictions', { models: json('/version', '/model'), owns: own.predictionsMade }),
  endpoint('inference', 'POST /v1/models/{model+}/predictions', { models: inPath, owns: own.predictionsMade }),
  endpoint('inference', 'POST /v1/deployments/{model+}/predictions', { models: inPath, owns: own.predictionsMade }),
  endpoint('inference', 'GET /v1/models'),
  endpoint('inference', 'QUERY /v1/models', { free: true }),
  endpoint('inference', 'GET /v1/models/*/*'),
  endpoint('inference', 'GET /v1/models/*/*/versions'),
  endpoint('inference', 'GET /v1/models/*/*/versions/*'),
  endpoint('inference', 'GET /v1/models/*/*/readme'),
  endpoint('inference', 'GET /v1/models/*/*/examples'),
  endpoint('inference', 'GET /v1/collections'),
  endpoint('inference', 'GET /v1/collections/*'),
  endpoint('inference', 'GET /v1/hardware'),
  // anybody's predictions, by their ids
  endpoint('account', 'GET /v1/predictions/**', { owns: own.predictions }),
  endpoint('account', 'POST /v1/predictions/*/cancel', { owns: own.predictions }),
  endpoint('account', '* /v1/files/**', { owns: own.replicateFiles }),
  endpoint('account', '* /v1/trainings/**', { owns: own.trainings }),
  endpoint('account', 'POST /v1/models/*/*/versions/*/trainings', { owns: own.trainingsMade }),
  endpoint('credential', '* /v1/webhooks/**'),
  endpoint('administration', '* /v1/account/**'),
  endpoint('administration', 'GET /v1/deployments/**'),
  endpoint('administration', 'POST /v1/deployments'),
  endpoint('administration', 'PATCH /v1/deployments/*/*'),
  endpoint('administration', 'DELETE /v1/deployments/*/*'),
  endpoint('administration', 'POST /v1/models'),
  endpoint('administration', 'PATCH /v1/models/*/*'),
  endpoint('administration', 'DELETE /v1/models/**'),
]

export const replicate = providerRow({
  id: 'replicate',
  title: 'Replicate',
  origin: 'https://api.replicate.com',
  dialect: replicateDialect,
  keyHints: [{ pattern: /^r8_[0-9A-Za-z_-]{37}$/ }],
  keyCheck: { method: 'GET', path: '/v1/account', works: [200], restricted: [402, 403, 429], refused: [401] },
  endpoints,
  // not `stream`, which clients read at another host without any credential, nor `web`, which is a page
  calledNext: { headers: [], members: ['get', 'cancel', 'next', 'previous'] },
  unverified: ['the counts in `metrics`'],
})
