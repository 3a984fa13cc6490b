import t from 'tap'
import { call, callHttp2, chat, exchangeRaw, http2 } from '../support/clients.js'
import { anyProvider, head, json, raw, whole } from '../support/scripts.js'
import { freshKey, makeStage } from '../support/stage.js'

// Ways around a rule: a body that calls itself something else, a number that means another one, a method nobody thought of.

t.test('evasion', async t => {
  const { home, daemon, upstream, token, grant } = await makeStage(t, { script: anyProvider, providers: ['openai', 'anthropic', 'mine'] })
  const ruled = (await grant('--all', '--models', 'gpt-4o-mini', '--endpoints', '*')).token
  const graded = (
    await grant('--all', '--models', 'gpt-4o-mini', '--endpoints', 'inference', '/v1/evals/**', '/v1/fine_tuning/**', 'all-resources')
  ).token
  const short = (await grant('--all', '--max-output', '100', '--endpoints', '*')).token
  const wide = (await grant('--all', '--endpoints', '*')).token
  const forbidden = '{"model":"gpt-5","messages":[]}'

  await t.test('a rule about models sees the body of a call whatever type or charset the body says it has', async t => {
    upstream.forget()
    const types = [
      'multipart/form-data; boundary=x',
      'MULTIPART/FORM-DATA',
      'application/x-www-form-urlencoded',
      'text/plain',
      'application/octet-stream',
      '',
      'application/json; charset=utf-16',
      'application/json; charset="utf-7"',
    ]
    for (const type of types) {
      const answer = await chat(daemon, ruled, { body: forbidden, headers: { 'content-type': type } })
      t.ok([400, 403, 415].includes(answer.status), `${type}: ${answer.status}`)
    }
    const allowed = '{"model":"gpt-4o-mini","messages":[]}'
    for (const type of ['application/json; charset=utf-8', 'application/json; charset="UTF-8"', 'text/plain'])
      t.equal((await chat(daemon, ruled, { body: allowed, headers: { 'content-type': type } })).status, 200, type)
    t.equal(upstream.requests.length, 3)
  })

  await t.test('a rule about models sees those that a call names beside its own: fallbacks, graders, and the word for any', async t => {
    const body = '"model":"gpt-4o-mini","messages":[],"max_tokens":5'
    for (const [path, text] of [
      ['/anthropic/v1/messages', `{${body},"fallbacks":"default"}`],
      ['/anthropic/v1/messages', `{${body},"fallbacks":[{"model":"gpt-5"}]}`],
      ['/anthropic/v1/messages', `{${body},"tools":[{"type":"advisor_20260301","name":"advisor","model":"gpt-5"}]}`],
      ['/mine/v1/chat/completions', `{${body},"fallbacks":["gpt-5"]}`],
      ['/mine/v1/chat/completions', `{${body},"fallbacks":[["gpt-5"],{"model":"gpt-5"}]}`],
      ['/openai/v1/evals', '{"data_source":{"model":"gpt-4o-mini"},"testing_criteria":[{"type":"score_model","model":"gpt-5"}]}'],
      [
        '/openai/v1/fine_tuning/jobs',
        '{"model":"gpt-4o-mini","method":{"reinforcement":{"grader":{"graders":{"model":{"model":"gpt-5"}}}}}}',
      ],
    ] as const) {
      upstream.forget()
      const answer = await call(daemon, { path, token: graded, body: text })
      t.equal(answer.status, 403, `${path} ${text}: ${answer.text()}`)
      t.equal(upstream.requests.length, 0, text)
    }
    for (const [path, text] of [
      ['/anthropic/v1/messages', `{${body},"fallbacks":[{"model":"gpt-4o-mini","max_tokens":5}]}`],
      ['/anthropic/v1/messages', `{${body},"fallbacks":null}`],
      [
        '/openai/v1/evals',
        '{"data_source":{"model":"gpt-4o-mini"},"testing_criteria":[{"type":"multi","graders":{"a":{"model":"gpt-4o-mini"}}}]}',
      ],
    ] as const)
      t.equal((await call(daemon, { path, token: graded, body: text })).status, 200, text)
  })

  await t.test(
    'a stored credential of the account goes into no environment that a client describes, and an environment is its maker’s',
    async t => {
      await home.addKey('gemini', { secret: freshKey('gemini'), baseUrl: upstream.url })
      const { token: mine } = await grant('--provider', 'gemini')
      upstream.use(json({ id: 'int_1', environment_id: 'env_1', status: 'completed', usage: { total_tokens: 2, total_input_tokens: 1 } }))
      const ask = (token: string, environment: unknown) =>
        call(daemon, { path: '/gemini/v1beta/interactions', token, body: JSON.stringify({ model: 'm', input: 'hi', environment }) })
      t.equal(
        (await ask(mine, { type: 'remote', env: { A: 'b', C: { value: 'd' } }, network: { allowlist: [{ domain: '*' }] } })).status,
        200,
      )
      t.equal((await ask(mine, 'env_1')).status, 200)
      t.equal((await ask(mine, { type: 'remote', environment_id: 'environments/env_1' })).status, 200)
      upstream.forget()
      const network = { allowlist: [{ domain: 'evil.example', credential: 'credentials/abc' }] }
      t.equal((await ask(mine, { type: 'remote', network })).status, 404)
      t.equal((await ask(mine, { type: 'remote', network: { allowlist: network.allowlist[0] } })).status, 404, 'one in place of a list')
      t.equal((await ask(mine, { type: 'remote', env: { TOKEN: { credential: 'abc' } } })).status, 404)
      for (const environment of ['env_1', 'environments/env_1', { type: 'remote', environment_id: 'env_1' }])
        t.equal((await ask(wide, environment)).status, 404, JSON.stringify(environment))
      t.equal((await call(daemon, { path: '/gemini/v1beta/credentials', token: wide })).json().error.code, 403)
      t.equal(upstream.requests.length, 0)
      upstream.use(anyProvider)
    },
  )

  await t.test('two content types in one request are refused', async t => {
    upstream.forget()
    const start = `POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ruled}\r\n`
    for (const types of [
      ['application/json', 'multipart/form-data; boundary=x'],
      ['multipart/form-data; boundary=x', 'application/json'],
    ]) {
      const named = types.map(type => `Content-Type: ${type}\r\n`).join('')
      t.match(await exchangeRaw(daemon, `${start}${named}Content-Length: ${forbidden.length}\r\n\r\n${forbidden}`), /^HTTP\/1\.1 400 /)
    }
    t.equal(upstream.requests.length, 0)
  })

  await t.test('a rule about models holds for a call that names its model in the path and has a body besides', async t => {
    upstream.forget()
    const ask = (headers: Record<string, string>) =>
      call(daemon, { method: 'GET', path: '/openai/v1/models/gpt-5', token: ruled, body: '{}', headers })
    t.equal((await ask({})).status, 403)
    t.equal((await ask({ 'transfer-encoding': 'chunked' })).status, 403)
    t.equal(upstream.requests.length, 0)
  })

  await t.test('a batch of a file whose models nobody has seen is refused under a rule about models', async t => {
    const batches = (await grant('--all', '--models', 'gpt-4o-mini', '--endpoints', '/v1/batches/**', 'all-resources')).token
    const body = '{"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h"}'
    t.equal((await call(daemon, { path: '/openai/v1/batches', token: batches, body })).json().error.code, 'model_unknown')
    t.equal((await call(daemon, { path: '/openai/v1/batches', token: batches })).status, 200)
  })

  await t.test('a limit on output takes only plain numbers, counts every choice, and refuses endpoints it knows nothing of', async t => {
    upstream.forget()
    const ask = (members: string) => chat(daemon, short, { body: `{"model":"m","messages":[],${members}}` })
    for (const members of [
      '"max_tokens":-1',
      '"max_tokens":0',
      '"max_tokens":1e400',
      '"max_tokens":"5"',
      '"max_tokens":5,"max_completion_tokens":"999999"',
      '"max_tokens":5,"max_completion_tokens":-1',
      '"max_tokens":5,"max_completion_tokens":[999999]',
      '"max_tokens":5,"n_predict":999999',
      '"max_tokens":100,"n":2',
      '"max_tokens":100,"n":"100"',
      '"max_tokens":60,"best_of":2',
      '"max_tokens":null',
      '"max_tokens":5,"Max_Tokens":999999',
    ]) {
      const answer = await ask(members)
      t.ok(answer.status === 403 || answer.status === 400, `${members}: ${answer.status}`)
    }
    t.equal((await call(daemon, { path: '/openai/v9/generate', token: short, body: '{"x":1}' })).json().error.code, 'output_too_large')
    t.equal(upstream.requests.length, 0)
    for (const members of [
      '"max_tokens":100',
      '"max_tokens":null,"max_completion_tokens":5',
      '"max_tokens":50,"n":2',
      '"max_tokens":5,"n":null',
    ])
      t.equal((await ask(members)).status, 200, members)
  })

  await t.test('a method whose reply repeats the request, or that nobody knows, never reaches a provider', async t => {
    upstream.forget()
    for (const method of ['TRACE', 'PROPFIND'])
      t.equal((await call(daemon, { method, path: '/openai/v9/x', token: wide })).status, 405, method)
    const session = await http2(daemon)
    for (const method of ['TRACE', "'|reboot|'", 'get', 'X'.repeat(20_000)]) {
      const answer = await callHttp2(session, { method, path: '/openai/v1/files', token })
      t.equal(answer.status, 405, method.slice(0, 20))
      t.notMatch(answer.text(), 'reboot')
    }
    session.destroy()
    t.equal(upstream.requests.length, 0)
  })

  await t.test('a reply that HTTP/2 cannot carry as it is arrives without what it cannot carry, or as 502', async t => {
    const session = await http2(daemon)
    upstream.use(
      raw(
        whole(200, 'text/plain', 'ok', [
          ['Proxy-Connection', 'keep-alive'],
          ['TE', 'trailers'],
          ['Keep-Alive', 'timeout=5'],
          ['HTTP2-Settings', 'x'],
        ]),
      ),
    )
    const answer = await callHttp2(session, { path: '/openai/v1/models', token })
    t.equal(answer.status, 200)
    t.equal(answer.text(), 'ok')
    upstream.use(raw(head(999, [['Content-Length', '0']])))
    t.equal((await callHttp2(session, { path: '/openai/v1/models', token })).status, 502)
    t.equal((await call(daemon, { path: '/openai/v1/models', token })).status, 502)
    session.destroy()
  })

  await t.test('an error that only mentions stream_options does not end the asking for usage', async t => {
    upstream.use(json({ error: { message: 'The model stream_options does not exist.' } }, 400))
    t.equal((await chat(daemon, token, { stream: true, model: 'stream_options' })).status, 400)
    upstream.use(anyProvider)
    upstream.forget()
    t.equal((await chat(daemon, token, { stream: true })).status, 200)
    t.match((await upstream.requests[0]?.done)?.toString(), '"include_usage":true')
  })

  await t.test('an upstream that refuses to be asked for usage is asked again without, and then not any more', async t => {
    const strict: typeof anyProvider = async exchange => {
      const body = (await exchange.body()).toString()
      if (body.includes('stream_options')) await json({ error: { message: 'unknown field: stream_options' } }, 422)(exchange)
      else await anyProvider(exchange)
    }
    upstream.use(strict)
    upstream.forget()
    const answer = await chat(daemon, token, { stream: true })
    t.equal(answer.status, 200)
    t.match(answer.text(), '[DONE]')
    t.equal(upstream.requests.length, 2)
    t.equal((await chat(daemon, token, { stream: true })).status, 200)
    t.equal(upstream.requests.length, 3)
  })
})
