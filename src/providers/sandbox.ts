import { openaiDialect } from './dialect-openai.js'
import { endpoint, inPath, json } from './endpoints.js'
import type { Provider } from './provider.js'
import { serveSandbox } from './sandbox/serve.js'

/**
 * A provider inside the process that speaks OpenAI's dialect, costs nothing and knows nothing: for the first hour, demonstrations and tests. Any key
 * works, but for one that begins with `bad`.
 */
export const sandbox: Provider = {
  id: 'sandbox',
  title: 'Sandbox (built in)',
  origin: 'http://sandbox.invalid',
  auth: { type: 'bearer' },
  dialect: openaiDialect,
  keyHints: [{ pattern: /^bad/, warn: 'a key that the sandbox refuses' }, { pattern: /./ }],
  keyCheck: { method: 'GET', path: '/v1/models', works: [200], restricted: [403], refused: [401] },
  endpoints: [
    endpoint('inference', 'POST /v1/chat/completions', { models: json('/model'), includeUsage: true, estimate: true }),
    endpoint('inference', 'POST /v1/responses', { models: json('/model'), estimate: true }),
    endpoint('inference', 'POST /v1/embeddings', { models: json('/model'), estimate: 'input' }),
    endpoint('inference', 'GET /v1/models'),
    endpoint('inference', 'GET /v1/models/{model}', { models: inPath }),
    endpoint('account', '* /v1/files/**'),
    endpoint('credential', '* /v1/realtime/client_secrets/**'),
    endpoint('administration', '* /v1/organization/**'),
  ],
  compatiblePath: '/v1',
  defaultHeaders: {},
  allowRequestHeaders: [],
  dropRequestHeaders: [],
  dropResponseHeaders: [],
  keyRefused: status => status === 401,
  serve: serveSandbox,
}
