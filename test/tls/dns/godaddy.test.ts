import t from 'tap'
import { godaddy } from '../../../src/tls/dns/godaddy.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeGoDaddy } from '../../support/dns/godaddy.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }
const both = ['GODADDY_API_KEY', 'GODADDY_API_SECRET']
const write = 'PUT /v1/domains/:zone/records/TXT/:name'

testDnsProvider(t, {
  provider: godaddy,
  start: fakeGoDaddy,
  wrong: [
    { variables: { GODADDY_API_KEY: 'not-the-right-key' }, names: both },
    { variables: { GODADDY_API_SECRET: 'not-the-right-secret' }, names: both },
  ],
})

t.test('an account that GoDaddy keeps out of its API is told so, not that its key is wrong', async t => {
  const fake = await fakeGoDaddy(t)
  fake.shutOut()
  const error = await refusal(openStaged(t, { provider: godaddy }, fake).account.zoneOf(name))
  t.equal(error.code, 'dns_provider_failed')
  t.match(error.detail, 'only to accounts that have bought a domain there')
})

t.test('a name below a domain that is denied, as some are, does not hide the domain', async t => {
  const fake = await fakeGoDaddy(t)
  const { account } = openStaged(t, { provider: godaddy }, fake)
  fake.server.answerNext('GET /v1/domains/:zone', { status: 403, body: { code: 'ACCESS_DENIED', message: 'not allowed' } })
  t.equal((await account.zoneOf(name)).name, 'example.com')
})

t.test('rows of others keep their TTL; blank ones that other tools left behind go', async t => {
  const fake = await fakeGoDaddy(t)
  const { account } = openStaged(t, { provider: godaddy }, fake)
  const zone = await account.zoneOf(name)
  fake.rows.set(name, [
    { data: ' ', ttl: 600 },
    { data: 'theirs', ttl: 4711 },
  ])
  await account.add(zone, [ours])
  t.same(fake.rows.get(name), [
    { data: 'theirs', ttl: 4711 },
    { data: ours.value, ttl: 600 },
  ])
  await account.remove(zone, [ours])
  t.same(fake.rows.get(name), [{ data: 'theirs', ttl: 4711 }])
})

t.test('a value that stands there alone goes without leaving a blank row', async t => {
  const fake = await fakeGoDaddy(t)
  const { account } = openStaged(t, { provider: godaddy }, fake)
  const zone = await account.zoneOf(name)
  await account.add(zone, [ours])
  await account.remove(zone, [ours])
  t.equal(fake.rows.has(name), false)
})

t.test('“too many requests” is waited for as long as the body says', async t => {
  const fake = await fakeGoDaddy(t)
  const { account, waitsMs } = openStaged(t, { provider: godaddy }, fake)
  const zone = await account.zoneOf(name)
  fake.server.answerNext(write, { status: 429, body: { code: 'TOO_MANY_REQUESTS', message: 'Too many requests', retryAfterSec: 17 } })
  await account.add(zone, [ours])
  t.same(await fake.values(name), [ours.value])
  t.same(waitsMs.slice(0, 1), [17_000])
})

t.test('a value that somebody else overwrites right after is written again', async t => {
  const fake = await fakeGoDaddy(t)
  const { account } = openStaged(t, { provider: godaddy }, fake)
  const zone = await account.zoneOf(name)
  const read = 'GET /v1/domains/:zone/records/TXT/:name'
  fake.server.before(read, () => {})
  fake.server.before(read, () => fake.rows.set(name, [{ data: 'theirs', ttl: 600 }]))
  await account.add(zone, [ours])
  t.same(await fake.values(name), ['theirs', ours.value])
})

t.test('what is wrong with a field is said', async t => {
  const fake = await fakeGoDaddy(t)
  const { account } = openStaged(t, { provider: godaddy }, fake)
  const zone = await account.zoneOf(name)
  const fields = [{ code: 'PATTERN', path: 'records[0].data', message: 'is not a valid string' }]
  fake.server.answerNext(write, { status: 422, body: { code: 'INVALID_BODY', message: 'see details', fields } })
  t.match((await refusal(account.add(zone, [ours]))).detail, 'records[0].data: is not a valid string')
})

t.test('of an account with hundreds of domains, all pages are read, and those that are most like the name are shown', async t => {
  const fake = await fakeGoDaddy(t)
  const { account } = openStaged(t, { provider: godaddy }, fake)
  const error = await refusal(account.zoneOf('_acme-challenge.www.example.test'))
  t.equal(fake.server.count('GET /v1/domains'), 2)
  t.match(error.detail, /the account has filler-00\.test, .* and 563 more\.$/)
  t.match((await refusal(account.zoneOf('_acme-challenge.www.example.info'))).detail, 'example.com')
})
