import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { findProvider } from '../../src/providers/index.js'
import type { Provider } from '../../src/providers/provider.js'
import { readHead } from '../../src/relay/head.js'
import { requestHeaders, responseHeaders } from '../../src/relay/headers.js'
import { cleanQuery } from '../../src/relay/outgoing.js'

const openai = findProvider('openai') as Provider
const anthropic = findProvider('anthropic') as Provider

function outgoing(provider: Provider, ...rawHeaders: string[]): Record<string, string> {
  const head = readHead({ rawHeaders } as unknown as IncomingMessage, () => false)
  const flat = requestHeaders(provider, head, rawHeaders)
  return Object.fromEntries(Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] as string, flat[2 * at + 1] as string]))
}

t.test('no credential, cookie, address or override of the client reaches a provider', async t => {
  const names = [
    'Authorization',
    'X-Api-Key',
    'Api-Key',
    'X-Goog-Api-Key',
    'xi-api-key',
    'Cookie',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'Forwarded',
    'X-Real-IP',
    'CF-Connecting-IP',
    'Origin',
    'Referer',
    'Sec-Fetch-Mode',
    'OpenAI-Organization',
    'OpenAI-Project',
    'X-HTTP-Method-Override',
    'X-Original-URL',
    'X-Rewrite-URL',
    'Proxy-Authorization',
    'Host',
    'TE',
    'Upgrade',
    'Transfer-Encoding',
    'Content-Length',
    'X-Soakp-Anything',
    'Anthropic-Dangerous-Direct-Browser-Access',
    'Via',
  ]
  const sent = outgoing(
    openai,
    ...names.flatMap(name => [name, '1']),
    'Content-Type',
    'application/json',
    'X-Stainless-Lang',
    'js',
    'Accept-Encoding',
    'gzip',
  )
  t.same(sent, { 'accept-encoding': 'identity', 'content-type': 'application/json', 'x-stainless-lang': 'js' })
})

t.test('a header that Connection names is dropped with it', async t => {
  t.same(outgoing(openai, 'Connection', 'x-hop', 'X-Hop', '1', 'X-Kept', '1'), { 'accept-encoding': 'identity', 'x-kept': '1' })
})

t.test('a provider gets what it needs and the client did not say, and never another version than the client asked for', async t => {
  t.equal(outgoing(anthropic)['anthropic-version'], '2023-06-01')
  t.equal(outgoing(anthropic, 'Anthropic-Version', '2026-10-21')['anthropic-version'], '2026-10-21')
})

t.test('a reply brings no cookie, no header of the account and none that speaks for our origin', async t => {
  const raw = [
    'Set-Cookie',
    'a=b',
    'OpenAI-Organization',
    'org',
    'Access-Control-Allow-Origin',
    '*',
    'Strict-Transport-Security',
    'x',
    'Location',
    '/',
    'Connection',
    'x-hop',
    'X-Hop',
    '1',
    'Content-Type',
    'application/json',
    'x-ratelimit-limit-requests',
    '5',
    'x-request-id',
    'req_1',
  ]
  const head = responseHeaders(openai, raw)
  t.same(head.headers, ['content-type', 'application/json', 'x-ratelimit-limit-requests', '5'])
  t.equal(head.upstreamRequestId, 'req_1')
})

t.test('a query keeps what it says but for credentials and method overrides, however they are written', async t => {
  t.equal(cleanQuery('?alt=sse&pageSize=3', undefined), '?alt=sse&pageSize=3')
  t.equal(cleanQuery('?a=%20b&&c', undefined), '?a=%20b&&c')
  t.equal(cleanQuery('?alt=sse&key=abc', undefined), '?alt=sse')
  t.equal(cleanQuery('?%6Bey=abc', undefined), '')
  t.equal(cleanQuery('?$httpMethod=DELETE&x=1', undefined), '?x=1')
  t.equal(cleanQuery('?%24httpMethod=DELETE&x=1', undefined), '?x=1')
  t.equal(cleanQuery('?appid=mine&q=1', 'appid'), '?q=1')
})

t.test('a beta of Anthropic’s that would have the key taken for another kind of credential does not travel, others do', async t => {
  t.match(outgoing(anthropic, 'Anthropic-Beta', 'oauth-2025-04-20, files-api-2025-04-14'), { 'anthropic-beta': 'files-api-2025-04-14' })
  t.match(outgoing(anthropic, 'anthropic-beta', 'a-1, b-2'), { 'anthropic-beta': 'a-1, b-2' })
  t.notOk('anthropic-beta' in outgoing(anthropic, 'anthropic-beta', 'OAuth-2025-04-20'))
})
