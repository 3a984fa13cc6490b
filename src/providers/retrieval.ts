import { openaiDialect, openaiError } from './dialect-openai.js'
import { endpoint, json, under } from './endpoints.js'
import { commonInference } from './endpoints-openai.js'
import { openaiCompatible } from './openai-row.js'
import type { Dialect, KeyCheck } from './provider.js'
import { beginsWith } from './stated-error.js'

/** Both word errors as FastAPI does, and count as OpenAI does. */
const detailDialect: Dialect = {
  ...openaiDialect,
  errorBody: error => ({ detail: error.message, ...openaiError(error) }),
}

const embedding = { models: json('/model'), estimate: 'input' } as const

/** Nothing can be read for free: an empty call is refused for what it lacks, after the key was looked at. */
const emptyCall: KeyCheck = {
  method: 'POST',
  path: '/v1/embeddings',
  body: '{}',
  works: [400, 422],
  restricted: [402, 429],
  refused: [401, 403],
}

/** Source: docs.voyageai.com/reference. */
export const voyage = openaiCompatible({
  id: 'voyage',
  title: 'Voyage AI',
  origin: 'https://api.voyageai.com',
  baseUrl: {
    example: 'https://ai.mongodb.com',
    required: false,
    note: 'MongoDB Atlas issues keys of its own (al-…) for that address.',
  },
  dialect: detailDialect,
  keyHints: [
    { pattern: /^pa-[A-Za-z0-9_-]{20,}$/ },
    { pattern: /^al-[A-Za-z0-9_-]{20,}$/, warn: 'a key of MongoDB Atlas, which works at https://ai.mongodb.com alone' },
  ],
  keyCheck: emptyCall,
  endpoints: under('/v1', [
    endpoint('inference', 'POST /embeddings', embedding),
    endpoint('inference', 'POST /multimodalembeddings', embedding),
    endpoint('inference', 'POST /contextualizedembeddings', embedding),
    endpoint('inference', 'POST /rerank', { ...embedding, bills: 'documents' }),
    endpoint('account', '* /files/**'),
    endpoint('account', '* /batches/**', { models: json('/request_params/model') }),
  ]),
  compatiblePath: '/v1',
  keyRefused: (status, body) => status === 401 || (status === 403 && beginsWith(body, /api key|forbidden/i)),
  unverified: ['the form of its keys', 'the call that checks a key'],
})

const chat = commonInference.filter(row => row.pattern === '/chat/completions')

/** Sources: jina.ai, docs of its readers. */
export const jina = openaiCompatible({
  id: 'jina',
  title: 'Jina AI',
  origin: 'https://api.jina.ai',
  hosts: [
    { prefix: '/deepsearch', origin: 'https://deepsearch.jina.ai', strips: true },
    { prefix: '/reader', origin: 'https://r.jina.ai', strips: true },
    { prefix: '/search', origin: 'https://s.jina.ai', strips: true },
  ],
  dialect: detailDialect,
  keyHints: [{ pattern: /^jina_[A-Za-z0-9_-]{40,}$/ }],
  keyCheck: emptyCall,
  endpoints: [
    ...under('/v1', [
      endpoint('inference', 'POST /embeddings', embedding),
      endpoint('inference', 'POST /rerank', { ...embedding, bills: 'documents' }),
      endpoint('inference', 'POST /segment'),
      endpoint('inference', 'GET /models'),
      // by a trained classifier of the account, where it names one
      endpoint('inference', 'POST /classify', { models: json('/model', '/classifier_id'), estimate: 'input' }),
      endpoint('account', '* /train/**', { models: json('/model') }),
      endpoint('account', '* /classifiers/**'),
      endpoint('account', '* /batch/**', { models: json('/model') }),
      endpoint('account', '* /bulk/**'),
    ]),
    ...under('/deepsearch/v1', chat),
    // these fetch any address they are given, with cookies and headers of the caller's choice
    endpoint('account', '* /reader/**'),
    endpoint('account', '* /search/**'),
  ],
  compatiblePath: '/v1',
  keyRefused: (status, body) => status === 401 || (status === 403 && beginsWith(body, /api key|invalid|unauthorized/i)),
  unverified: ['the form of its keys', 'the call that checks a key', 'how it refuses one', 'where batches and classifiers lie'],
})
