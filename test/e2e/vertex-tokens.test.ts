import { generateKeyPairSync } from 'node:crypto'
import { jwtVerify } from 'jose'
import t from 'tap'
import { call } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { dialectReplies } from '../support/dialect-replies.js'
import { whole } from '../support/scripts.js'
import { type Exchange, startUpstream, type Upstream } from '../support/upstream.js'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

interface Issuer {
  readonly upstream: Upstream
  /** How the next requests are answered. */
  answer: 'token' | 'invalid_grant' | 'unavailable'
  issued: number
}

/** A token endpoint that checks the assertion as Google documents it. */
async function startIssuer(t: { teardown(handler: () => unknown): unknown }): Promise<Issuer> {
  const issuer: { -readonly [name in keyof Issuer]: Issuer[name] } = {
    answer: 'token',
    issued: 0,
    upstream: await startUpstream(async (exchange: Exchange) => {
      const form = new URLSearchParams((await exchange.body()).toString())
      const reply = (status: number, value: unknown) => exchange.send(whole(status, 'application/json', JSON.stringify(value)))
      if (issuer.answer === 'unavailable') return reply(503, { error: 'internal_failure' })
      if (issuer.answer === 'invalid_grant') return reply(400, { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' })
      const { payload, protectedHeader } = await jwtVerify(form.get('assertion') ?? '', publicKey, {
        issuer: 'svc@project.iam.gserviceaccount.com',
        audience: `${issuer.upstream.url}/token`,
        algorithms: ['RS256'],
      })
      const lifetime = Number(payload.exp) - Number(payload.iat)
      const good =
        form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer' && lifetime <= 3600 && protectedHeader.kid === 'k1'
      if (!good || payload.scope !== 'https://www.googleapis.com/auth/cloud-platform') return reply(400, { error: 'invalid_scope' })
      issuer.issued++
      return reply(200, { access_token: `ya29.${'token'.repeat(20)}${issuer.issued}`, expires_in: 3599, token_type: 'Bearer' })
    }),
  }
  t.teardown(() => issuer.upstream.close())
  return issuer
}

const keyFile = (issuer: Issuer) =>
  JSON.stringify(
    {
      type: 'service_account',
      project_id: 'project',
      private_key_id: 'k1',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      client_email: 'svc@project.iam.gserviceaccount.com',
      token_uri: `${issuer.upstream.url}/token`,
    },
    null,
    2,
  )

const path = '/vertex/v1/publishers/google/models/gemini-2.5-flash:generateContent'

t.test('Vertex AI with a service account: one token for many calls, never shown, and refusals that say whose fault it is', async t => {
  const issuer = await startIssuer(t)
  const upstream = await startUpstream(dialectReplies)
  t.teardown(() => upstream.close())
  const home = await makeHome(t)
  const added = await home.run(
    ['--json', 'key', 'add', 'vertex', '--stdin', '--base-url', upstream.url, '--allow-private'],
    keyFile(issuer),
  )
  t.equal(added.code, 0, added.stderr)
  t.equal(JSON.parse(added.stdout).verified, 'works', 'whoever issues tokens has the word about the key')
  const { token } = await home.createToken(['--all'])
  const daemon = await home.serve()
  const before = issuer.issued

  const answers = await Promise.all(Array.from({ length: 20 }, () => call(daemon, { path, token, body: '{"contents":[]}' })))
  for (const answer of answers) t.equal(answer.status, 200, answer.text())
  t.equal(issuer.issued, before + 1, 'twenty calls at once wait for one token')
  t.equal((await call(daemon, { path, token, body: '{"contents":[]}' })).status, 200)
  t.equal(issuer.issued, before + 1, 'and it is kept')
  for (const request of upstream.requests) {
    t.match(request.header('authorization'), /^Bearer ya29\./)
    t.notMatch(request.rawHead, token)
  }
  t.notMatch(daemon.output(), 'ya29.')

  // providers repeat what they were sent
  const sent = upstream.requests[0]?.header('authorization') ?? ''
  for (const echo of [sent, Buffer.from(sent.slice('Bearer '.length)).toString('base64'), sent.slice(20, 40)]) {
    upstream.use(async exchange => {
      await exchange.body()
      await exchange.send(whole(400, 'application/json', JSON.stringify({ error: { code: 400, message: `what is ${echo}` } })))
    })
    const answer = await call(daemon, { path, token, body: '{"contents":[]}' })
    t.equal(answer.status, 502, answer.text())
    t.notMatch(answer.text(), echo)
    t.match(answer.json().error.details[0].reason, 'PROVIDER_REPLY_WITHHELD')
  }
  upstream.use(dialectReplies)
  const entries = await home.entries()
  t.equal(entries.length, 24)
  t.ok(entries.slice(0, 21).every(entry => entry.inputTokens === 11 && entry.outputTokens === 7 && entry.model === 'gemini-2.5-flash'))
  await daemon.stop()

  issuer.answer = 'unavailable'
  const second = await home.serve()
  const down = await call(second, { path, token, body: '{"contents":[]}' })
  t.equal(down.status, 502)
  t.match(down.json().error.details[0].reason, 'PROVIDER_UNREACHABLE')
  issuer.answer = 'invalid_grant'
  const refused = await call(second, { path, token, body: '{"contents":[]}' })
  t.equal(refused.status, 502)
  t.match(refused.json().error.details[0].reason, 'PROVIDER_KEY_REJECTED')
  t.notMatch(refused.text(), 'PRIVATE KEY')
  issuer.answer = 'token'
  t.equal((await call(second, { path, token, body: '{"contents":[]}' })).status, 200, 'a failure is not kept')
})

t.test('a key file that would have tokens asked for somewhere else than at Google is refused', async t => {
  const upstream = await startUpstream(dialectReplies)
  t.teardown(() => upstream.close())
  const home = await makeHome(t)
  const file = JSON.stringify({
    type: 'service_account',
    client_email: 'a@b.c',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    token_uri: 'https://tokens.example.com/token',
  })
  const ran = await home.run(['key', 'add', 'vertex', '--stdin', '--base-url', upstream.url, '--allow-private'], file)
  t.not(ran.code, 0)
  t.match(ran.stderr, 'token_uri')
  t.notMatch(ran.stderr, 'PRIVATE')
})
