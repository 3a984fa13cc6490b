import t from 'tap'
import { authorities, authorityOf } from '../../../src/tls/acme/authorities.js'
import { identifiersOf } from '../../../src/tls/acme/identifiers.js'
import { linksTo } from '../../../src/tls/acme/order.js'
import { problemOf, retryAfter } from '../../../src/tls/acme/problem.js'

t.test('names reach the CA in lower case, in punycode, without a dot at the end, each once', async t => {
  const names = [' Example.COM. ', 'example.com', '*.BÜCHER.example', 'xn--bcher-kva.example', 'bücher.example', '例え.テスト']
  t.same(
    identifiersOf(names).map(each => each.value),
    ['example.com', '*.xn--bcher-kva.example', 'xn--bcher-kva.example', 'xn--r8jz45g.xn--zckzah'],
  )
})

for (const [name, why] of [
  ['192.0.2.1', /is an address/],
  ['[2001:db8::1]', /is an address/],
  ['localhost', /is no public name/],
  ['a.*.example.com', /asterisk/],
  ['*.*.example.com', /asterisk/],
  ['w*.example.com', /asterisk/],
  ['*', /asterisk/],
  ['a_b.example.com', /is no host name/],
  ['-a.example.com', /is no host name/],
  ['a..example.com', /is no host name/],
  ['', /is no host name/],
  ['https://example.com', /is no host name/],
  ['exa mple.com', /cannot be written/],
  ['exa\nmple.com', /cannot be written/],
  ['xn--zz.example.com', /cannot be written/],
  [`${'a'.repeat(64)}.example.com`, /is no host name/],
  ['example.com/../x', /is no host name/],
] as const) {
  t.test(`${JSON.stringify(name)} is refused: ${why.source}`, async t =>
    t.throws(() => identifiersOf([name]), { code: 'usage', message: why }),
  )
}

t.test('an address passes where the profile has addresses', async t => {
  t.same(identifiersOf(['192.0.2.1', '[2001:DB8:0::1]'], { allowAddresses: true }), [
    { type: 'ip', value: '192.0.2.1' },
    { type: 'ip', value: '2001:db8::1' },
  ])
})

t.test('more than a hundred names are refused', async t => {
  const names = Array.from({ length: 101 }, (_, at) => `n${at}.example.com`)
  t.throws(() => identifiersOf(names), { message: /101 names are more than the 100/ })
  t.throws(() => identifiersOf([]), { code: 'usage' })
})

t.test('a CA is found by its name or its URL; any other https URL is one too', async t => {
  for (const each of authorities) {
    t.equal(authorityOf(each.id), each)
    t.equal(authorityOf(each.directoryUrl), each)
    t.ok(each.directoryUrl.startsWith('https://'))
  }
  t.match(authorityOf('https://ca.internal:9000/acme/acme/directory'), { title: 'ca.internal:9000', caaIdentities: [] })
  for (const wrong of ['http://ca.internal/dir', 'letsencript', 'https://user:pass@ca.internal/', 'buypass', 'file:///etc/passwd']) {
    t.throws(() => authorityOf(wrong), { code: 'usage' }, wrong)
  }
})

t.test('Retry-After is read as seconds or as a date, and garbage is none', async t => {
  const nowMs = Date.parse('2026-11-22T12:00:00Z')
  t.equal(retryAfter('120', nowMs), 120)
  t.equal(retryAfter(' 0 ', nowMs), 0)
  t.equal(retryAfter('Sun, 22 Nov 2026 12:01:30 GMT', nowMs), 90)
  t.equal(retryAfter('Sun, 22 Nov 2026 11:00:00 GMT', nowMs), 0)
  for (const garbage of ['', '-5', '1.5', 'soon', '99999999999999999999', undefined])
    t.equal(retryAfter(garbage, nowMs), undefined, String(garbage))
})

t.test('an answer that is anything else than a problem document is still told', async t => {
  const problem = (data: unknown, headers = {}) => problemOf({ status: 500, headers, data }, 0)
  for (const data of ['', '<html>', null, [], 5, {}, { type: 5, detail: {} }]) t.equal(problem(data).type, 'http')
  t.match(problem({ type: 'urn:ietf:params:acme:error:caa', subproblems: [null, 5, { identifier: 7 }] }), {
    type: 'caa',
    subproblems: [{ identifier: '', type: 'unknown', detail: '' }],
  })
  t.ok(problem({ type: 'x', detail: 'a'.repeat(100_000) }).detail.length < 1_100)
})

t.test('other chains are found among the links of an answer', async t => {
  const base = 'https://ca.example/cert/1'
  const header = '<https://ca.example/dir>;rel="index", </cert/1/1>; rel="alternate", <https://ca.example/cert/1/2>;title="x";rel=alternate'
  t.same(linksTo(header, 'alternate', base), ['https://ca.example/cert/1/1', 'https://ca.example/cert/1/2'])
  t.same(linksTo(header, 'index', base), ['https://ca.example/dir'])
  t.same(linksTo(undefined, 'alternate', base), [])
})
