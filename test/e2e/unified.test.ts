import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import t from 'tap'
import { Agent, fetch as undiciFetch } from 'undici'
import { type Answer, call } from '../support/clients.js'
import type { Daemon } from '../support/daemon.js'
import { anyProvider, json } from '../support/scripts.js'
import { freshKey, makeStage } from '../support/stage.js'
import { until } from '../support/until.js'
import type { Script } from '../support/upstream.js'

// One base URL for every provider: what the model names decides where a call goes.

const lists: Readonly<Record<string, unknown>> = {
  '/v1/models': { object: 'list', data: [{ id: 'gpt-5', object: 'model', created: 1_700_000_000, owned_by: 'openai' }] },
  '/openai/v1/models': { object: 'list', data: [{ id: 'openai/gpt-oss-120b', object: 'model', created: 1_700_000_001, owned_by: 'groq' }] },
  '/v1beta/openai/models': { object: 'list', data: [{ id: 'models/gemini-2.5-flash', object: 'model', owned_by: 'google' }] },
}

const script: Script = exchange => {
  const list = lists[exchange.request.target.split('?', 1)[0] ?? '']
  return (exchange.request.method === 'GET' && list ? json(list) : anyProvider)(exchange)
}

const body = (model: unknown, more: Record<string, unknown> = {}) =>
  JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], model, ...more })

const chat = (daemon: Daemon, token: string, model: unknown, more: Record<string, unknown> = {}): Promise<Answer> =>
  call(daemon, { path: '/v1/chat/completions', token, body: body(model, more) })

const trusting = (daemon: Daemon) => {
  const dispatcher = new Agent({ connect: { ca: daemon.ca } })
  return ((url: string, init: object) => undiciFetch(url, { ...init, dispatcher })) as unknown as typeof fetch
}

t.test('the unified endpoint', async t => {
  const { daemon, upstream, home, grant, secrets } = await makeStage(t, { providers: ['openai', 'anthropic', 'gemini', 'groq'], script })
  const all = await grant('--all')
  const last = () => upstream.requests.at(-1)

  await t.test('a model with a provider in front goes to that provider’s own compatible path, with its key and its own name', async t => {
    const cases = [
      ['openai/gpt-5', 'openai', '/v1/chat/completions', 'gpt-5'],
      ['anthropic/claude-sonnet-4-5', 'anthropic', '/v1/chat/completions', 'claude-sonnet-4-5'],
      ['gemini/gemini-2.5-flash', 'gemini', '/v1beta/openai/chat/completions', 'gemini-2.5-flash'],
      ['groq/openai/gpt-oss-120b', 'groq', '/openai/v1/chat/completions', 'openai/gpt-oss-120b'],
    ] as const
    for (const [model, provider, path, native] of cases) {
      const answer = await chat(daemon, all.token, model)
      t.equal(answer.status, 200, model)
      t.equal(last()?.target, path)
      const sent = await last()?.done
      t.equal(sent?.toString(), body(native), 'nothing but the model changed')
      t.ok(JSON.stringify(last()?.headers).includes(secrets[provider] as string), `${provider}’s own key`)
    }
    const entry = (await home.entries()).at(-1)
    t.match(entry, {
      provider: 'groq',
      endpoint: '/openai/v1/chat/completions',
      model: 'openai/gpt-oss-120b',
      inputTokens: 11,
      outputTokens: 7,
    })
  })

  await t.test(
    'a name without a provider goes to the only one the grant opens, slashes and all; with several it is refused and says how to write it',
    async t => {
      const one = await grant('--provider', 'groq')
      t.equal((await chat(daemon, one.token, 'openai/gpt-oss-120b')).status, 200, 'openai is not opened, so it is a part of the name')
      t.equal(last()?.target, '/openai/v1/chat/completions')
      t.equal((await last()?.done)?.toString(), body('openai/gpt-oss-120b'))
      upstream.forget()
      const answer = await chat(daemon, all.token, 'gpt-5')
      t.equal(answer.status, 400)
      t.match(answer.json().error.message, /openai\/gpt-5/)
      t.equal(upstream.requests.length, 0)
    },
  )

  await t.test('rules about models hold for the provider’s own name', async t => {
    const { token } = await grant('--all', '--models', 'gpt-5')
    t.equal((await chat(daemon, token, 'openai/gpt-5')).status, 200)
    upstream.forget()
    for (const model of ['openai/gpt-4o', 'groq/openai/gpt-oss-120b', 'gpt-5/gpt-5'])
      t.not((await chat(daemon, token, model)).status, 200, model)
    t.equal(upstream.requests.length, 0)
  })

  await t.test('a model said twice, in two spellings, not at all or as no text is refused before anything leaves', async t => {
    upstream.forget()
    const bodies: [string, string][] = [
      ['{"model":"openai/gpt-5","model":"groq/x"}', 'ambiguous_body'],
      ['{"model":"openai/gpt-5","Model":"groq/x"}', 'ambiguous_body'],
      ['{"messages":[]}', 'invalid_request'],
      ['{"model":["openai/gpt-5"]}', 'invalid_request'],
      ['{"model":""}', 'invalid_request'],
      ['not json', 'invalid_body'],
      ['', 'invalid_body'],
    ]
    for (const [text, code] of bodies) {
      const answer = await call(daemon, { method: 'POST', path: '/v1/chat/completions', token: all.token, body: text })
      t.equal(answer.status, 400, text)
      t.equal(answer.json().error.code, code, text)
    }
    t.equal(upstream.requests.length, 0)
  })

  await t.test('account-wide resources and whatever else the endpoint does not serve stay closed, however open the grant', async t => {
    const { token } = await grant('--all', '--endpoints', '*', '/v1/files/**', '/openai/v1/files/**')
    upstream.forget()
    for (const path of [
      '/v1/files',
      '/v1/batches',
      '/v1/organization/users',
      '/v1/chat/completions/x',
      '/v1/../openai/v1/files',
      '/v1',
      '/v1/',
    ]) {
      const answer = await call(daemon, { path, token })
      t.ok(answer.status >= 400, path)
    }
    t.equal((await call(daemon, { path: '/v1/responses/resp_1', token })).status, 403)
    t.equal((await call(daemon, { path: '/v1/chat/completions', token })).status, 405)
    t.equal(upstream.requests.length, 0)
  })

  await t.test('a stream comes through, is metered, and the question for usage leaves no trace', async t => {
    const answer = await chat(daemon, all.token, 'groq/llama', { stream: true })
    t.match(answer.text(), /data: \[DONE\]\n\n$/)
    t.notMatch(answer.text(), /"choices":\[\],"usage"/)
    t.match((await home.entries()).at(-1), { provider: 'groq', model: 'llama', outputTokens: 7, usageSource: 'provider' })
  })

  await t.test('a form’s model decides too, and the rest of the form travels unchanged', async t => {
    const audio = Buffer.from(Array.from({ length: 5000 }, (_, at) => at % 256))
    const part = (disposition: string, content: Uint8Array | string) =>
      Buffer.concat([
        Buffer.from(`--XyZ\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`),
        Buffer.from(content as string),
        Buffer.from('\r\n'),
      ])
    const form = (model: string) =>
      Buffer.concat([
        part('name="file"; filename="a.wav"', audio),
        part('name="model"', model),
        part('name="language"', 'de'),
        Buffer.from('--XyZ--\r\n'),
      ])
    const headers = { 'content-type': 'multipart/form-data; boundary=XyZ' }
    const send = (bytes: Buffer) => call(daemon, { path: '/v1/audio/transcriptions', token: all.token, body: bytes, headers })
    t.equal((await send(form('groq/whisper-large-v3'))).status, 200)
    t.equal(last()?.target, '/openai/v1/audio/transcriptions')
    t.ok((await last()?.done)?.equals(form('whisper-large-v3')))
    upstream.forget()
    const twice = Buffer.concat([part('name="model"', 'openai/whisper-1'), form('groq/whisper-large-v3')])
    t.equal((await send(twice)).json().error.code, 'ambiguous_body')
    t.equal(upstream.requests.length, 0)
  })

  await t.test('GET /v1/models lists what the grant opens, ready to be sent back; a provider that fails is left out', async t => {
    const client = new OpenAI({ apiKey: all.token, baseURL: `${daemon.origin}/v1`, fetch: trusting(daemon), maxRetries: 0 })
    const ids = (await client.models.list()).data.map(model => model.id)
    t.same(ids.sort(), ['anthropic/gpt-5', 'gemini/gemini-2.5-flash', 'groq/openai/gpt-oss-120b', 'openai/gpt-5'])
    for (const id of ids) t.equal((await chat(daemon, all.token, id)).status, 200, id)
    t.equal((await client.models.retrieve('groq/openai/gpt-oss-120b')).owned_by, 'groq')
    t.type(await client.models.retrieve('groq/no-such-model').catch((error: unknown) => error), OpenAI.NotFoundError)
    const narrow = await grant('--provider', 'openai', 'groq', '--models', 'openai/*')
    const listed = await call(daemon, { path: '/v1/models', token: narrow.token })
    t.same(
      listed.json().data.map((model: { id: string }) => model.id),
      ['groq/openai/gpt-oss-120b'],
    )
    t.match((await home.entries()).at(-1), { provider: 'v1', endpoint: '/models', status: 200 })
  })

  await t.test('Anthropic’s SDK speaks to /v1/messages at the same root; its errors are Anthropic’s', async t => {
    const client = new Anthropic({ apiKey: all.token, baseURL: daemon.origin, fetch: trusting(daemon), maxRetries: 0 })
    const message = await client.messages.create({
      model: 'anthropic/claude-sonnet-4-5',
      max_tokens: 9,
      messages: [{ role: 'user', content: 'hi' }],
    })
    t.match(message.content, [{ type: 'text', text: 'Hello there' }])
    t.equal(last()?.target, '/v1/messages')
    t.match((await last()?.done)?.toString(), '"model":"claude-sonnet-4-5"')
    const openai = client.messages.create({ model: 'openai/gpt-5', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] })
    t.type(await openai.catch((error: unknown) => error), Anthropic.PermissionDeniedError)
    const nobody = new Anthropic({ apiKey: 'nonsense', baseURL: daemon.origin, fetch: trusting(daemon), maxRetries: 0 })
    t.type(
      await nobody.messages.create({ model: 'x', max_tokens: 1, messages: [] }).catch((error: unknown) => error),
      Anthropic.AuthenticationError,
    )
    const models = await client.models.list()
    t.ok(models.data.some(model => model.id === 'groq/openai/gpt-oss-120b' && model.type === 'model'))
  })

  await t.test('an error of ours is worded in the dialect that the call is in, whoever it was for', async t => {
    const { token } = await grant('--provider', 'anthropic')
    upstream.forget()
    const refused = (await call(daemon, { path: '/v1/responses', token, body: '{"model":"claude-sonnet-4-5","input":"hi"}' })).json()
    t.match(refused, { error: { code: 'endpoint_not_open', message: /Anthropic is not known to have it/ } })
    t.equal(refused.type, undefined, 'not in Anthropic’s')
    const narrow = await grant('--provider', 'anthropic', '--models', 'claude-haiku-*')
    t.match((await chat(daemon, narrow.token, 'claude-opus-4-8')).json(), { error: { code: 'model_not_allowed', param: null } })
    const closed = (await call(daemon, { path: '/v1/messages', token: narrow.token, body: body('claude-opus-4-8') })).json()
    t.match(closed, { type: 'error', error: { type: 'permission_error' } })
    const none = (await chat(daemon, all.token, 'deepseek/deepseek-chat')).json()
    t.match(none.error, { code: 'invalid_request', message: /opens no deepseek.*openai\//s })
    t.equal(upstream.requests.length, 0)
  })

  await t.test('an alias stands for a model, is pointed elsewhere from the next call on, and opens only what the grant opens', async t => {
    await home.json(['alias', 'set', 'fast=groq/llama-3.3-70b'])
    t.equal((await chat(daemon, all.token, 'fast')).status, 200)
    t.equal((await last()?.done)?.toString(), body('llama-3.3-70b'))
    await home.json(['alias', 'set', 'fast=openai/gpt-5-nano'])
    t.equal((await chat(daemon, all.token, 'fast')).status, 200)
    t.equal(last()?.target, '/v1/chat/completions')
    t.equal((await last()?.done)?.toString(), body('gpt-5-nano'))
    const listed = await call(daemon, { path: '/v1/models', token: all.token })
    t.ok(listed.json().data.some((model: { id: string }) => model.id === 'fast'))
    upstream.forget()
    const other = await grant('--provider', 'groq')
    t.equal((await chat(daemon, other.token, 'fast')).status, 403)
    const ruled = await grant('--all', '--models', 'llama-*')
    t.equal((await chat(daemon, ruled.token, 'fast')).status, 403)
    t.equal(upstream.requests.length, 0)
    const named = await grant('--all', '--models', 'fast')
    t.equal((await chat(daemon, named.token, 'fast')).status, 200, 'a grant may be limited to an alias')
    t.equal((await chat(daemon, named.token, 'openai/gpt-5-nano')).status, 403)
    await home.json(['alias', 'remove', 'fast'])
    t.equal((await chat(daemon, all.token, 'fast')).status, 400)
  })

  await t.test('limits of the grant count calls of both kinds together', async t => {
    const { token } = await grant('--all', '--rate', '3/h')
    t.equal((await chat(daemon, token, 'groq/a')).status, 200)
    t.equal((await call(daemon, { path: '/groq/openai/v1/chat/completions', token, body: body('a') })).status, 200)
    t.equal((await call(daemon, { path: '/v1/models', token })).status, 200)
    t.equal((await chat(daemon, token, 'groq/a')).status, 429)
    t.equal((await call(daemon, { path: '/v1/models', token })).status, 429)
  })

  await t.test('a page’s preflight and call work from the grant’s origin and from no other', async t => {
    const { token } = await grant('--all', '--origin', 'https://app.example')
    const preflight = await call(daemon, {
      method: 'OPTIONS',
      path: '/v1/chat/completions',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    })
    t.equal(preflight.headers['access-control-allow-origin'], 'https://app.example')
    const from = (origin: string) => call(daemon, { path: '/v1/chat/completions', token, body: body('groq/a'), headers: { origin } })
    t.equal((await from('https://app.example')).headers['access-control-allow-origin'], 'https://app.example')
    upstream.forget()
    t.equal((await from('https://evil.example')).status, 403)
    t.equal((await call(daemon, { path: '/v1/models', token })).status, 403, 'the list too')
    t.equal(upstream.requests.length, 0)
  })

  await t.test(
    'a provider of one’s own with an OpenAI dialect joins under its name, with or without a version in its base URL',
    async t => {
      const secret = freshKey('openai')
      await home.addKey('mine', { secret, baseUrl: `${upstream.url}/base/v1` })
      await home.addKey('bare', { secret, baseUrl: `${upstream.url}/root` })
      t.equal((await chat(daemon, all.token, 'mine/m')).status, 200)
      t.equal(last()?.target, '/base/v1/chat/completions')
      t.equal((await chat(daemon, all.token, 'bare/m')).status, 200)
      t.equal(last()?.target, '/root/v1/chat/completions')
      await home.addKey('azure', { secret: 'a'.repeat(32), baseUrl: upstream.url })
      t.equal((await chat(daemon, all.token, 'azure/our-chat')).status, 200, 'by the other name of a provider, too')
      t.equal(last()?.target, '/openai/v1/chat/completions')
      await home.json(['alias', 'set', 'ours=azure/our-chat'])
      t.equal((await chat(daemon, all.token, 'ours')).status, 200)
    },
  )
})

t.test('a provider that does not answer keeps the others’ models from nobody, and its own are listed once it has answered', async t => {
  let open = () => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  const hanging: Script = async exchange => {
    if (exchange.request.target.startsWith('/openai/v1/models')) await opened
    await script(exchange)
  }
  const { daemon, grant } = await makeStage(t, { providers: ['openai', 'groq'], script: hanging })
  const { token } = await grant('--all')
  const listed = async () => {
    const answer = await call(daemon, { path: '/v1/models', token })
    return (JSON.parse(answer.text()) as { data: { id: string }[] }).data.map(({ id }) => id)
  }
  const inTime = await listed()
  t.ok(inTime.some(id => id === 'openai/gpt-5'))
  t.notOk(inTime.some(id => id.startsWith('groq/')))
  open()
  await until(async () => (await listed()).includes('groq/openai/gpt-oss-120b'), 'the models of the provider that was late')
})

t.test('the models of a provider whose first key is turned away are listed by another one', async t => {
  const good = `sk-proj-good-${'g'.repeat(30)}`
  const picky: Script = exchange =>
    (exchange.request.header('authorization') ?? '').includes(good) ? script(exchange) : json({ error: { message: 'no' } }, 401)(exchange)
  const { daemon, home, upstream, token } = await makeStage(t, { script: picky })
  await home.addKey('openai', { secret: good, baseUrl: upstream.url, name: 'good' })
  const answer = await call(daemon, { path: '/v1/models', token })
  t.match(answer.json().data, [{ id: 'openai/gpt-5' }])
})
