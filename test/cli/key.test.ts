import { join } from 'node:path'
import t, { type Test } from 'tap'
import { filesIn, find, findInFiles, textCanary } from '../support/canary.js'
import { json } from '../support/scripts.js'
import { freshKey } from '../support/stage.js'
import { startUpstream, type Upstream } from '../support/upstream.js'
import { madeHome, type NearHome, nearHome } from './run.js'

/** A provider that says of every key what it is told to. */
async function provider(t: Test, status: number): Promise<Upstream> {
  const upstream = await startUpstream(json(status === 200 ? { data: [] } : { error: { message: 'no', code: 'invalid_api_key' } }, status))
  t.teardown(() => upstream.close())
  return upstream
}

type Listed = readonly { readonly id: string; readonly name: string; readonly state: string }[]
const list = (home: NearHome) => home.json<Listed>(['key', 'list'])

t.test('a base URL that was copied from an SDK’s settings is kept without the version that every call says again', async t => {
  const home = await madeHome(t)
  const cases: readonly (readonly [string, string, string])[] = [
    ['openai', '/v1', ''],
    ['openai', '/v1/', ''],
    ['openai', '/gateway/v1', '/gateway'],
    ['openai', '/gateway', '/gateway'],
    ['groq', '/openai/v1', ''],
    ['deepseek', '/anthropic/v1', ''],
    ['vllm', '/v1', ''],
    ['my-own', '/v1', '/v1'],
  ]
  for (const [name, given, kept] of cases) {
    const args = ['key', 'add', name, '--stdin', '--no-verify', '--base-url', `http://127.0.0.1:9${given}`, '--allow-private']
    const key = await home.json<{ readonly baseUrl: string }>(args, freshKey(name))
    t.equal(key.baseUrl, `http://127.0.0.1:9${kept}`, `${name} ${given}`)
  }
})

t.test('a key goes in, is asked about, shown, and never comes back out', async t => {
  const home = await madeHome(t)
  const upstream = await provider(t, 200)
  const secret = freshKey('openai')
  const spoken: string[] = []
  const run = async (args: readonly string[], stdin?: string) => {
    const ran = await home.run(args, stdin)
    spoken.push(ran.stdout, ran.stderr)
    return ran
  }
  const add = ['key', 'add', 'openai', '--stdin', '--name', 'first', '--base-url', `${upstream.url}/`, '--allow-private']
  const added = await run(['--json', ...add, '--user', 'ann', '--organization', 'org-1'], `${secret}\n`)
  t.equal(added.code, 0)
  const key = JSON.parse(added.stdout)
  t.match(key, {
    id: /^key_/,
    provider: 'openai',
    name: 'first',
    user: 'ann',
    organization: 'org-1',
    verified: 'works',
    state: 'active',
    baseUrl: upstream.url,
  })
  t.match(key.createdAt, /^\d{4}-\d\d-\d\dT.*Z$/)
  t.match((await run(['key', 'show', key.id])).stdout, 'ann')
  t.match((await run(['key', 'list'])).stdout, key.id)
  t.match((await run(['--json', 'key', 'verify', key.id])).stdout, '"verified": "works"')
  t.match(JSON.parse((await run(['--json', 'key', 'disable', key.id])).stdout), { state: 'disabled' })
  t.match(JSON.parse((await run(['--json', 'key', 'enable', key.id])).stdout), { state: 'active' })
  const second = freshKey('openai')
  t.match(JSON.parse((await run(['--json', 'key', 'rotate', key.id, '--stdin'], second)).stdout), {
    id: key.id,
    version: 2,
    verified: 'works',
  })
  t.equal((await run(['key', 'remove', key.id])).code, 0)
  t.equal((await run(['key', 'list'])).stdout, '')
  const canaries = [textCanary('first', secret), textCanary('second', second)]
  t.same(find(canaries, Buffer.from(spoken.join('\n'))), [])
  t.same(findInFiles(canaries, filesIn(home.dir)), [])
})

t.test('a key that the provider refuses is not kept, and a new value that it refuses leaves the old one', async t => {
  const home = await madeHome(t)
  const [good, bad] = [await provider(t, 200), await provider(t, 401)]
  const refused = await home.run(['key', 'add', 'openai', '--stdin', '--base-url', bad.url, '--allow-private'], freshKey('openai'))
  t.match(refused, { code: 65, stdout: '', stderr: /^soakp: the provider refuses this key\..*It was not kept\n {2}.*--no-verify/ })
  t.same(await list(home), [])
  const add = ['key', 'add', 'openai', '--stdin', '--no-verify', '--base-url', bad.url, '--allow-private']
  const { id } = await home.json<{ id: string }>(add, freshKey('openai'))
  const before = await home.json(['key', 'show', id])
  t.equal((await home.run(['key', 'rotate', id, '--stdin'], freshKey('openai'))).code, 65)
  t.match(await home.json(['key', 'show', id]), { version: (before as { version: number }).version })
  t.match(await home.run(['key', 'verify', id]), { code: 65, stderr: /soakp key rotate/ })
  t.equal(good.requests.length, 0)
})

t.test('a provider that cannot be asked does not keep a key out; it is said', async t => {
  const home = await madeHome(t)
  const gone = await startUpstream(json({}))
  await gone.close()
  const ran = await home.run(['--json', 'key', 'add', 'openai', '--stdin', '--base-url', gone.url, '--allow-private'], freshKey('openai'))
  t.equal(ran.code, 0)
  t.match(ran.stderr, /^warning: OpenAI could not be asked/)
  const { id, verified } = JSON.parse(ran.stdout)
  t.equal(verified, 'unknown')
  t.equal((await home.run(['key', 'verify', id])).code, 69)
})

t.test('what does not look like a key of the provider is hinted at and kept; what is ours is refused', async t => {
  const home = await madeHome(t)
  const add = (secret: string) => home.run(['key', 'add', 'openai', '--stdin', '--no-verify'], secret)
  t.match(await add('a-form-nobody-knows-yet'), { code: 0, stderr: /does not look like/ })
  t.match(await add('sk-admin-0123456789abcdefghijABCDEFGHIJ0123456789'), { code: 0, stderr: /warning: .*admin/i })
  const { token, id } = await home.json<{ id: string; token: string }>(['token', 'create', '--all'])
  t.match(await add(token), { code: 2, stderr: /an access token of soakp/ })
  t.match(await add(id), { code: 2, stderr: /an id|the id/ })
  t.match(await add('two words'), { code: 2, stderr: /whitespace/ })
  t.match(await add(''), { code: 2, stderr: /empty/ })
})

t.test('a provider without an address of its own takes no key without one, and says what it looks like', async t => {
  const home = await madeHome(t)
  for (const [name, hint] of [
    ['azure', 'https://RESOURCE.openai.azure.com'],
    ['ollama', 'http://HOST:11434'],
  ] as const) {
    const ran = await home.run(['key', 'add', name, '--stdin', '--no-verify'], '0123456789abcdef0123456789abcdef')
    t.equal(ran.code, 2)
    t.match(ran.stderr, hint)
  }
  t.match(await home.run(['key', 'add', 'openai', '--stdin', '--no-verify'], '{"type":"service_account"}'), { code: 2, stderr: /files/ })
})

t.test('a key comes out of a variable that is named', async t => {
  const home = await madeHome(t)
  process.env.MY_KEY = freshKey('openai')
  t.equal((await home.run(['key', 'add', 'openai', '--from-env', 'MY_KEY', '--no-verify'])).code, 0)
  t.notOk('MY_KEY' in process.env, 'and is gone from there')
  t.match(await home.run(['key', 'add', 'openai', '--from-env', 'MY_KEY', '--no-verify']), { code: 2, stderr: /is not set/ })
  t.match(await home.run(['key', 'add', 'openai']), { code: 2, stderr: /--stdin/ })
})

t.test('a provider of one’s own has a name, a base URL, a way to travel and a dialect', async t => {
  const home = await madeHome(t)
  const add = (...args: string[]) => home.run(['--json', 'key', 'add', ...args, '--stdin', '--no-verify'], 'any-key-1')
  const added = await add('my-llm', '--base-url', 'https://llm.example.com/api', '--auth', 'header:X-Key', '--dialect', 'anthropic')
  t.match(JSON.parse(added.stdout), {
    provider: 'my-llm',
    baseUrl: 'https://llm.example.com/api',
    auth: 'header:x-key',
    dialect: 'anthropic',
  })
  t.match(JSON.parse((await add('plain', '--base-url', 'https://llm.example.com')).stdout), { auth: 'bearer', dialect: 'openai' })
  t.match(await add('unheard-of'), { code: 66, stderr: /no such provider.*\n.*--base-url/ })
  for (const name of ['admin', 'v1', 'My-LLM', 'x']) t.equal((await add(name, '--base-url', 'https://llm.example.com')).code, 2, name)
  for (const [flag, value] of [
    ['--auth', 'digest'],
    ['--auth', 'header:host'],
    ['--dialect', 'klingon'],
    ['--tenant', 'acme'],
    ['--user', 'a\nb'],
  ] as const) {
    t.equal((await add('my-llm', '--base-url', 'https://llm.example.com', flag, value)).code, 2, `${flag} ${value}`)
  }
})

t.test('a base URL that would show the key, or leads into a private network unasked, is refused', async t => {
  const home = await madeHome(t)
  const add = (...args: string[]) => home.run(['key', 'add', 'openai', ...args, '--stdin', '--no-verify'], 'any-key-1')
  for (const url of [
    'http://llm.example.com',
    'https://10.0.0.1',
    'https://[::1]',
    'http://127.0.0.1:1',
    'https://user:pw@llm.example.com',
    'ftp://x',
    'x',
  ]) {
    const { code, stderr } = await add('--base-url', url)
    t.equal(code, 78, `${url}: ${stderr}`)
  }
  t.equal((await add('--base-url', 'http://192.168.1.2', '--allow-private')).code, 78, 'plain http off loopback even then')
  t.equal((await add('--base-url', 'https://192.168.1.2', '--allow-private')).code, 0)
  t.equal((await add('--allow-private')).code, 2)
})

t.test('what is not there is said, with its own exit code', async t => {
  const home = await madeHome(t)
  for (const verb of ['show', 'verify', 'disable', 'enable', 'remove']) {
    t.match(await home.run(['key', verb, 'key_0123456789012345678901']), { code: 66, stdout: '', stderr: /^soakp: no such key\./ }, verb)
  }
  t.match(await nearHome(join(home.dir, 'elsewhere')).run(['key', 'list']), { code: 66, stderr: /no soakp home here/ })
})
