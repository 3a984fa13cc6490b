import { BedrockRuntimeClient, InvokeModelCommand } from '@aws-sdk/client-bedrock-runtime'
import t from 'tap'
import { type SigV4Request, sha256Hex, sigV4Headers } from '../../src/lib/sigv4.js'

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
const suite = { region: 'us-east-1', service: 'service', nowMs: Date.UTC(2015, 7, 30, 12, 36) }
const unreserved = '-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const sessionToken =
  'AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=='

type Case = Partial<Omit<SigV4Request, 'bodySha256'>> & { readonly body?: string; readonly sessionToken?: string }

function sign({ body = '', sessionToken, ...given }: Case): Record<string, string> {
  const request = { method: 'GET', path: '/', query: '', bodySha256: sha256Hex(body), ...given }
  return sigV4Headers(
    { ...request, headers: { host: 'example.amazonaws.com', ...given.headers } },
    { ...suite, credentials: { ...credentials, sessionToken } },
  )
}

/** AWS's published test suite (aws-sig-v4-test-suite): what is asked, what is signed, the signature. */
const vectors: Record<string, [Case, string, string]> = {
  'get-vanilla': [{}, 'host;x-amz-date', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  'get-vanilla-empty-query-key': [
    { query: 'Param1=value1' },
    'host;x-amz-date',
    'a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb',
  ],
  'get-vanilla-query-order-key-case': [
    { query: 'Param2=value2&Param1=value1' },
    'host;x-amz-date',
    'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  ],
  'get-vanilla-query-order-value': [
    { query: 'Param1=value2&Param1=Value1' },
    'host;x-amz-date',
    'eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1',
  ],
  'get-vanilla-query-unreserved': [
    { query: `${unreserved}=${unreserved}` },
    'host;x-amz-date',
    '9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197',
  ],
  'get-vanilla-utf8-query': [
    { query: '%E1%88%B4=bar' },
    'host;x-amz-date',
    '2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04',
  ],
  'get-unreserved': [{ path: `/${unreserved}` }, 'host;x-amz-date', '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f'],
  'get-utf8': [{ path: '/\u1234' }, 'host;x-amz-date', '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85'],
  'get-space': [{ path: '/example space/' }, 'host;x-amz-date', '652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741'],
  'get-relative': [{ path: '/example/..' }, 'host;x-amz-date', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  'get-slash-pointless-dot': [
    { path: '/./example' },
    'host;x-amz-date',
    'ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5',
  ],
  'get-slashes': [{ path: '//example//' }, 'host;x-amz-date', '9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84'],
  'post-vanilla': [{ method: 'POST' }, 'host;x-amz-date', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
  'post-header-key-sort': [
    { method: 'POST', headers: { 'My-Header1': 'value1' } },
    'host;my-header1;x-amz-date',
    'c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c',
  ],
  'post-header-value-case': [
    { method: 'POST', headers: { 'My-Header1': 'VALUE1' } },
    'host;my-header1;x-amz-date',
    'cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d',
  ],
  'post-x-www-form-urlencoded': [
    { method: 'POST', body: 'Param1=value1', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } },
    'content-type;host;x-amz-date',
    'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  ],
  'post-sts-header-before': [
    { method: 'POST', sessionToken },
    'host;x-amz-date;x-amz-security-token',
    '85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead',
  ],
}

for (const [name, [request, signed, signature]] of Object.entries(vectors)) {
  t.test(`the published vector ${name} is signed as AWS signs it`, async t => {
    const headers = sign(request)
    t.equal(headers['x-amz-date'], '20150830T123600Z')
    t.equal(
      headers.authorization,
      `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=${signed}, Signature=${signature}`,
    )
  })
}

/** What AWS's own SDK puts on the wire for a model. */
async function signedBySdk(modelId: string, body: string): Promise<{ path: string; headers: Record<string, string> }> {
  let seen: { path: string; headers: Record<string, string> } | undefined
  const client = new BedrockRuntimeClient({
    region: 'eu-west-1',
    credentials: { ...credentials, sessionToken },
    maxAttempts: 1,
    requestHandler: {
      handle(request: { path: string; headers: Record<string, string> }) {
        seen = request
        return Promise.reject(new Error('seen enough'))
      },
    },
  })
  await t.rejects(client.send(new InvokeModelCommand({ modelId, body, contentType: 'application/json' })))
  if (seen === undefined) throw new Error('nothing was sent')
  return seen
}

t.test("a path with encoded parts is signed as AWS's own SDK signs it", async t => {
  for (const modelId of ['anthropic.claude-v1:0', 'arn:aws:bedrock::1:profile/x', "it's(here)*!"]) {
    const body = '{"a":1}'
    const theirs = await signedBySdk(modelId, body)
    const authorization = theirs.headers.authorization ?? ''
    const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? []
    const sent = Object.fromEntries(Object.entries(theirs.headers).map(([name, value]) => [name.toLowerCase(), String(value)]))
    const date = sent['x-amz-date'] ?? ''
    const nowMs = Date.parse(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'))
    const given = names.filter(name => name !== 'x-amz-date' && name !== 'x-amz-security-token')
    t.equal(
      sigV4Headers(
        {
          method: 'POST',
          path: theirs.path,
          query: '',
          headers: Object.fromEntries(given.map(name => [name, sent[name] ?? ''])),
          bodySha256: sha256Hex(body),
        },
        { credentials: { ...credentials, sessionToken }, region: 'eu-west-1', service: 'bedrock', nowMs },
      ).authorization,
      authorization,
      theirs.path,
    )
  }
})

t.test('a query that is no percent-encoding is signed as it is, and is no fault of ours', async t => {
  for (const query of ['a=%', '%zz', 'a=%E9&b=1']) {
    const { authorization } = sigV4Headers(
      { method: 'GET', path: '/', query, headers: { host: 'a' }, bodySha256: sha256Hex('') },
      { credentials, ...suite },
    )
    t.match(authorization, /Signature=[0-9a-f]{64}$/, query)
  }
})
