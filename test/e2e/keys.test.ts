import { Agent } from 'node:https'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { call, chat, chatAsk, open } from '../support/clients.js'
import { freePort, runNode } from '../support/daemon.js'
import { anyProvider, chunk, type Fields, json, openaiChat, openaiEvent, rawThenReset, rawThenStall, sseHead } from '../support/scripts.js'
import { severalKeys } from '../support/several-keys.js'
import { deferred, until, within } from '../support/until.js'
import { seen as atUpstream } from '../support/upstream.js'

// Several keys of one provider: who gets a call, who takes it over, and what is never sent twice.

const limited = (fields: Fields = []) =>
  json({ error: { message: 'Rate limit reached', type: 'requests', param: null, code: 'rate_limit_exceeded' } }, 429, fields)
const spent = json(
  { error: { message: 'You exceeded your current quota.', type: 'insufficient_quota', param: null, code: 'insufficient_quota' } },
  429,
)
const refused = json({ error: { message: 'Incorrect API key provided.', type: 'invalid_request_error', code: 'invalid_api_key' } }, 401)
const broken = json({ error: { message: 'The server had an error', type: 'server_error' } }, 500)

interface KeyJson {
  readonly id: string
  readonly weight: number
  readonly spentAt: string | null
  readonly rejectedAt: string | null
  readonly rests: readonly { readonly model: string | null; readonly until: string; readonly status: number | null }[]
}

t.test('calls are spread by weight, and a change of weight holds from the next call on', async t => {
  const { daemon, token, home, ids, seen, upstream } = await severalKeys(t, { more: [['--weight', '3'], []] })
  for (let i = 0; i < 8; i++) await chat(daemon, token)
  t.strictSame([seen().filter(key => key === 0).length, seen().filter(key => key === 1).length], [6, 2])
  await home.json(['key', 'set', ids[0] as string, '--weight', '0'])
  upstream.forget()
  for (let i = 0; i < 4; i++) await chat(daemon, token)
  t.strictSame(seen(), [1, 1, 1, 1])
})

t.test('a key that is turned away rests for as long as the provider says, and another takes the call over', async t => {
  const forms: Record<string, () => Fields> = {
    seconds: () => [['Retry-After', '30']],
    'a date': () => [['Retry-After', new Date(Date.now() + 30_000).toUTCString()]],
    milliseconds: () => [['retry-after-ms', '30000']],
  }
  for (const [title, fields] of Object.entries(forms)) {
    await t.test(title, async t => {
      const { daemon, token, home, ids, seen, play } = await severalKeys(t, { more: [['--weight', '1000'], []] })
      play(0, limited(fields()))
      const answer = await chat(daemon, token)
      t.equal(answer.status, 200)
      t.equal(answer.headers['retry-after'], undefined, 'nothing of the first reply is left')
      t.equal((await chat(daemon, token)).status, 200)
      t.strictSame(seen(), [0, 1, 1], 'and is passed over')
      t.equal((await chat(daemon, token, { model: 'gpt-5' })).status, 200)
      t.strictSame(seen(), [0, 1, 1, 0, 1], 'for that model only')
      const entries = await home.entries()
      t.match(
        entries.slice(0, 2).map(({ attempt, final, keyId, status, outputTokens }) => ({ attempt, final, keyId, status, outputTokens })),
        [
          { attempt: 1, final: false, keyId: ids[0], status: 429, outputTokens: 0 },
          { attempt: 2, final: true, keyId: ids[1], status: 200, outputTokens: 7 },
        ],
      )
      t.equal(entries[0]?.id, entries[1]?.id)
      t.match(await home.json(['usage', '--by', 'provider']), [{ provider: 'openai', calls: 3 }], 'a call is one call')
      const keys = () => home.json<KeyJson[]>(['key', 'list'])
      await until(async () => (await keys())[0]?.rests.length === 2, 'the rests to be told')
      const [rest] = (await keys())[0]?.rests ?? []
      t.match(rest, { model: String, status: 429 })
      t.ok(Math.abs(Date.parse(rest?.until ?? '') - Date.now() - 25_000) < 20_000)
      await home.json(['key', 'wake', ids[0] as string])
      play(0, anyProvider)
      await chat(daemon, token)
      t.equal(seen().at(-1), 0, 'until it is woken')
      t.strictSame((await keys())[0]?.rests, [])
    })
  }
})

t.test('the official OpenAI SDK, told not to try again, sees success where the first of two keys is turned away', async t => {
  const { daemon, token, home, play, seen } = await severalKeys(t, { more: [['--weight', '1000'], []] })
  play(0, limited([['retry-after-ms', '1']]))
  const env = { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: home.caFile() }
  const child = [join(process.cwd(), 'dist/test/support/sdk-child.js'), 'openai', `${daemon.origin}/openai`, token, 'json', 'stream']
  const ran = await runNode(child, env)
  const report = JSON.parse(ran.stdout)
  t.match(report.json, { returned: { choices: [{ message: { content: 'Hello there' } }] } })
  t.ok(report.stream?.returned?.length > 0)
  t.strictSame(seen(), [0, 1, 0, 1])
})

t.test("an only key's 429 passes unchanged, again and again, and never becomes an error of ours", async t => {
  const { daemon, token, play, seen, home } = await severalKeys(t, { more: [[]] })
  play(0, limited([['Retry-After', '17']]))
  for (let i = 0; i < 3; i++) {
    const answer = await chat(daemon, token)
    t.equal(answer.status, 429)
    t.equal(answer.headers['retry-after'], '17')
    t.equal(answer.json().error.code, 'rate_limit_exceeded')
    t.not(answer.headers['x-should-retry'], 'false')
  }
  play(0, spent)
  for (let i = 0; i < 2; i++) t.equal((await chat(daemon, token)).json().error.code, 'insufficient_quota')
  play(0, anyProvider)
  t.equal((await chat(daemon, token)).status, 200, 'it is asked all the same')
  t.equal(seen().length, 6)
  t.match(await home.json<KeyJson[]>(['key', 'list']), [{ spentAt: null }], 'and what works is no longer spent')
})

t.test('where every key is turned away the last reply is the answer, and each was asked once', async t => {
  const { daemon, token, play, seen } = await severalKeys(t, { more: [[], [], [], []] })
  for (const key of [0, 1, 2, 3]) play(key, limited([['Retry-After', `${40 + key}`]]))
  const answer = await chat(daemon, token)
  t.equal(answer.status, 429)
  t.strictSame(seen(), [0, 1, 2], 'three attempts at most')
  t.equal(answer.headers['retry-after'], '42')
})

t.test('a spent quota puts the key to rest until it is woken, in each dialect, also for other processes', async t => {
  const said: Record<string, [string, number, unknown]> = {
    openai: ['/openai/v1/chat/completions', 429, { error: { type: 'insufficient_quota', code: 'insufficient_quota', message: 'x' } }],
    anthropic: [
      '/anthropic/v1/messages',
      400,
      { type: 'error', error: { type: 'invalid_request_error', message: 'Your credit balance is too low to access the Anthropic API.' } },
    ],
    gemini: [
      '/gemini/v1beta/models/gemini-2.5-flash:generateContent',
      429,
      { error: { code: 429, message: 'Your prepayment credits are depleted.', status: 'RESOURCE_EXHAUSTED' } },
    ],
    deepseek: ['/deepseek/chat/completions', 402, { error: { message: 'Insufficient Balance', type: 'unknown_error' } }],
    openrouter: ['/openrouter/api/v1/chat/completions', 402, { error: { message: 'Insufficient credits', code: 402 } }],
  }
  for (const [provider, [path, status, body]] of Object.entries(said)) {
    await t.test(provider, async t => {
      const { daemon, token, home, ids, seen, play } = await severalKeys(t, { provider })
      play(0, json(body, status))
      const ask = { path, body: JSON.stringify({ model: 'm', messages: [], contents: [] }) }
      for (let i = 0; i < 3; i++) t.equal((await call(daemon, { ...ask, token })).status, 200)
      t.strictSame(seen(), [0, 1, 1, 1])
      t.ok((await home.json<KeyJson[]>(['key', 'list']))[0]?.spentAt)
      if (provider !== 'openai') return
      t.match((await home.run(['key', 'list'])).stdout, /quota spent/)
      t.match((await home.run(['key', 'show', ids[0] as string])).stdout, /quota spent/)
      const again = await home.serve()
      await call(again, { ...ask, token })
      t.equal(seen().at(-1), 1, 'a daemon that starts later knows')
      play(0, anyProvider)
      for (const word of ['wake', 'disable', 'enable']) await home.json(['key', word, ids[0] as string])
      await call(daemon, { ...ask, token })
      await call(daemon, { ...ask, token })
      t.ok(seen().slice(-2).includes(0), 'woken')
    })
  }
})

t.test('one call that is too large for any key puts none to rest', async t => {
  const { daemon, token, play, seen } = await severalKeys(t)
  const large = json(
    { error: { message: 'Request too large for gpt-4o-mini: Limit 30000, Requested 50000.', type: 'tokens', code: 'rate_limit_exceeded' } },
    429,
  )
  for (const key of [0, 1]) play(key, large)
  t.equal((await chat(daemon, token)).status, 429)
  for (const key of [0, 1]) play(key, anyProvider)
  for (let i = 0; i < 4; i++) t.equal((await chat(daemon, token)).status, 200)
  t.same(new Set(seen().slice(-2)), new Set([0, 1]), 'both are asked again')
})

t.test('a refused key hands its calls over and is not asked again until it is rotated', async t => {
  const { daemon, token, home, ids, seen, play } = await severalKeys(t)
  play(0, refused)
  for (let i = 0; i < 3; i++) t.equal((await chat(daemon, token)).status, 200)
  t.strictSame(seen(), [0, 1, 1, 1])
  t.match((await home.entries())[0], { final: false, status: 401, errorCode: 'provider_key_rejected', keyId: ids[0] })
  t.ok((await home.json<KeyJson[]>(['key', 'list']))[0]?.rejectedAt)
  play(1, refused)
  const answer = await chat(daemon, token)
  t.equal(answer.status, 502)
  t.equal(answer.json().error.code, 'provider_key_rejected')
})

t.test('a client is told to come back where the key that is left is only asked too often', async t => {
  const { daemon, token, play } = await severalKeys(t)
  play(0, limited([['Retry-After', '9']]))
  play(1, refused)
  const answer = await chat(daemon, token)
  t.equal(answer.status, 429)
  t.equal(answer.json().error.code, 'keys_resting')
  t.equal(answer.headers['retry-after'], '9')
})

t.test('a key whose host is down hands over to one at another host', async t => {
  const { daemon, token, home, seen } = await severalKeys(t, { baseUrls: [`http://127.0.0.1:${await freePort()}`] })
  for (let i = 0; i < 3; i++) t.equal((await chat(daemon, token)).status, 200)
  t.strictSame(seen(), [1, 1, 1])
  const entries = await home.entries()
  t.match(entries[0], { attempt: 1, final: false, status: 502, errorCode: 'provider_unreachable' })
  t.equal(entries.filter(entry => entry.final).length, 3)
})

t.test('nothing is sent twice once the client has a byte, nor what may have been done', async t => {
  const { daemon, token, play, seen, upstream } = await severalKeys(t, { more: [['--weight', '1000'], []] })
  play(0, rawThenReset(sseHead, chunk(openaiEvent('a'))))
  t.notOk((await chat(daemon, token, { stream: true })).complete)
  t.strictSame(seen(), [0], 'a stream that breaks off')
  upstream.forget()
  play(0, broken)
  t.equal((await chat(daemon, token)).status, 500)
  t.strictSame(seen(), [0], 'an error of the provider')
  upstream.forget()
  play(0, rawThenReset())
  t.equal((await chat(daemon, token)).status, 502)
  t.strictSame(seen(), [0], 'a connection that broke')
})

t.test('what the provider failed goes to another key where the grant says so', async t => {
  const { daemon, token, play, seen, upstream, home, grantId } = await severalKeys(t, {
    more: [['--weight', '1000'], []],
    grant: ['--all', '--retry-5xx'],
    settings: { SOAKP_HEAD_TIMEOUT: '1s' },
  })
  for (const script of [broken, rawThenReset(), rawThenStall()]) {
    upstream.forget()
    play(0, script)
    t.equal((await within(chat(daemon, token), 'a call')).status, 200)
    t.strictSame(seen(), [0, 1])
  }
  await home.json(['token', 'set', grantId, '--no-retry-5xx'])
  play(0, broken)
  t.equal((await chat(daemon, token)).status, 500)
})

t.test('a body that streams is sent again while it is small, byte for byte, and never kept when it is large', async t => {
  const { daemon, token, play, seen, upstream } = await severalKeys(t, { more: [['--weight', '1000'], []], grant: ['--all'] })
  const form = (size: number) =>
    Buffer.concat([
      Buffer.from(
        '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
      ),
      Buffer.alloc(size, 'x'),
      Buffer.from('\r\n--b--\r\n'),
    ])
  const send = (body: Buffer, headers: Record<string, string> = {}, auth = token) =>
    call(daemon, {
      path: '/openai/v1/audio/transcriptions',
      token: auth,
      body,
      headers: { 'content-type': 'multipart/form-data; boundary=b', ...headers },
    })
  play(0, limited([['retry-after-ms', '1']]))
  const small = await send(form(500_000))
  t.equal(small.status, 200)
  t.strictSame(seen(), [0, 1])
  t.equal(upstream.requests[0]?.sha256, upstream.requests[1]?.sha256)
  await delay(5)
  upstream.forget()
  t.equal((await send(form(300_000), { 'transfer-encoding': 'chunked' })).status, 200)
  t.equal(upstream.requests[0]?.sha256, upstream.requests[1]?.sha256, 'of unknown length')
  await delay(5)
  upstream.forget()
  t.equal((await send(form(1_200_000))).status, 429)
  await delay(5)
  t.equal((await send(form(1_200_000), { 'transfer-encoding': 'chunked' })).status, 429)
  t.strictSame(seen(), [0, 0], 'above 1 MB the reply is passed on')
})

t.test('a form under a rule about models goes to no second key before it was judged', async t => {
  const { daemon, play, seen, grant, upstream } = await severalKeys(t, { more: [['--weight', '1000'], []] })
  const { token } = await grant('--all', '--models', 'whisper-1')
  const part = (model: string) => `--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n${model}\r\n--b--\r\n`
  const send = (model: string) =>
    call(daemon, {
      path: '/openai/v1/audio/transcriptions',
      token,
      body: part(model),
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
    })
  play(0, limited([['retry-after-ms', '1']]))
  t.equal((await send('whisper-1')).status, 200)
  t.strictSame(seen(), [0, 1])
  await delay(5)
  upstream.forget()
  // answers before it has the whole of the body
  play(0, async exchange => {
    await exchange.send('HTTP/1.1 429 No\r\nContent-Length: 2\r\n\r\n{}')
    await exchange.left
  })
  const answer = await within(send('gpt-4o-transcribe'), 'a form that is not allowed')
  t.not(answer.status, 200)
  t.notOk(seen().includes(1), 'the other key never saw it')
})

t.test('a call about something of one account stays with its key', async t => {
  const { daemon, token, play, seen } = await severalKeys(t, { grant: ['--all', '--endpoints', 'inference', 'all-resources'] })
  play(0, limited([['retry-after-ms', '1']]))
  const body = JSON.stringify({ model: 'gpt-4o-mini', input: 'hi', previous_response_id: 'resp_1' })
  for (let i = 0; i < 3; i++) t.equal((await call(daemon, { path: '/openai/v1/responses', token, body })).status, 429)
  t.strictSame(seen(), [0, 0, 0])
})

t.test('a client that leaves while its call is handed over ends it', async t => {
  const { daemon, token, play, seen, home, upstream } = await severalKeys(t)
  const arrived = deferred()
  play(0, limited())
  play(1, async exchange => {
    await exchange.body()
    arrived.resolve()
    await exchange.left
  })
  const agent = new Agent({ keepAlive: true })
  const aborted = open(daemon, { ...chatAsk(token), agent }).catch(() => undefined)
  await arrived.promise
  agent.destroy()
  await aborted
  await until(() => upstream.open === 0, 'the upstream call to be aborted')
  await until(async () => (await home.entries()).some(entry => entry.final), 'its line')
  t.strictSame(seen(), [0, 1])
  t.match(await home.entries(), [
    { attempt: 1, final: false, status: 429 },
    { attempt: 2, final: true, status: 499, outcome: 'client_gone' },
  ])
})

t.test('a token that was revoked meanwhile is sent with no second key', async t => {
  const { daemon, token, play, seen, home, grantId } = await severalKeys(t)
  play(0, async exchange => {
    await exchange.body()
    await home.json(['token', 'revoke', grantId])
    await limited()(exchange)
  })
  t.equal((await chat(daemon, token)).status, 429)
  t.strictSame(seen(), [0])
})

t.test('a key that was removed meanwhile takes nothing over', async t => {
  const { daemon, token, play, seen, home, ids } = await severalKeys(t)
  play(0, async exchange => {
    await exchange.body()
    await home.json(['key', 'remove', ids[1] as string])
    await limited()(exchange)
  })
  t.equal((await chat(daemon, token)).status, 429)
  t.strictSame(seen(), [0])
})

t.test("a user's own key is used for that user alone, and before the tenant's", async t => {
  const { daemon, seen, grant, upstream } = await severalKeys(t, { more: [[], ['--user', 'alice']] })
  const alice = await grant('--all', '--subject', 'alice')
  const bob = await grant('--all', '--subject', 'bob')
  for (let i = 0; i < 2; i++) await chat(daemon, alice.token)
  t.strictSame(seen(), [1, 1])
  upstream.forget()
  for (let i = 0; i < 2; i++) await chat(daemon, bob.token)
  t.strictSame(seen(), [0, 0])
})

t.test('of two hundred calls at once with one key that dies midway each is answered, and the ledger has every attempt once', async t => {
  const { daemon, token, play, seen, home, ids } = await severalKeys(t)
  let left = 40
  play(0, exchange => (left-- > 0 ? json(openaiChat) : refused)(exchange))
  const answers = await Promise.all(Array.from({ length: 200 }, () => chat(daemon, token)))
  t.strictSame(
    answers.filter(answer => answer.status !== 200),
    [],
  )
  const entries = await home.entries()
  t.equal(entries.filter(entry => entry.final).length, 200)
  t.equal(new Set(entries.map(entry => `${entry.id} ${entry.attempt}`)).size, entries.length)
  for (const key of [0, 1])
    t.equal(entries.filter(entry => entry.keyId === ids[key]).length, seen().filter(shown => shown === key).length, `key ${key}`)
  t.match(await home.json(['usage', '--by', 'provider']), [{ calls: 200 }])
})

t.test('after kill -9 while calls are handed over every call that was answered has its one final line', async t => {
  const { daemon, token, play, home, upstream } = await severalKeys(t)
  play(0, limited([['retry-after-ms', '1']]))
  const answered: string[] = []
  const work = async () => {
    while (daemon.alive()) {
      const answer = await chat(daemon, token).catch(() => undefined)
      if (answer?.status === 200 && answer.complete) answered.push(String(answer.headers['x-request-id']))
    }
  }
  const workers = Array.from({ length: 8 }, work)
  await atUpstream(upstream, 150)
  await daemon.kill()
  await Promise.all(workers)
  const entries = await home.entries()
  const finals = entries.filter(entry => entry.final).map(entry => entry.id)
  t.equal(new Set(finals).size, finals.length)
  t.strictSame(
    answered.filter(id => !finals.includes(id)),
    [],
  )
  t.ok(entries.some(entry => !entry.final))
  t.strictSame(await home.verify(), [])
})
