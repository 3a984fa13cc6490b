import { openaiDialect } from './dialect-openai.js'
import { endpoint, under } from './endpoints.js'
import type { Dialect, Provider, Usage } from './provider.js'
import { documents } from './resources/others.js'
import { count, noUsage, object, unitsOf } from './usage.js'

/** Characters, where the call asked for them with `show_billed_characters`; else they are counted in the request. */
function readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const reply = object(value)
  if (!Array.isArray(reply?.translations)) return soFar
  let characters: number | undefined
  for (const translation of reply.translations) {
    const billed = count(object(translation)?.billed_characters)
    if (billed !== undefined) characters = (characters ?? 0) + billed
  }
  return characters === undefined ? soFar : { ...noUsage, ...unitsOf('characters', characters) }
}

const deeplDialect: Dialect = {
  ...openaiDialect,
  name: 'deepl',
  errorBody: ({ message, code }) => ({ message, detail: code }),
  usageMembers: ['billed_characters'],
  readUsage,
  maxOutputPointers: [],
  choicesPointers: [],
  textMembers: [],
}

const texts = { countsText: ['/text', '/text/*'] } as const

/** Source: the openapi of DeepL (DeepLcom/openapi), developers.deepl.com. */
export const deepl: Provider = {
  id: 'deepl',
  title: 'DeepL',
  origin: 'https://api.deepl.com',
  baseUrl: { example: 'https://api-free.deepl.com', required: false, note: 'Keys of the free plan, which end in `:fx`, work there alone.' },
  auth: { type: 'header', name: 'authorization', word: 'DeepL-Auth-Key' },
  dialect: deeplDialect,
  keyHints: [
    {
      pattern: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:fx$/,
      warn: 'a key of the free plan, which works with --base-url https://api-free.deepl.com alone',
    },
    { pattern: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/ },
  ],
  keyCheck: { method: 'GET', path: '/v2/usage', works: [200], restricted: [429, 456], refused: [401, 403] },
  endpoints: [
    endpoint('inference', 'POST /v2/translate', texts),
    endpoint('inference', 'POST /v2/write/rephrase', texts),
    endpoint('inference', 'GET /v2/languages'),
    endpoint('inference', 'GET /v3/languages'),
    endpoint('inference', 'GET /v2/glossary-language-pairs'),
    ...['/v1', '/v2', '/v3'].flatMap(version =>
      under(version, [
        endpoint('account', '* /document/**', { owns: documents }),
        endpoint('account', '* /glossaries/**'),
        endpoint('account', '* /style_rules/**'),
        endpoint('account', '* /translation_memories/**'),
        // answers with an address that carries a token
        endpoint('credential', '* /voice/**'),
        endpoint('administration', '* /usage/**'),
        endpoint('administration', '* /admin/**'),
      ]),
    ),
  ],
  defaultHeaders: {},
  allowRequestHeaders: [],
  dropRequestHeaders: [],
  dropResponseHeaders: [],
  keyRefused: (status, body) => status === 401 || (status === 403 && !/quota|permission|plan/i.test(body)),
  unverified: ['how it words the refusal of a key'],
}
