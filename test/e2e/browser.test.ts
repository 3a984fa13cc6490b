import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LLMock } from '@copilotkit/aimock'
import type { Page as Tab } from 'playwright-core'
import t from 'tap'
import type { Page, Setup } from '../support/browser-page.js'
import { bundle, noChromium, startChromium, startSite } from '../support/chromium.js'
import { call } from '../support/clients.js'
import { type Daemon, makeHome } from '../support/daemon.js'
import { startIssuer } from '../support/issuer.js'
import { endlessSse, json, openaiEvent } from '../support/scripts.js'
import { until, within } from '../support/until.js'
import { startUpstream } from '../support/upstream.js'

// A page of another origin, in a real browser, with official SDKs and soakp's own client, against a daemon.

interface AppJson {
  readonly id: string
  readonly credential: string
}

interface Told {
  // biome-ignore lint/suspicious/noExplicitAny: replies are looked into without a schema
  readonly returned?: any
  readonly threw?: Readonly<Record<string, unknown>>
}

const usage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18, input_tokens: 11, output_tokens: 7 }
const geminiUsage = { promptTokenCount: 11, candidatesTokenCount: 7, totalTokenCount: 18 }

/** What the mock draws anew for each reply, and the headers that @google/genai shows. */
function settled(report: unknown): unknown {
  return JSON.parse(
    JSON.stringify(report, (name, value) => (name === 'sdkHttpResponse' ? undefined : value))
      .replace(/\b(resp|msg|item|rs)[_-][\w-]{8,}/g, '$1')
      .replace(/"created_at":\d+/g, '"created_at":0'),
  )
}

t.test('a page in Chromium', noChromium === undefined ? {} : { skip: noChromium }, async t => {
  const mock = new LLMock({ port: 0 })
  mock.onMessage('hello', { content: 'Hi there, thé fish 🐟!', id: 'fixed-1', created: 1_763_000_000, usage: { ...usage, ...geminiUsage } })
  mock.onMessage('limited', { error: { message: 'slow down', type: 'rate_limit_error', code: 'rate_limit_exceeded' }, status: 429 })
  mock.onMessage('broken', { error: { message: 'oops', type: 'server_error' }, status: 500 })
  mock.onEmbedding('hello', { embedding: [0.1, 0.2, 0.3] })
  await mock.start()
  t.teardown(() => mock.stop())
  const upstream = await startUpstream(json({ text: 'heard' }))
  t.teardown(() => upstream.close())
  const home = await makeHome(t)
  for (const provider of ['openai', 'anthropic', 'gemini'])
    await home.addKey(provider, { secret: `test-key-of-${provider}-0123456789abcdef`, baseUrl: mock.url })
  await home.addKey('groq', { secret: 'test-key-of-groq-0123456789abcdef', baseUrl: upstream.url })

  let daemon: Daemon
  const credentials: Record<string, string> = {}
  /** Passes on what soakp answers, as a backend would; the page's own part is the thumbprint alone. */
  const backend =
    (app: string, wish: object = {}) =>
    async (_: unknown, body: string) => {
      const { jkt } = JSON.parse(body) as { jkt?: string }
      const answer = await call(daemon, {
        path: '/auth/token',
        token: credentials[app] ?? '',
        body: JSON.stringify({ userId: 'alice', ...wish, ...(jkt && { jkt }) }),
      })
      return { status: answer.status, type: 'application/json', body: answer.text() }
    }
  const script = await bundle('test/support/browser-page.js')
  const site = await startSite(t, {
    '/': async () => ({ type: 'text/html', body: '<!doctype html><title>app</title><script type="module" src="/page.js"></script>' }),
    '/page.js': async () => ({ type: 'text/javascript', body: script }),
    '/unbundled': async () => ({
      type: 'text/html',
      body: '<!doctype html><script type="module">import * as soakp from "/browser/index.js"; globalThis.page = { names: () => Object.keys(soakp).sort() }</script>',
    }),
    '/browser/': async ({ url }) => ({ type: 'text/javascript', body: readFileSync(join(process.cwd(), 'dist/src', url ?? ''), 'utf8') }),
    '/ai-token': backend('plain'),
    '/ai-token-bound': backend('bound'),
    '/ai-token-short': backend('plain', { ttl: 2, refresh: false }),
    '/ai-token-foreign': backend('foreign'),
    '/ai-token-down': async () => ({ status: 503, type: 'text/plain', body: '' }),
  })
  for (const [name, ...more] of [
    ['plain', '--origin', site.origin],
    ['bound', '--dpop', '--origin', site.origin],
    ['foreign', '--origin', 'https://other.example'],
  ] as const)
    credentials[name] = (await home.json<AppJson>(['app', 'create', name, '--all', ...more])).credential
  const issuer = await startIssuer(`${home.dir}/certs`)
  t.teardown(() => issuer.close())
  await home.json([
    'issuer',
    'add',
    issuer.url,
    '--audience',
    'soakp',
    '--app',
    'bound',
    '--allow-private',
    '--no-check',
    '--jwks',
    `${issuer.url}/keys`,
  ])
  daemon = await home.serve({ env: { NODE_EXTRA_CA_CERTS: home.caFile() } })

  const browser = await startChromium(t)
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const protocols = new Set<string>()

  async function open(path = '/'): Promise<Tab> {
    const tab = await context.newPage()
    const wire = await context.newCDPSession(tab)
    await wire.send('Network.enable')
    wire.on('Network.responseReceived', ({ response }) => {
      if (response.url.startsWith(daemon.origin)) protocols.add(response.protocol ?? '')
    })
    await tab.goto(`${site.origin}${path}`)
    await tab.waitForFunction('globalThis.page !== undefined')
    return tab
  }
  async function run<T = Told>(tab: Tab, name: keyof Page, ...args: readonly unknown[]): Promise<T> {
    return within(
      tab.evaluate(
        ([name, args]) =>
          (globalThis as never as { page: Record<string, (...args: readonly unknown[]) => unknown> }).page[name as string]?.(
            ...(args as unknown[]),
          ),
        [name, args] as const,
      ) as Promise<T>,
      name,
      60_000,
    )
  }
  const tab = await open()
  const setup = (more: Partial<Setup> = {}) => run<undefined>(tab, 'setup', { url: daemon.origin, ...more })
  const ways: readonly (readonly [string, Partial<Setup>])[] = [
    ['a Bearer token', {}],
    ['a token bound to a key in IndexedDB', { dpop: true, backend: '/ai-token-bound' }],
  ]

  for (const [title, options] of ways) {
    await t.test(`${title}: what SDKs return through soakp equals what they return directly`, async t => {
      await setup(options)
      for (const sdk of ['openai', 'anthropic', 'gemini']) {
        const through = await run<Record<string, Told>>(tab, 'sdk', sdk)
        const direct = await run<Record<string, Told>>(tab, 'sdk', sdk, mock.url)
        t.ok(direct.json?.returned && direct.stream?.returned, `${sdk} works directly ${JSON.stringify(direct).slice(0, 300)}`)
        t.strictSame(settled(through), settled(direct), sdk)
      }
    })

    await t.test(`${title}: twenty calls at once, an upload, a body that streams, a Request used twice`, async t => {
      await setup(options)
      upstream.use(json({ text: 'heard' }))
      const many = await run<number[]>(tab, 'many', 20)
      t.same(new Set(many), new Set([200]))
      t.match(await run(tab, 'upload', 300_000), { returned: { text: 'heard' } })
      t.ok((upstream.requests.at(-1)?.bodyBytes ?? 0) > 300_000)
      t.same(await run(tab, 'streamUp'), { returned: 200 })
      t.same(await run(tab, 'request'), [200, 200])
    })

    await t.test(`${title}: a stream that the page leaves is ended at the provider`, async t => {
      await setup(options)
      upstream.use(
        endlessSse(
          index => openaiEvent(`${index}`),
          () => new Promise(resolve => setTimeout(resolve, 20)),
        ),
      )
      t.ok((await run<number>(tab, 'abort')) >= 3)
      await until(() => upstream.open === 0, 'the upstream to be left')
      await until(
        async () => (await home.entries()).some(entry => entry.provider === 'groq' && entry.outcome === 'client_gone'),
        'its line in the ledger',
      )
    })

    await t.test(`${title}: Realtime over a WebSocket`, async t => {
      await setup(options)
      const { returned, threw } = await run(tab, 'realtime')
      t.notOk(threw, JSON.stringify(threw))
      t.match(returned?.[0], 'session.created')
      t.match(returned?.at(-1), 'response.done')
    })

    await t.test(`${title}: logged out, the token is dead, and the next call has another`, async t => {
      await setup(options)
      t.ok((await run(tab, 'json')).returned)
      const { returned: before } = await run(tab, 'token')
      t.notOk((await run(tab, 'logout')).threw)
      const lost = await call(daemon, {
        path: '/auth/token-info',
        token: credentials[options.dpop ? 'bound' : 'plain'] ?? '',
        body: JSON.stringify({ token: before }),
      })
      t.same(lost.json(), { active: false })
      t.ok((await run(tab, 'json')).returned)
      t.not((await run(tab, 'token')).returned, before)
    })
  }

  await t.test('Chromium spoke HTTP/2 to it', async t => t.same([...protocols], ['h2']))

  await t.test('a token that ends midway is replaced without anybody noticing', async t => {
    await setup({ backend: '/ai-token-short' })
    const { returned: first } = await run(tab, 'token')
    await until(async () => (await call(daemon, { path: '/auth/verify', token: first })).status === 401, 'the token to end')
    t.ok((await run(tab, 'json')).returned)
    t.not((await run(tab, 'token')).returned, first)
    await setup()
    const { returned: good } = await run(tab, 'token')
    await call(daemon, { method: 'POST', path: '/auth/logout', token: good, body: '{}' })
    t.ok((await run(tab, 'json')).returned, 'nor when soakp ended it before its time')
  })

  await t.test('a key in IndexedDB cannot be read out, is shared by tabs, and goes with the logout', async t => {
    const options = { url: daemon.origin, dpop: true, backend: '/ai-token-bound' }
    await run(tab, 'setup', options)
    t.ok((await run(tab, 'json')).returned)
    const keys = await run<Told[]>(tab, 'storedKeys')
    t.equal(keys.length, 1)
    t.match(keys[0]?.threw, { name: 'InvalidAccessError' })
    const second = await open()
    await run(second, 'setup', options)
    t.ok((await run(second, 'json')).returned)
    t.equal((await run<Told[]>(second, 'storedKeys')).length, 1)
    const jktOf = async (of: Tab) => {
      const { returned } = await run(of, 'token')
      return JSON.parse(Buffer.from(returned.split('.')[1], 'base64url').toString()).cnf.jkt
    }
    t.equal(await jktOf(second), await jktOf(tab))
    await second.close()
    await run(tab, 'logout')
    t.same(await run(tab, 'storedKeys'), [])
  })

  await t.test("an issuer's JWT is exchanged by the page itself, with its key", async t => {
    await setup({ dpop: true, keepKey: 'memory', issuerToken: await issuer.token() })
    t.ok((await run(tab, 'json')).returned)
    t.match((await home.entries()).at(-1), { subject: /u1$/ })
  })

  await t.test('a stolen token that is bound to a key is of no use to anybody else', async t => {
    await setup({ dpop: true, backend: '/ai-token-bound' })
    const { returned: token } = await run(tab, 'token')
    const { returned } = await run(tab, 'bare', '/openai/v1/models', { authorization: `Bearer ${token}` })
    t.match(returned, { status: 401, text: /dpop_missing/, challenge: /^DPoP/ })
    t.equal((await call(daemon, { path: '/openai/v1/models', token })).status, 401)
  })

  await t.test('refusals can be read in the page', async t => {
    await setup()
    const { returned } = await run(tab, 'bare', '/openai/v1/models', { authorization: 'Bearer nonsense' })
    t.match(returned, { status: 401, text: /token_invalid/, challenge: /soakp/, id: /^call_/ })
    await setup({ backend: '/ai-token-down' })
    t.match((await run(tab, 'json')).threw?.message, /the backend answers 503|Connection error/)
    t.match((await run(tab, 'token')).threw, { message: 'the backend answers 503' })
    await setup({ issuerToken: 'eyJhbGciOiJFUzI1NiJ9.e30.AAAA' })
    t.match((await run(tab, 'token')).threw, { class: /SoakpClientError/, code: 'issuer_token_refused', status: 401 })
    await setup()
    t.match((await run(tab, 'aborted')).threw, { name: 'AbortError' })
  })

  await t.test('the token is sent to nobody but soakp', async t => {
    await setup()
    const before = upstream.requests.length
    t.match((await run(tab, 'elsewhere', `${upstream.url}/v1/models`)).threw, {
      class: /SoakpClientError/,
      message: /calls https:\/\/localhost/,
    })
    t.equal(upstream.requests.length, before)
  })

  await t.test('a page of an origin that the grant does not name cannot use it, nor read why', async t => {
    await setup({ backend: '/ai-token-foreign' })
    const before = (await home.entries()).filter(({ outcome }) => outcome === 'ok').length
    t.ok((await run(tab, 'json')).threw)
    t.equal((await home.entries()).filter(({ outcome }) => outcome === 'ok').length, before)
  })

  await t.test('the client works unbundled, as a module that a page loads', async t => {
    const plain = await open('/unbundled')
    t.same(await plain.evaluate('page.names()'), ['SoakpClientError', 'createClient'])
    await plain.close()
  })
})
