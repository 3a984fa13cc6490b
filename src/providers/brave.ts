import { openaiDialect } from './dialect-openai.js'
import { endpoint, json, under } from './endpoints.js'
import { openaiCompatible } from './openai-row.js'
import type { Dialect } from './provider.js'
import { statedError } from './stated-error.js'

/** Nothing is counted in model tokens; a call is what is billed. */
const braveDialect: Dialect = {
  ...openaiDialect,
  errorBody: ({ status, code, message, requestId }) => ({
    type: 'ErrorResponse',
    error: { id: requestId, status, code: code.toUpperCase(), detail: message },
  }),
}

const badKey = /^The provided subscription token is invalid/i

/** By what it states: other errors of this status repeat parameters. */
function saysBadKey(body: string): boolean {
  const { message, codes } = statedError(body)
  return codes.includes('SUBSCRIPTION_TOKEN_INVALID') || badKey.test(message)
}

/** Source: api-dashboard.search.brave.com/documentation. */
export const brave = openaiCompatible({
  id: 'brave',
  title: 'Brave Search',
  origin: 'https://api.search.brave.com',
  auth: { type: 'header', name: 'x-subscription-token' },
  dialect: braveDialect,
  keyHints: [{ pattern: /^BSA[A-Za-z0-9_-]{20,}$/ }],
  // a search for nothing: refused for the key, or else for the query; nothing is billed
  keyCheck: { method: 'GET', path: '/res/v1/web/search', works: [200, 422], restricted: [402, 403, 429], refused: [401, 422] },
  endpoints: under('/res/v1', [
    ...['web', 'images', 'videos', 'news'].flatMap(kind => [
      endpoint('inference', `GET /${kind}/search`),
      endpoint('inference', `POST /${kind}/search`),
    ]),
    endpoint('inference', 'GET /suggest/search'),
    endpoint('inference', 'GET /spellcheck/search'),
    endpoint('inference', 'GET /local/*'),
    endpoint('inference', 'GET /llm/context'),
    endpoint('inference', 'POST /llm/context'),
    // by the key that a search returned to whoever asked for it
    endpoint('inference', 'GET /summarizer/**'),
    endpoint('inference', 'POST /chat/completions', { models: json('/model'), estimate: true, dialect: openaiDialect }),
  ]),
  compatiblePath: '/res/v1',
  keyRefused: (status, body) => status === 401 || (status === 422 && saysBadKey(body)),
  unverified: ['the form of its keys', 'the text of its refusals', 'usage of its answers, which is estimated'],
})
