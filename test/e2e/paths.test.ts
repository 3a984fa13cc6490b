import t from 'tap'
import { call, exchangeRaw } from '../support/clients.js'
import { json } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'

// Paths made to be read in two ways. None may reach the provider in a reading that was not checked.

t.test('paths and endpoints', async t => {
  const { daemon, upstream, token, grant } = await makeStage(t, {
    script: json({ reached: true }),
    providers: ['openai', 'anthropic', 'gemini'],
  })
  const wide = (await grant('--all', '--endpoints', '*')).token

  const codeOf = (text: string) => /"code":"([a-z_]+)"/.exec(text)?.[1]

  await t.test('a path that is written to be read in two ways is refused', async t => {
    const tricks = [
      '/v1/chat/%2e%2e/organization',
      '/v1/chat/%2E%2E/organization',
      '/v1/chat/.%2e/organization',
      '/v1/chat/%2e/completions',
      '/v1/chat/%252e%252e/organization',
      '/v1/chat/..%2forganization/users',
      '/v1/chat/..%5corganization',
      '/v1/chat\\..\\organization',
      '/v1/chat/%5c..%5corganization',
      '/v1/chat/%00',
      '/v1/chat/completions%00.json',
      '/v1/chat/%2500',
      '/v1/chat/%0d%0aX-Injected:%20yes',
      '/v1/chat/%250d%250a',
      '/v1/chat/%7f',
      '/v1/chat/%zz',
      '/v1/chat/%',
    ]
    for (const path of tricks) {
      upstream.forget()
      const text = await exchangeRaw(daemon, `GET /openai${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${wide}\r\n\r\n`)
      t.match(text, /^HTTP\/1\.1 4\d\d /, path)
      t.equal(upstream.requests.length, 0, `${path} stays here`)
    }
  })

  await t.test('literal dot segments are never resolved on the way to another endpoint', async t => {
    for (const path of [
      '/openai/v1/chat/../organization/users',
      '/openai/v1/./organization',
      '/openai/../admin/v1/keys',
      '/openai/v1/x/../../../healthz',
    ]) {
      upstream.forget()
      await exchangeRaw(daemon, `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${wide}\r\n\r\n`)
      t.notOk(
        upstream.requests.some(request => request.target.includes('organization') || request.target.includes('admin')),
        path,
      )
    }
  })

  await t.test('endpoints that mint credentials or run the account stay closed to a grant of all endpoints, in every spelling', async t => {
    const closed = [
      ['openai', 'POST', '/v1/realtime/client_secrets'],
      ['openai', 'POST', '/v1/realtime/sessions'],
      ['openai', 'GET', '/v1/organization/users'],
      ['openai', 'GET', '/v1/organization/admin_api_keys'],
      ['openai', 'GET', '/v1/files'],
      ['openai', 'GET', '/v1/files/file-1/content'],
      ['openai', 'GET', '/v1/batches'],
      ['openai', 'GET', '/v1/vector_stores'],
      ['openai', 'GET', '/v1/fine_tuning/jobs'],
      ['anthropic', 'GET', '/v1/organizations/api_keys'],
      ['anthropic', 'GET', '/v1/files'],
      ['gemini', 'GET', '/v1beta/files'],
      ['gemini', 'POST', '/v1alpha/auth_tokens'],
    ] as const
    const spellings = (path: string) => [
      path,
      `${path}/`,
      path.toUpperCase(),
      path.replace('/v1', '/V1'),
      path.replace(/\//g, '//'),
      path.replace('/', '///'),
      path.replace(/\/([a-z_]+)$/, '%2F$1'),
      path.replace(/\/([a-z_]+)$/, '%2f$1'),
      path.replace(/^\/(v[^/]+)\//, '/$1%2F'),
      path.replace('o', '%6F').replace('f', '%66'),
      path.replace(/[a-z]/g, letter => `%${letter.charCodeAt(0).toString(16)}`),
      `${path}?x=/v1/chat/completions`,
      `${path};a=b`,
      `${path}%20`,
      `${path}.`,
      `${path}//`,
      `/${path}`,
    ]
    for (const [provider, method, path] of closed) {
      for (const spelling of spellings(path)) {
        upstream.forget()
        const request = `${method} /${provider}${spelling} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${wide}\r\nContent-Length: 0\r\n\r\n`
        const text = await exchangeRaw(daemon, request)
        // `;a=b`, `%20` and `.` make another name, which a provider answers with 404: only what it could read as the closed one matters
        if (/(;a=b|%20|\.)$/.test(spelling)) continue
        t.equal(upstream.requests.length, 0, `${method} ${spelling}: ${text.slice(0, 12)} ${codeOf(text) ?? ''}`)
      }
    }
  })

  await t.test('a closed endpoint says which command opens it', async t => {
    const answer = await call(daemon, { path: '/openai/v9/new-thing', token })
    t.equal(answer.status, 403)
    t.equal(answer.json().error.code, 'endpoint_not_open')
    t.match(answer.json().error.message, /soakp token set/)
  })

  await t.test('names of objects’ own members are no provider', async t => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '%5F%5Fproto%5F%5F']) {
      const answer = await call(daemon, { path: `/${name}/v1/models`, token: wide })
      t.ok(answer.status >= 400 && answer.status < 500, `${name}: ${answer.status}`)
    }
  })
})
