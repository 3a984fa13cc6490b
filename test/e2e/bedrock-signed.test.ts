import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import t from 'tap'
import { call } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { dialectReplies } from '../support/dialect-replies.js'
import { runSdk } from '../support/run-sdk.js'
import { whole } from '../support/scripts.js'
import { type Script, startUpstream } from '../support/upstream.js'

/** The hash that the signer asks for, keyed or not. */
class Sha256 {
  readonly #hash: Hash | Hmac

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret))
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data))
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }

  reset(): void {}
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data)
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data)
}

/** Names that come several times have several values. */
function queryOf(text: string): Record<string, string[]> {
  const query: Record<string, string[]> = {}
  for (const [name, value] of new URLSearchParams(text)) query[name] = [...(query[name] ?? []), value]
  return query
}

interface Pair {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** Answers as Bedrock does: by AWS's own signer, only calls that were signed with this pair, and over the very bytes that came. */
function verified(credentials: Pair): Script {
  const signer = new SignatureV4({ credentials, region: 'us-east-1', service: 'bedrock', sha256: Sha256 })
  return async exchange => {
    const { request } = exchange
    const body = await exchange.body()
    const [path = '', query = ''] = request.target.split('?')
    const authorization = request.header('authorization') ?? ''
    const names = (/SignedHeaders=([^,]+)/.exec(authorization)?.[1] ?? '').split(';')
    const headers = Object.fromEntries(names.map(name => [name, request.header(name) ?? '']))
    const date = request.header('x-amz-date') ?? ''
    const at = date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')
    const signed = await signer.sign(
      {
        method: request.method,
        protocol: 'http:',
        hostname: '127.0.0.1',
        path,
        query: queryOf(query),
        headers,
        body,
      },
      { signingDate: new Date(at), signableHeaders: new Set(names) },
    )
    const fresh = Math.abs(Date.now() - Date.parse(at)) < 300_000
    if (signed.headers.authorization === authorization && names.includes('host') && fresh) return dialectReplies(exchange)
    const reason = { message: 'The request signature we calculated does not match the signature you provided.' }
    await exchange.send(whole(403, 'application/json', JSON.stringify(reason), [['x-amzn-errortype', 'InvalidSignatureException']]))
  }
}

const lasting = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }
const passing = { ...lasting, accessKeyId: 'ASIAIOSFODNN7EXAMPLE', sessionToken: `IQoJb3JpZ2luX2VjE${'Zx+/9'.repeat(60)}==` }

for (const [kind, pair] of [
  ['an access key pair', lasting],
  ['a temporary pair with its session', passing],
] as const) {
  t.test(`Bedrock with ${kind}: AWS's own client, unchanged, is served through calls that AWS's own signer accepts`, async t => {
    const upstream = await startUpstream(verified(pair))
    t.teardown(() => upstream.close())
    const home = await makeHome(t)
    const secret = Object.values(pair).join(':')
    await home.addKey('bedrock', { secret, baseUrl: upstream.url })
    const issued = await home.createToken(['--provider', 'bedrock'])
    const daemon = await home.serve()

    const report = await runSdk('bedrock', `${daemon.origin}/bedrock`, issued.token, home.caFile())
    for (const scenario of ['json', 'stream', 'invoke', 'invokeStream', 'count']) t.ok(report[scenario]?.returned, scenario)

    // an ARN in the path, doubtful characters, a query, a body that comes without a length
    const path = '/bedrock/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x%20y/converse?b=2&a=%20x&a=1'
    const odd = await call(daemon, { path, token: issued.token, body: '{"messages":[]}', headers: { 'transfer-encoding': 'chunked' } })
    t.equal(odd.status, 200, odd.text())

    for (const request of upstream.requests) {
      t.match(request.header('authorization'), /^AWS4-HMAC-SHA256 Credential=A/)
      t.notMatch(request.rawHead, pair.secretAccessKey)
      t.equal(request.header('x-amz-security-token'), 'sessionToken' in pair ? pair.sessionToken : undefined)
    }
    t.notMatch(daemon.output(), pair.secretAccessKey)
    t.equal((await home.entries()).length, Object.keys(report).length + 1)
  })
}

t.test(
  'Bedrock refuses a signature made with a wrong secret: the client is told that the key is at fault, and the key is marked',
  async t => {
    const upstream = await startUpstream(verified(lasting))
    t.teardown(() => upstream.close())
    const home = await makeHome(t)
    const key = await home.addKey('bedrock', { secret: `${lasting.accessKeyId}:${'x'.repeat(40)}`, baseUrl: upstream.url })
    const { token } = await home.createToken(['--all'])
    const daemon = await home.serve()
    const answer = await call(daemon, { path: '/bedrock/model/m/converse', token, body: '{}' })
    t.equal(answer.status, 502)
    t.match(answer.json(), { reason: 'provider_key_rejected' })
    const [shown] = await home.json<{ id: string; rejectedAt?: string }[]>(['key', 'list'])
    t.equal(shown?.id, key.id)
    t.match(JSON.stringify(shown), /reject|refus/i)
  },
)

t.test('a Bedrock key that is neither an API key nor a pair is refused before anything leaves', async t => {
  const upstream = await startUpstream(dialectReplies)
  t.teardown(() => upstream.close())
  const home = await makeHome(t)
  await home.addKey('bedrock', { secret: 'something-else-entirely', baseUrl: upstream.url })
  const { token } = await home.createToken(['--all'])
  const daemon = await home.serve()
  const answer = await call(daemon, { path: '/bedrock/model/m/converse', token, body: '{}' })
  t.equal(answer.status >= 500, true)
  t.notMatch(answer.text(), 'something-else')
  t.equal(upstream.requests.length, 0)
})
