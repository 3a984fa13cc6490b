import t from 'tap'
import { findProvider, looksLikeProviderKey, providers, reservedNames } from '../../src/providers/index.js'

const a = (length: number) => 'a'.repeat(length)

/** Keys as their providers issue them; none of them was ever one. */
const documented: Readonly<Record<string, readonly string[]>> = {
  openai: [`sk-proj-${a(60)}`, `sk-svcacct-${a(60)}`, `sk-${a(20)}T3BlbkFJ${a(20)}`],
  anthropic: [`sk-ant-api03-${a(93)}AA`],
  gemini: [`AIza${a(35)}`, `AQ.${a(40)}`],
  groq: [`gsk_${a(52)}`],
  mistral: [a(32)],
  deepseek: [`sk-${a(32)}`],
  xai: [`xai-${a(80)}`],
  openrouter: [`sk-or-v1-${a(64)}`],
  together: [`tgp_v1_${a(43)}`, a(64)],
  fireworks: [`fw_${a(24)}`],
  perplexity: [`pplx-${a(48)}`],
  zai: [`${a(32)}.${a(16)}`],
  'github-models': [`github_pat_${a(22)}_${a(59)}`],
  nvidia: [`nvapi-${a(64)}`],
  cerebras: [`csk-${a(48)}`],
  huggingface: [`hf_${a(34)}`],
  voyage: [`pa-${a(43)}`],
  jina: [`jina_${a(56)}`],
  brave: [`BSA${a(28)}`],
  deepl: ['aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa'],
}

/** Keys that should not be stored, and why. */
const warned: Readonly<Record<string, readonly (readonly [string, RegExp])[]>> = {
  openai: [
    [`sk-admin-${a(60)}`, /admin/],
    [`ek_${a(40)}`, /short-lived/],
  ],
  anthropic: [
    [`sk-ant-admin01-${a(60)}`, /admin/],
    [`sk-ant-oat01-${a(60)}`, /expires/],
  ],
  'github-models': [
    [`ghp_${a(36)}`, /more than models/],
    [`gho_${a(36)}`, /expires/],
  ],
  deepl: [['aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:fx', /api-free/]],
  voyage: [[`al-${a(40)}`, /mongodb/]],
}

const head = Buffer.from('{"alg":"EdDSA","typ":"at+jwt","kid":"k1"}').toString('base64url')
const accessToken = `${head}.${Buffer.from(`{"iss":"https://localhost:3033","sub":"grt_${a(22)}","exp":1800000000}`).toString('base64url')}.${a(86)}`

for (const [id, keys] of Object.entries(documented)) {
  t.test(`${id}: a key as it is issued is known, without a warning`, async t => {
    const hints = findProvider(id)?.keyHints ?? []
    for (const key of keys) {
      const fitting = hints.filter(hint => hint.pattern.test(key))
      t.ok(fitting.length > 0, key)
      t.equal(fitting.find(hint => hint.warn !== undefined)?.warn, undefined)
    }
  })
}

for (const [id, keys] of Object.entries(warned)) {
  t.test(`${id}: a credential that is not meant for this says so`, async t => {
    for (const [key, why] of keys) {
      const warning = findProvider(id)?.keyHints.find(hint => hint.pattern.test(key) && hint.warn !== undefined)?.warn
      t.match(warning, why, key)
    }
  })
}

t.test('an access token of soakp is no provider’s key, by any hint', async t => {
  t.notOk(looksLikeProviderKey(accessToken))
  // the sandbox takes any key
  for (const { id, keyHints } of providers.filter(provider => !provider.serve))
    t.notOk(
      keyHints.some(hint => hint.pattern.test(accessToken)),
      id,
    )
})

t.test('a real key sent in place of an access token is recognised, where its form tells', async t => {
  // 32 characters of anything prove nothing
  const telling = Object.entries(documented).flatMap(([id, keys]) =>
    ['mistral', 'zai', 'deepl'].includes(id) ? [] : keys.filter(key => key !== a(64)),
  )
  t.ok(telling.length > 15)
  for (const key of telling) t.ok(looksLikeProviderKey(key), key)
  for (const text of ['', 'hello', 'Basic dXNlcjpwYXNz', a(32)]) t.notOk(looksLikeProviderKey(text), text)
})

t.test('no two providers are called by one name, and none by a name of ours', async t => {
  const names = providers.flatMap(({ id, aliases = [] }) => [id, ...aliases])
  t.equal(new Set(names).size, names.length)
  t.same(
    names.filter(name => reservedNames.has(name)),
    [],
  )
})

t.test('a key that the provider refuses is told from a call that it refuses', async t => {
  const refused: readonly (readonly [string, number, string])[] = [
    [
      'xai',
      400,
      '{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***23. You can obtain an API key from https://console.x.ai."}',
    ],
    ['xai', 401, '{}'],
    [
      'brave',
      422,
      '{"type":"ErrorResponse","error":{"id":"x","status":422,"detail":"The provided subscription token is invalid.","code":"SUBSCRIPTION_TOKEN_INVALID"}}',
    ],
    ['deepl', 403, '{"message":"Forbidden"}'],
    ['zai', 401, '{"error":{"code":"1002","message":"Authorization Token non valid"}}'],
    ['fireworks', 403, '{"error":{"message":"The API key you provided is invalid."}}'],
    ['stability', 403, '{"id":"0123456789abcdef0123456789abcdef","name":"unauthorized","errors":["Invalid API key"]}'],
    ['jina', 401, '{"detail":"Invalid API key"}'],
    ['voyage', 401, '{"detail":"Provided API key is invalid."}'],
  ]
  for (const [id, status, body] of refused) t.ok(findProvider(id)?.keyRefused(status, body), `${id} ${status}`)
  const other: readonly (readonly [string, number, string])[] = [
    ['xai', 400, '{"code":"Client specified an invalid argument","error":"Model not found: grok-9"}'],
    ['xai', 403, '{"code":"permission","error":"Your API key has no access to this model"}'],
    ['brave', 422, '{"type":"ErrorResponse","error":{"code":"VALIDATION","detail":"Unable to validate request parameter(s)"}}'],
    // what a client sent is repeated in the error
    [
      'gemini',
      400,
      '{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \\"API_KEY_INVALID\\": Cannot find field. API key not valid","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"description":"Unknown name \\"API_KEY_INVALID\\""}]}]}}',
    ],
    ['xai', 400, '{"code":"Client specified an invalid argument","error":"Model not found: Incorrect API key provided"}'],
    ['brave', 422, '{"error":{"code":"VALIDATION","meta":{"errors":[{"loc":["query","count"],"input":"SUBSCRIPTION_TOKEN_INVALID"}]}}}'],
    [
      'bedrock',
      403,
      '{"message":"User: arn:aws:iam::1:user/x is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:us-east-1::foundation-model/InvalidSignature"}',
    ],
    [
      'fireworks',
      403,
      '{"error":{"message":"The model accounts/fireworks/models/some-model-with-a-long-name named unauthorized is not yours"}}',
    ],
    ['voyage', 403, '{"detail":"Your plan does not include the model that the call is for, which is api key"}'],
    ['deepl', 456, '{"message":"Quota exceeded"}'],
    ['zai', 429, '{"error":{"code":"1113","message":"Insufficient balance"}}'],
    ['huggingface', 402, '{"error":"You have exceeded your monthly included credits"}'],
    ['openrouter', 402, '{"error":{"message":"Insufficient credits","code":402}}'],
  ]
  for (const [id, status, body] of other) t.notOk(findProvider(id)?.keyRefused(status, body), `${id} ${status}`)
})
