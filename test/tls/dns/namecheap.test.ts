import t from 'tap'
import { namecheap } from '../../../src/tls/dns/namecheap.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { elsewhereDomain, fakeNamecheap, type NamecheapFake, namecheapError, sharedDomain } from '../../support/dns/namecheap.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }
const both = ['NAMECHEAP_API_USER', 'NAMECHEAP_API_KEY']
const [read, write] = ['namecheap.domains.dns.getHosts', 'namecheap.domains.dns.setHosts']

testDnsProvider(t, {
  provider: namecheap,
  start: fakeNamecheap,
  wrong: [
    { variables: { NAMECHEAP_API_USER: 'somebody-else' }, names: both },
    { variables: { NAMECHEAP_API_KEY: 'not-the-right-one' }, names: both },
  ],
})

const opened = async (t: Parameters<typeof fakeNamecheap>[0]) => {
  const fake = await fakeNamecheap(t)
  const { account, waitsMs } = openStaged(t, { provider: namecheap }, fake)
  return { fake, account, waitsMs, zone: await account.zoneOf(name) }
}
const rows = (fake: NamecheapFake) => fake.zones.get('example.com')?.rows ?? []

t.test('every other row stays to the letter and in its place, with TTL and MX preference, and mail is handled as before', async t => {
  const { fake, account, zone } = await opened(t)
  const nasty = ['  two  spaces ', '&quot; &amp;amp; <x>', '100%+a=b&c', 'ünï', "it's"].map(Address => ({
    Name: 'nasty',
    Type: 'TXT',
    Address,
    MXPref: '10',
    TTL: '300',
  }))
  rows(fake).push(...nasty)
  const before = [...rows(fake)]
  await account.add(zone, [ours])
  t.same(rows(fake), [...before, { Name: '_acme-challenge.www', Type: 'TXT', Address: ours.value, MXPref: '10', TTL: '120' }])
  t.equal(fake.zones.get('example.com')?.emailType, 'MX')
  await account.remove(zone, [ours])
  t.same(rows(fake), before)
})

t.test('all values of a zone go in one write, and nothing is written where there is nothing to do', async t => {
  const { fake, account, zone } = await opened(t)
  const records = [ours, { name, value: txtValue('y') }, { name: '_acme-challenge.example.com', value: txtValue('z') }]
  await account.add(zone, records)
  t.equal(fake.count(write), 1)
  await account.add(zone, records)
  await account.remove(zone, [{ name, value: txtValue('never') }])
  t.equal(fake.count(write), 1)
  await account.remove(zone, records)
  t.equal(fake.count(write), 2)
})

t.test('a zone with a row that the API cannot write back is left alone, and the row is named', async t => {
  const unwritable: [string, Readonly<Record<string, string>>][] = [
    ['IsDDNSEnabled=true', { IsDDNSEnabled: 'true' }],
    ['IsActive=false', { IsActive: 'false' }],
    ['Weight=5', { Weight: '5' }],
    ['a kind that it does not take', { Type: 'SRV' }],
  ]
  for (const [words, more] of unwritable) {
    const { fake, account, zone } = await opened(t)
    const there = fake.zones.get('example.com')
    if (there) there.more = row => (row.Name === 'old' ? more : {})
    const error = await refusal(account.add(zone, [ours]))
    t.equal(error.code, 'dns_provider_failed')
    t.match(error.detail, words)
    t.match(error.detail, '“old 60 ')
    t.match(error.hint, 'CNAME')
    t.equal(fake.count(write), 0)
  }
  for (const emailType of ['', 'NEW']) {
    const { fake, account, zone } = await opened(t)
    fake.zones.set('example.com', { rows: rows(fake), emailType })
    t.match((await refusal(account.add(zone, [ours]))).detail, 'mail')
    t.equal(fake.count(write), 0)
  }
})

t.test('an answer that breaks off is not taken for a zone with fewer rows', async t => {
  const { fake, account, zone } = await opened(t)
  const cut =
    '<?xml version="1.0"?><ApiResponse Status="OK"><CommandResponse><DomainDNSGetHostsResult EmailType="MX"><host Name="@" Type="A" '
  fake.answerNext(read, { status: 200, body: cut, headers: { 'content-type': 'text/xml' } })
  t.equal((await refusal(account.add(zone, [ours]))).code, 'dns_provider_failed')
  t.equal(fake.count(write), 0)
})

t.test('a row that is gone after the write is told, as it was', async t => {
  const { fake, account, zone } = await opened(t)
  fake.before(read, () => {})
  fake.before(read, () => void rows(fake).shift())
  const error = await refusal(account.add(zone, [ours]))
  t.match(error.detail, '“@ 1799 MX 7 mail.example.net”')
  t.match(error.hint, 'put it back')
})

t.test('a mail setting that is another one after the write is told', async t => {
  const { fake, account, zone } = await opened(t)
  fake.before(read, () => {})
  fake.before(read, () => fake.zones.set('example.com', { rows: rows(fake), emailType: 'FWD' }))
  t.match((await refusal(account.add(zone, [ours]))).detail, '“EmailType MX”')
})

t.test('what is written and then overwritten by somebody else is written again', async t => {
  const { fake, account, zone } = await opened(t)
  const before = [...rows(fake)]
  fake.before(read, () => {})
  fake.before(read, () => fake.zones.set('example.com', { rows: before, emailType: 'MX' }))
  await account.add(zone, [ours])
  t.same(await fake.values(name), [ours.value])
})

t.test('a write that is answered by nobody is not sent again', async t => {
  const { fake, account, zone } = await opened(t)
  fake.api.fault({ drop: 'after', match: ({ body }) => body.includes('setHosts') })
  t.equal((await refusal(account.add(zone, [ours]))).code, 'dns_provider_failed')
  t.equal(fake.count(write), 1)
})

t.test('a write that the API says it did not do is an error', async t => {
  const { fake, account, zone } = await opened(t)
  const body =
    '<ApiResponse Status="OK"><Errors /><CommandResponse><DomainDNSSetHostsResult Domain="example.com" IsSuccess="false" /></CommandResponse></ApiResponse>'
  fake.answerNext(write, { status: 200, body, headers: { 'content-type': 'text/xml' } })
  t.match((await refusal(account.add(zone, [ours]))).detail, 'did not write')
})

t.test('an address that is not on the list is told, with where the list is', async t => {
  const fake = await fakeNamecheap(t)
  const { account } = openStaged(t, { provider: namecheap }, fake, { NAMECHEAP_CLIENT_IP: '198.51.100.9' })
  const error = await refusal(account.zoneOf(name))
  t.equal(error.code, 'dns_provider_failed')
  t.match(error.detail, 'Invalid request IP: 198.51.100.9 (1011150); allow this machine’s IPv4 address')
  const wrong = openStaged(t, { provider: namecheap }, fake, { NAMECHEAP_CLIENT_IP: '2001:db8::1' }).account
  t.match(await refusal(wrong.zoneOf(name)), { code: 'dns_settings_incomplete', detail: 'NAMECHEAP_CLIENT_IP is no IPv4 address.' })
})

t.test('without NAMECHEAP_CLIENT_IP the machine’s address is found out, once', async t => {
  const fake = await fakeNamecheap(t)
  const { NAMECHEAP_CLIENT_IP: _, ...variables } = fake.variables
  const { account } = openStaged(t, { provider: namecheap }, { ...fake, variables })
  await account.add(await account.zoneOf(name), [ours])
  t.same(await fake.values(name), [ours.value])
  t.equal(fake.server.count('GET /getip'), 1)
  fake.server.answerNext('GET /getip', { status: 200, body: '<html>no</html>' })
  const lost = openStaged(t, { provider: namecheap }, { ...fake, variables }).account
  t.match((await refusal(lost.zoneOf(name))).detail, 'set NAMECHEAP_CLIENT_IP')
  t.equal((await lost.zoneOf(name)).name, 'example.com')
})

t.test('“too many requests” is waited for, as status 405 and as error 500000', async t => {
  const { fake, account, zone, waitsMs } = await opened(t)
  fake.answerNext(read, { status: 405, body: 'Method Not Allowed' })
  fake.answerNext(write, namecheapError('500000', 'Too many requests'))
  await account.add(zone, [ours])
  t.same(await fake.values(name), [ours.value])
  t.equal(waitsMs.filter(ms => ms === 20_000).length, 2)
})

t.test('a domain that another account shares opens, below a public suffix of two labels as well', async t => {
  const { fake, account } = await opened(t)
  const shared = `_acme-challenge.a.b.${sharedDomain}`
  const zone = await account.zoneOf(shared)
  t.equal(zone.name, sharedDomain)
  await account.add(zone, [{ name: shared, value: ours.value }])
  t.equal(fake.zones.get(sharedDomain)?.rows.at(-1)?.Name, '_acme-challenge.a.b')
})

t.test('a domain that other name servers answer for is told so', async t => {
  const { account } = await opened(t)
  const error = await refusal(account.zoneOf(`_acme-challenge.${elsewhereDomain}`))
  t.equal(error.code, 'dns_zone_not_found')
  t.match(error.detail, 'other name servers answer for it')
})
