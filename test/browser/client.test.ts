import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { type ClientOptions, createClient, type IssuedToken, SoakpClientError } from '../../src/browser/index.js'
import { freePort, type Home, launcher, makeHome } from '../support/daemon.js'
import { startIssuer } from '../support/issuer.js'
import { anyProvider } from '../support/scripts.js'
import { until } from '../support/until.js'
import { startUpstream } from '../support/upstream.js'

// The client that pages use, in Node, against a real daemon: what a browser would not let a test look at.

interface AppJson {
  readonly credential: string
}

/** Plain HTTP on loopback, which `fetch` of this process takes without a CA. */
async function serveHttp(t: { teardown(handler: () => unknown): unknown }, home: Home) {
  const port = await freePort()
  const url = `http://localhost:${port}`
  const env = { ...home.env, NODE_EXTRA_CA_CERTS: home.caFile() }
  const start = () => spawn(process.execPath, [launcher, 'serve', '--http', '--port', `${port}`], { env, stdio: 'ignore' })
  const answers = () => until(async () => (await fetch(`${url}/healthz`).catch(() => undefined))?.status === 200, 'the daemon to answer')
  let child = start()
  t.teardown(() => child.kill('SIGKILL'))
  await answers()
  return {
    url,
    async restart() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      child = start()
      await answers()
    },
  }
}

t.test('the client for pages', async t => {
  const upstream = await startUpstream(anyProvider)
  t.teardown(() => upstream.close())
  const home = await makeHome(t)
  await home.addKey('openai', { secret: `sk-proj-${'a'.repeat(40)}`, baseUrl: upstream.url })
  const { credential } = await home.json<AppJson>(['app', 'create', 'shop', '--all'])
  const { url, restart } = await serveHttp(t, home)
  const issuer = await startIssuer(`${home.dir}/certs`)
  t.teardown(() => issuer.close())
  await home.json(['issuer', 'add', issuer.url, '--audience', 'soakp', '--app', 'shop', '--allow-private', '--no-check'])

  async function backend(wish: object = {}): Promise<IssuedToken> {
    const headers = { authorization: `Bearer ${credential}`, 'content-type': 'application/json' }
    const reply = await fetch(`${url}/auth/token`, { method: 'POST', headers, body: JSON.stringify({ userId: 'alice', ...wish }) })
    return (await reply.json()) as IssuedToken
  }
  /** A client and how often its backend was asked. */
  function client(more: Partial<ClientOptions> = {}, wish: object = {}) {
    const asked: (string | undefined)[] = []
    const token: ClientOptions['token'] = async ({ jkt }) => {
      asked.push(jkt)
      return backend({ ...wish, ...(jkt !== undefined && { jkt }) })
    }
    return { asked, soakp: createClient({ url, token, ...more }) }
  }
  const chat = (soakp: { fetch: typeof fetch }, more: RequestInit = {}) =>
    soakp.fetch(`${url}/openai/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': 'placeholder' },
      body: '{"model":"gpt-4o-mini","messages":[]}',
      ...more,
    })

  await t.test('a hundred calls at once ask for one token, and one that lasts is not asked for again', async t => {
    for (const dpop of [false, true]) {
      const { soakp, asked } = client({ dpop })
      const replies = await Promise.all(Array.from({ length: 100 }, () => chat(soakp)))
      t.same(new Set(replies.map(({ status }) => status)), new Set([200]))
      t.equal((await chat(soakp)).status, 200)
      t.equal(asked.length, 1)
      t.equal(asked[0]?.length, dpop ? 43 : undefined)
    }
  })

  await t.test('a token is exchanged for a new one in time, without the backend', async t => {
    for (const dpop of [false, true]) {
      const { soakp, asked } = client({ dpop }, { ttl: 3, refresh: true })
      const first = await soakp.token()
      await until(async () => (await soakp.token()) !== first, 'a new token')
      t.equal((await chat(soakp)).status, 200)
      t.equal(asked.length, 1)
    }
  })

  await t.test('a token that was ended is replaced once; a body that can be sent only once is not sent twice', async t => {
    const { soakp, asked } = client()
    const end = async () =>
      fetch(`${url}/auth/logout`, { method: 'POST', headers: { authorization: `Bearer ${await soakp.token()}` } }).then(
        reply => reply.status,
      )
    t.equal(await end(), 200)
    t.equal((await chat(soakp)).status, 200)
    t.equal(asked.length, 2)
    t.equal(await end(), 200)
    const once = (): RequestInit => {
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('{"model":"gpt-4o-mini","messages":[]}'))
          controller.close()
        },
      })
      return { body, duplex: 'half' }
    }
    t.equal((await chat(soakp, once())).status, 401)
    t.equal((await chat(soakp, once())).status, 200, 'the next one has a new token')
  })

  await t.test('a token that soakp takes in no form is tried twice and not for ever', async t => {
    let asked = 0
    const soakp = createClient({ url, token: async () => `made.up.${++asked}` })
    const before = upstream.requests.length
    const reply = await chat(soakp)
    t.same([reply.status, asked], [401, 2])
    t.match(await reply.json(), { error: { code: 'token_invalid' } })
    t.equal(upstream.requests.length, before)
  })

  await t.test(
    'a backend that answers with something else is told so, and one that tells no time is believed for what the token says',
    async t => {
      for (const answer of [undefined, null, '', {}, { jwt: 'x' }])
        await t.rejects(createClient({ url, token: async () => answer as never }).token(), {
          name: 'SoakpClientError',
          message: /no access token came/,
        })
      const { token: given } = await backend()
      for (const answer of [given, { token: given }, { token: given, expiresIn: 'soon' }, { token: given, expiresAt: 'soon' }]) {
        let asked = 0
        const token = async () => {
          asked++
          return answer as IssuedToken
        }
        const soakp = createClient({ url, token })
        for (let at = 0; at < 3; at++) t.equal(await soakp.token(), given)
        t.equal(asked, 1)
      }
    },
  )

  await t.test('a clock that is wrong by hours harms nothing', async t => {
    const real = Date.now
    t.teardown(() => {
      Date.now = real
    })
    for (const offMs of [-7_200_000, 7_200_000]) {
      Date.now = () => real() + offMs
      const { soakp, asked } = client({ dpop: true })
      t.equal((await chat(soakp)).status, 200, `off by ${offMs}`)
      t.equal((await chat(soakp)).status, 200)
      t.equal(asked.length, 1)
      const page = createClient({ url, dpop: true, issuerToken: () => issuer.token({ atMs: real() }) })
      t.equal((await chat(page)).status, 200, `off by ${offMs}, with the JWT of an issuer`)
    }
  })

  await t.test('a socket is opened with a proof that a daemon takes that has just begun anew', async t => {
    const { soakp } = client({ dpop: true })
    t.equal((await chat(soakp)).status, 200)
    await restart()
    const [token, dpop = ''] = (await soakp.socketToken('/auth/verify')).split('~')
    const reply = await fetch(`${url}/auth/verify`, { headers: { authorization: `DPoP ${token}`, dpop } })
    t.equal(reply.status, 200, await reply.text())
  })

  await t.test('who leaves while a token is on its way ends that one, too, and no call brings another', async t => {
    const given: string[] = []
    let answer = () => {}
    const waiting = new Promise<void>(resolve => {
      answer = resolve
    })
    const token = async () => {
      const issued = await backend()
      given.push(issued.token)
      await waiting
      return issued
    }
    const soakp = createClient({ url, token })
    const last = chat(soakp)
    await until(() => given.length === 1, 'a token to be made')
    const left = soakp.logout()
    answer()
    await Promise.all([last, left])
    t.equal(given.length, 1)
    const reply = await fetch(`${url}/auth/verify`, { headers: { authorization: `Bearer ${given[0]}` } })
    t.match(await reply.json(), { code: 'token_revoked' })
    t.equal((await chat(soakp)).status, 200, 'a new call does')
  })

  await t.test('while the backend is down the token goes on for as long as it lasts', async t => {
    let up = true
    const soakp = createClient({
      url,
      token: async () => {
        if (!up) throw new Error('down')
        return backend({ ttl: 4, refresh: false })
      },
    })
    const first = await soakp.token()
    up = false
    await t.rejects(
      until(async () => (await soakp.token()) !== first, 'never'),
      { message: 'down' },
      'until its own end',
    )
    const { exp } = JSON.parse(Buffer.from(first.split('.')[1] ?? '', 'base64url').toString()) as { exp: number }
    t.ok(Date.now() >= exp * 1000 - 1000)
    up = true
    t.equal((await chat(soakp)).status, 200)
  })

  await t.test('it calls nobody but soakp, and says so; installed, it leaves the calls of others alone', async t => {
    const { soakp, asked } = client()
    await t.rejects(soakp.fetch(`${upstream.url}/v1/models`), SoakpClientError)
    await t.rejects(soakp.fetch(url.replace('http:', 'https:')), SoakpClientError)
    t.equal(asked.length, 0)
    const undo = soakp.install('/openai/')
    const before = upstream.requests.length
    await fetch(`${upstream.url}/v1/models`)
    t.equal(upstream.requests[before]?.header('authorization'), undefined)
    t.equal((await fetch(`${url}/openai/v1/models`)).status, 200)
    undo()
    t.equal((await fetch(`${url}/openai/v1/models`)).status, 401)
  })

  await t.test('who leaves does not wait for the token, and does not take it from others', async t => {
    let answer = () => {}
    const waiting = new Promise<void>(resolve => {
      answer = resolve
    })
    const soakp = createClient({ url, token: () => waiting.then(() => backend()) })
    const controller = new AbortController()
    const left = chat(soakp, { signal: controller.signal })
    const stays = chat(soakp)
    controller.abort()
    await t.rejects(left, { name: 'AbortError' })
    answer()
    t.equal((await stays).status, 200)
  })
})
