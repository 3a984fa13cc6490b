import t from 'tap'
import type { Zone } from '../../../../src/tls/dns/provider.js'
import { plainName, zonesAsked, zonesListed } from '../../../../src/tls/dns/records/zones.js'
import { refusal } from '../../../contracts/dns-provider.js'

const zone = (name: string): Zone => ({ name, id: name })

t.test('names are compared in lower case, in punycode and without a trailing dot, however an API shows them', async t => {
  for (const [shown, name] of [
    ['Example.COM.', 'example.com'],
    ['münchen.example', 'xn--mnchen-3ya.example'],
    ['_acme-challenge.example.com', '_acme-challenge.example.com'],
    ['2/26.2.0.192.in-addr.arpa.', '2/26.2.0.192.in-addr.arpa'],
  ] as const)
    t.equal(plainName(shown), name)
})

t.test('a list of zones is read once a minute, and at once again after a name without a zone or a failure', async t => {
  let nowMs = 0
  let reads = 0
  let zones = [zone('example.com')]
  const find = zonesListed(
    () => nowMs,
    async () => {
      reads += 1
      return zones
    },
  )
  await Promise.all([find('a.example.com'), find('b.example.com')])
  t.equal(reads, 1)
  nowMs = 60_001
  await find('a.example.com')
  t.equal(reads, 2)
  const error = await refusal(find('a.example.net'))
  t.equal(error.code, 'dns_zone_not_found')
  zones = [...zones, zone('example.net')]
  t.equal((await find('a.example.net')).name, 'example.net')
})

t.test('zones that are asked for one by one are asked for from the deepest on, never for a top-level domain', async t => {
  const asked: string[] = []
  const find = zonesAsked(
    () => 0,
    async candidate => {
      asked.push(candidate)
      return undefined
    },
    async () => Array.from({ length: 25 }, (_, i) => `zone-${String(i).padStart(2, '0')}.test`),
  )
  const error = await refusal(find('_acme-challenge.www.example.com'))
  t.same(asked, ['_acme-challenge.www.example.com', 'www.example.com', 'example.com'])
  t.match(error.detail, /zone-00\.test, .*zone-19\.test and 5 more/)
})

t.test('a zone that is asked for one by one is asked for once a minute, however many names lie in it', async t => {
  let nowMs = 0
  const asked: string[] = []
  let zones = ['example.com']
  const find = zonesAsked(
    () => nowMs,
    async candidate => {
      asked.push(candidate)
      return zones.includes(candidate) ? zone(candidate) : undefined
    },
    async () => zones,
  )
  for (const name of ['a.example.com', 'b.example.com', 'c.example.com']) t.equal((await find(name)).name, 'example.com')
  t.same(asked, ['a.example.com', 'example.com', 'b.example.com', 'c.example.com'])
  nowMs = 60_001
  zones = ['example.com', 'a.example.com']
  t.equal((await find('a.example.com')).name, 'a.example.com')
  t.equal((await refusal(find('new.test.example'))).code, 'dns_zone_not_found')
  zones = [...zones, 'test.example']
  t.equal((await find('new.test.example')).name, 'test.example')
})
