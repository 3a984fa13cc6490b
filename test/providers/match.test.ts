import t from 'tap'
import {
  checkPath,
  customProvider,
  findProvider,
  isProviderName,
  matchEndpoint,
  matchUnderPrefix,
  parseAuthScheme,
} from '../../src/providers/index.js'
import type { Provider } from '../../src/providers/provider.js'

function known(id: string): Provider {
  const provider = findProvider(id)
  if (!provider) throw new Error(id)
  return provider
}

function classOf(id: string | Provider, call: string): string {
  const [method = '', path = ''] = call.split(' ')
  const match = matchEndpoint(typeof id === 'string' ? known(id) : id, method, path)
  return match.kind === 'new' ? 'new' : match.endpoint.class
}

t.test('a call falls under the class its row says, a call without a row is new', async t => {
  const cases: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
    openai: [
      ['POST /v1/chat/completions', 'inference'],
      ['POST /v1/responses', 'inference'],
      ['POST /v1/responses/compact', 'inference'],
      ['GET /v1/responses/resp_1', 'account'],
      ['DELETE /v1/responses/resp_1', 'account'],
      ['GET /v1/responses/resp_1/input_items', 'account'],
      ['POST /v1/responses/resp_1/cancel', 'account'],
      ['GET /v1/chat/completions', 'account'],
      ['GET /v1/chat/completions/c1/messages', 'account'],
      ['GET /v1/models', 'inference'],
      ['HEAD /v1/models', 'inference'],
      ['DELETE /v1/models/ft:gpt', 'account'],
      ['GET /v1/files', 'account'],
      ['QUERY /v1/files', 'account'],
      ['QUERY /v1/responses/resp_1', 'account'],
      ['QUERY /v1/models', 'new'],
      ['HEAD /v1/files/f1/content', 'account'],
      ['PUT /v1/files', 'account'],
      ['BREW /v1/files', 'account'],
      ['POST /v1/realtime/client_secrets', 'credential'],
      ['POST /v1/realtime/sessions', 'credential'],
      ['POST /v1/realtime/translations/client_secrets', 'credential'],
      ['POST /v1/chatkit/sessions', 'credential'],
      ['POST /v1/chatkit/sessions/s1/cancel', 'credential'],
      ['GET /v1/organization/admin_api_keys', 'administration'],
      ['GET /v1/projects/p1/roles', 'administration'],
      ['GET /v1/fine_tuning/checkpoints/c/permissions', 'administration'],
      ['POST /v1/brand/new', 'new'],
      ['GET /v1/filesystem', 'new'],
      ['POST /chat/completions', 'new'],
      ['GET /', 'new'],
    ],
    anthropic: [
      ['POST /v1/messages', 'inference'],
      ['POST /v1/messages/count_tokens', 'inference'],
      ['POST /v1/messages/batches', 'account'],
      ['GET /v1/messages/batches/b1/results', 'account'],
      ['GET /v1/organizations/me', 'administration'],
      ['GET /v1/vaults/v1/credentials', 'credential'],
    ],
    gemini: [
      ['POST /v1beta/models/gemini-2.5-flash:generateContent', 'inference'],
      ['POST /v1/models/gemini-2.5-flash:streamGenerateContent', 'inference'],
      ['POST /v1alpha/auth_tokens', 'credential'],
      ['POST /v1beta/auth_tokens', 'credential'],
      ['GET /v1beta/tunedModels/t/permissions', 'administration'],
      ['POST /v1beta/tunedModels/t:generateContent', 'account'],
      ['POST /upload/v1beta/files', 'account'],
      ['GET /v1beta/interactions/i1', 'account'],
      ['POST /v1beta/interactions', 'inference'],
      ['POST /v1beta/openai/chat/completions', 'inference'],
      ['GET /v1beta/openai/files', 'account'],
      ['POST /v1beta/models/veo:predictLongRunning', 'account'],
    ],
    mistral: [
      ['POST /v1/fim/completions', 'inference'],
      ['POST /v1/agents/completions', 'inference'],
      ['POST /v1/agents', 'account'],
      ['GET /v1/agents', 'account'],
      ['GET /v1/files/f/url', 'credential'],
      ['POST /v1/client/sessions', 'credential'],
      ['GET /v1/users/me', 'administration'],
    ],
    openrouter: [
      ['POST /api/v1/chat/completions', 'inference'],
      ['POST /api/v1/messages', 'inference'],
      ['GET /api/v1/keys', 'credential'],
      ['POST /api/v1/auth/keys', 'credential'],
      ['GET /api/v1/credits', 'administration'],
      ['GET /api/v1/generation', 'account'],
    ],
    deepseek: [
      ['POST /chat/completions', 'inference'],
      ['POST /v1/chat/completions', 'inference'],
      ['POST /anthropic/v1/messages', 'inference'],
      ['GET /user/balance', 'administration'],
    ],
  }
  for (const [id, list] of Object.entries(cases)) for (const [call, expected] of list) t.equal(classOf(id, call), expected, `${id} ${call}`)
})

t.test('closed in one reading is closed', async t => {
  for (const path of [
    '/v1/f%69les',
    '/v1/f%2569les',
    '/V1/FILES',
    '/v1//files',
    '//v1/files',
    '/v1/files/',
    '/v1/files///',
    '/v1%2Ffiles',
    '/v1%2ffiles%2Fabc',
    '/v1%252Ffiles',
    '/v1/files;a=b',
    '/v1;x/files',
    '/v1/files%3Ba',
    '/v1/files%3Fa',
    '/v1/files%23a',
    '/v1/files/a%2Fb',
  ]) {
    t.equal(checkPath(path), undefined, path)
    t.equal(classOf('openai', `GET ${path}`), 'account', path)
  }
})

t.test('the model of a path is read as the provider reads it', async t => {
  const model = (id: string, call: string) => {
    const [method = '', path = ''] = call.split(' ')
    const match = matchEndpoint(known(id), method, path)
    return match.kind === 'endpoint' ? match.model : undefined
  }
  t.equal(model('gemini', 'POST /v1beta/models/gemini-2.5-flash:generateContent'), 'gemini-2.5-flash')
  t.equal(model('gemini', 'POST /v1beta/models/gemini%2D2.5-flash%3AgenerateContent'), 'gemini-2.5-flash')
  t.equal(model('groq', 'GET /openai/v1/models/openai%2Fgpt-oss-120b'), 'openai/gpt-oss-120b')
  t.equal(model('openai', 'GET /v1/models/ft%3Agpt-4o%3Ameier'), 'ft:gpt-4o:meier')
  t.equal(model('openai', 'GET /v1/models/m%C3%BCller'), 'müller')
  t.equal(model('gemini', 'GET /v1beta/models/allowed;x'), undefined, 'two readings, two models: none is taken')
})

t.test('a path that servers may read in different ways is refused', async t => {
  for (const path of [
    'v1/x',
    '/v1/../x',
    '/v1/..',
    '/v1/.',
    '/v1/./x',
    '/v1/%2e%2e/x',
    '/v1/%2E./x',
    '/v1/.%2e',
    '/v1/%252e%252e/x',
    '/v1/%25252e%25252e/x',
    '/v1/..%2Fx',
    '/v1/x%2F..%2Fy',
    '/v1/..;a/x',
    '/v1/%2e%2e%3ba/x',
    '/v1/x\\y',
    '/v1/x%5cy',
    '/v1/x%255Cy',
    '/v1/%00',
    '/v1/%2500',
    '/v1/%0d%0ax',
    '/v1/%7f',
    '/v1/%',
    '/v1/%2',
    '/v1/%zz',
    '/v1/a#b',
    '/v1/a?b',
    '/v1/%2525252525',
    '/v1/%c0%ae%c0%ae/x',
    '/v1/x%c0%afy',
    '/v1/x%ff',
    '/v1/%EF%BC%8E%EF%BC%8E/x',
    '/v1/x%EF%BC%BCy',
  ]) {
    t.type(checkPath(path), 'string', path)
  }
})

t.test('an ordinary path is not refused', async t => {
  for (const path of [
    '/',
    '/v1/chat/completions',
    '/v1/models/a.b',
    '/v1/...',
    '/.well-known/x',
    '/v1/a%20b',
    '/v1/%E2%82%AC',
    '/v1/x..y',
    '/v1//x',
    '/v1/x/',
    '/v1/a%2Fb',
    '/v1/models/%E6%A8%A1%E5%9E%8B',
  ]) {
    t.equal(checkPath(path), undefined, path)
  }
})

t.test('a model whose name is no ASCII is one model, and one that another reading would make another is none', async t => {
  const modelIn = (path: string) => {
    const match = matchEndpoint(known('gemini'), 'POST', `/v1beta/models/${path}:generateContent`)
    return match.kind === 'endpoint' ? match.model : match.kind
  }
  t.equal(modelIn('gemini-2.5-pro'), 'gemini-2.5-pro')
  t.equal(modelIn('%E6%A8%A1%C3%A9'), '模é')
  t.equal(modelIn(`${encodeURIComponent('ｇ')}emini`), 'new')
})

t.test('behind a prefix in the base URL a path is read with it and without it', async t => {
  const under = (prefix: string, call: string) => {
    const [method = '', path = ''] = call.split(' ')
    const match = matchUnderPrefix(known('openai'), prefix, method, path)
    return match.kind === 'new' ? 'new' : match.endpoint.class
  }
  t.equal(under('', 'POST /v1/chat/completions'), 'inference')
  t.equal(under('/gateway/openai', 'POST /v1/chat/completions'), 'inference')
  t.equal(under('/v1', 'POST /chat/completions'), 'inference')
  t.equal(under('/gateway/v1', 'GET /files/x'), 'account')
  t.equal(under('/gateway/v1/files', 'GET /x'), 'account')
  t.equal(under('/v1/organization', 'POST /chat/completions'), 'administration')
})

t.test('a service nobody described has the paths of its dialect, with a version and without', async t => {
  const vllm = customProvider({ id: 'vllm', baseUrl: 'http://127.0.0.1:8000/v1', auth: { type: 'bearer' }, dialect: 'openai' })
  if (!vllm) throw new Error('no provider')
  for (const path of ['/chat/completions', '/v1/chat/completions', '/v1/messages', '/rerank'])
    t.equal(classOf(vllm, `POST ${path}`), 'inference', path)
  t.equal(classOf(vllm, 'GET /files'), 'account')
  t.equal(classOf(vllm, 'POST /v1/load_lora_adapter'), 'administration')
  t.equal(vllm.keyCheck?.path, '/models')
  t.equal(customProvider({ id: 'x', baseUrl: 'http://127.0.0.1', auth: { type: 'bearer' }, dialect: 'klingon' }), undefined)
  t.ok(isProviderName('my-vllm'))
  for (const name of ['v1', 'admin', 'Openai', 'a b', '-x', 'x-', '']) t.notOk(isProviderName(name), name)
})

t.test('a credential travels as bearer, in a header or in a query, and in no header that means something else', async t => {
  t.same(parseAuthScheme('bearer'), { type: 'bearer' })
  t.same(parseAuthScheme('header:X-Api-Key'), { type: 'header', name: 'x-api-key' })
  t.same(parseAuthScheme('query:key'), { type: 'query', name: 'key' })
  for (const text of [
    '',
    'Bearer',
    'Basic',
    'header:',
    'header:a b',
    'header:host',
    'header:Content-Length',
    'header:cookie',
    'query:',
    'query:a&b',
    'header:x\r\ny',
  ]) {
    t.equal(parseAuthScheme(text), undefined, text)
  }
})

t.test('a provider that refuses our key is told from one that refuses the call', async t => {
  const refused = (id: string, status: number, body = '') => known(id).keyRefused(status, body)
  t.ok(refused('openai', 401))
  t.notOk(refused('openai', 403))
  t.notOk(refused('openai', 429))
  t.ok(refused('gemini', 400, '{"error":{"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}'))
  t.ok(refused('gemini', 403, '{"error":{"message":"Your API key was reported as leaked."}}'))
  t.notOk(refused('gemini', 400, '{"error":{"status":"INVALID_ARGUMENT","message":"contents is required"}}'))
  t.notOk(refused('openrouter', 401, '{"error":{"metadata":{"provider_name":"Azure"}}}'))
})
