import t from 'tap'
import { answerOf, call, chat, chatAsk, open } from '../support/clients.js'
import { anyProvider, rawThenStall, sseHead } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { until } from '../support/until.js'

// What a grant allows, held against calls that race, and given back where it is due.

t.test('rules of a grant', async t => {
  const { daemon, home, upstream, grant } = await makeStage(t, { providers: ['openai', 'anthropic', 'deepl'] })

  await t.test('of 60 racing calls under a rate of 10 an hour, exactly 10 leave; the others are told when to come back', async t => {
    const { token } = await grant('--all', '--rate', '10/h')
    upstream.forget()
    const answers = await Promise.all(Array.from({ length: 60 }, () => chat(daemon, token)))
    t.equal(upstream.requests.length, 10)
    t.equal(answers.filter(answer => answer.status === 200).length, 10)
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      t.equal(answer.status, 429)
      t.equal(answer.json().error.code, 'rate_limited')
      t.ok(Number(answer.headers['retry-after']) > 0)
    }
  })

  await t.test('a rate is the grant’s, not the token’s: a replaced token brings no new one', async t => {
    const stage = await grant('--all', '--rate', '3/h')
    for (let index = 0; index < 3; index++) t.equal((await chat(daemon, stage.token)).status, 200)
    t.equal((await chat(daemon, stage.token)).status, 429)
  })

  await t.test(
    'of 20 racing streams under a concurrency of 5, exactly 5 leave; a place is free again when a stream ends, however it ends',
    async t => {
      const { token } = await grant('--all', '--concurrency', '5')
      upstream.forget()
      upstream.use(rawThenStall(sseHead))
      const replies = await Promise.all(Array.from({ length: 20 }, () => open(daemon, chatAsk(token, { stream: true }))))
      t.equal(upstream.requests.length, 5)
      const refused = replies.filter(reply => reply.statusCode === 429)
      t.equal(refused.length, 15)
      for (const reply of refused) t.equal((await answerOf(reply)).json().error.code, 'concurrency_limited')
      for (const reply of replies) reply.destroy()
      await until(() => upstream.open === 0, 'the streams to end')
      upstream.use(exchange => exchange.reset())
      for (let index = 0; index < 10; index++) t.equal((await chat(daemon, token)).status, 502, 'a failed call gives its place back')
      upstream.use(anyProvider)
      const again = await Promise.all(Array.from({ length: 5 }, () => chat(daemon, token)))
      t.strictSame(
        again.map(({ status }) => status),
        [200, 200, 200, 200, 200],
      )
    },
  )

  await t.test('a provider that the grant does not name stays closed, and so do its models', async t => {
    const { token } = await grant('--provider', 'openai', '--models', 'gpt-4o-*', 'gpt-5')
    const body = JSON.stringify({ model: 'claude-sonnet-4-5', max_tokens: 5, messages: [] })
    const other = await call(daemon, { path: '/anthropic/v1/messages', body, token })
    t.equal(other.status, 403)
    t.match(other.json(), { type: 'error', error: { type: 'permission_error' } })
    t.equal((await chat(daemon, token, { model: 'gpt-4o-mini' })).status, 200)
    t.equal((await chat(daemon, token, { model: 'gpt-5' })).status, 200)
    t.equal((await chat(daemon, token, { model: 'gpt-5-mini' })).json().error.code, 'model_not_allowed')
    t.equal((await chat(daemon, token, { model: 'o1' })).json().error.code, 'model_not_allowed')
  })

  await t.test('where no call names a model, a grant for some models opens nothing that it does not name itself', async t => {
    const translate = (token: string) =>
      call(daemon, { path: '/deepl/v2/translate', token, body: JSON.stringify({ text: ['hi'], target_lang: 'DE' }) })
    t.equal((await translate((await grant('--all')).token)).status, 200)
    const { token, id } = await grant('--all', '--models', 'gpt-4o-*')
    const refused = await translate(token)
    t.equal(refused.status, 403)
    t.match(refused.text(), /model of this call cannot be told/)
    t.match(refused.text(), `soakp token set ${id} --endpoints 'inference' 'POST /deepl/v2/translate'`)
    t.equal((await call(daemon, { path: '/deepl/v2/languages', token })).status, 200, 'what does no work stays open')
    await home.json(['token', 'set', id, '--endpoints', 'inference', 'POST /deepl/v2/translate'])
    t.equal((await translate(token)).status, 200)
  })

  await t.test('a call may not ask for more output than the grant allows', async t => {
    const { token } = await grant('--all', '--max-output', '100')
    const ask = (more: object) => chat(daemon, token, { body: JSON.stringify({ model: 'gpt-4o-mini', messages: [], ...more }) })
    t.equal((await ask({ max_tokens: 100 })).status, 200)
    t.equal((await ask({ max_completion_tokens: 100 })).status, 200)
    for (const more of [
      { max_tokens: 101 },
      { max_completion_tokens: 101 },
      { max_tokens: 5, max_completion_tokens: 101 },
      { max_tokens: 1e9 },
    ]) {
      const answer = await ask(more)
      t.equal(answer.status, 403, JSON.stringify(more))
      t.equal(answer.json().error.code, 'output_too_large')
    }
  })

  await t.test(
    'a grant for a web origin serves that origin, says so to browsers even in refusals, and refuses others and none',
    async t => {
      const { token } = await grant('--all', '--origin', 'https://app.example')
      const from = (origin?: string) => chat(daemon, token, origin === undefined ? {} : { headers: { origin } })
      const good = await from('https://app.example')
      t.equal(good.status, 200)
      t.equal(good.headers['access-control-allow-origin'], 'https://app.example')
      t.match(good.headers.vary, /origin/i)
      t.equal(good.headers['access-control-allow-credentials'], undefined)
      for (const origin of ['https://app.example.evil', 'http://app.example', 'null', undefined]) {
        const answer = await from(origin)
        t.equal(answer.status, 403, `${origin}`)
        t.equal(answer.json().error.code, 'origin_not_allowed')
      }
      const refused = await chat(daemon, 'nonsense', { headers: { origin: 'https://app.example' } })
      t.equal(refused.status, 401)
      const preflight = await call(daemon, {
        method: 'OPTIONS',
        path: '/openai/v1/chat/completions',
        headers: {
          origin: 'https://app.example',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization, content-type, x-stainless-lang',
        },
      })
      t.ok(preflight.status === 204 || preflight.status === 200)
      t.equal(preflight.headers['access-control-allow-origin'], 'https://app.example')
      t.match(preflight.headers['access-control-allow-headers'], /authorization/i)
      const strange = await call(daemon, {
        method: 'OPTIONS',
        path: '/openai/v1/chat/completions',
        headers: { origin: 'https://stranger.example', 'access-control-request-method': 'POST' },
      })
      t.equal(strange.headers['access-control-allow-origin'], undefined)
    },
  )

  await t.test('a grant for an address block serves it and nobody else, whatever a header claims', async t => {
    const inside = await grant('--all', '--ip', '127.0.0.0/8')
    const outside = await grant('--all', '--ip', '10.0.0.0/8')
    t.equal((await chat(daemon, inside.token)).status, 200)
    const answer = await chat(daemon, outside.token, {
      headers: { 'x-forwarded-for': '10.0.0.1', 'x-real-ip': '10.0.0.1', forwarded: 'for=10.0.0.1' },
    })
    t.equal(answer.status, 403)
    t.equal(answer.json().error.code, 'address_not_allowed')
  })

  await t.test('an endpoint that a grant names is open to it, and only by the method named', async t => {
    const { token } = await grant('--all', '--endpoints', 'GET /v1/files', 'inference')
    t.equal((await call(daemon, { path: '/openai/v1/files', token })).status, 200)
    t.equal((await call(daemon, { method: 'DELETE', path: '/openai/v1/files', token })).status, 403)
    t.equal((await call(daemon, { path: '/openai/v1/files/file-1', token })).status, 403)
    t.equal((await chat(daemon, token)).status, 200)
  })
})
