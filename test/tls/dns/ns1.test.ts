import t from 'tap'
import { ns1 } from '../../../src/tls/dns/ns1.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeNs1 } from '../../support/dns/ns1.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }
const read = 'GET /v1/zones/:zone/:name/TXT'

testDnsProvider(t, {
  provider: ns1,
  start: fakeNs1,
  wrong: [{ variables: { NS1_API_KEY: 'not-the-right-one' }, names: ['NS1_API_KEY'] }],
})

t.test('what belongs to the answers of others, and to the record, stays', async t => {
  const fake = await fakeNs1(t)
  const { account } = openStaged(t, { provider: ns1 }, fake)
  const zone = await account.zoneOf(name)
  const foreign = { answer: ['one ', 'two'], meta: { weight: 3 }, region: 'eu' }
  fake.records.set(name, { ttl: 4711, answers: [foreign], filters: [{ filter: 'weighted_shuffle' }], link: null })
  await account.add(zone, [ours])
  t.match(fake.records.get(name), { ttl: 4711, answers: [foreign, { answer: [ours.value] }], filters: [{ filter: 'weighted_shuffle' }] })
  await account.remove(zone, [ours])
  t.match(fake.records.get(name), { ttl: 4711, answers: [foreign], filters: [{ filter: 'weighted_shuffle' }] })
  t.equal(fake.records.get(name)?.answers.length, 1)
})

t.test('a record that somebody else makes, or removes, right before our write is taken into account', async t => {
  const fake = await fakeNs1(t)
  const { account } = openStaged(t, { provider: ns1 }, fake)
  const zone = await account.zoneOf(name)
  fake.server.before('PUT /v1/zones/:zone/:name/TXT', () => fake.put?.(name, 'theirs'))
  await account.add(zone, [ours])
  t.same([...(await fake.values(name))].sort(), [ours.value, 'theirs'].sort())
  fake.server.before('POST /v1/zones/:zone/:name/TXT', () => fake.records.delete(name))
  await account.add(zone, [{ name, value: txtValue('y') }])
  t.same(await fake.values(name), [txtValue('y')])
})

t.test('a record that is linked to another one is told, and left alone', async t => {
  const fake = await fakeNs1(t)
  const { account } = openStaged(t, { provider: ns1 }, fake)
  const zone = await account.zoneOf(name)
  fake.records.set(name, { ttl: 60, answers: [], filters: [], link: 'other.example.com' })
  t.match((await refusal(account.add(zone, [ours]))).detail, 'linked to other.example.com')
  t.equal(fake.server.count('POST /v1/zones/:zone/:name/TXT'), 0)
})

t.test('a used-up allowance is waited for as long as the API’s headers say', async t => {
  const fake = await fakeNs1(t)
  const { account, waitsMs } = openStaged(t, { provider: ns1 }, fake)
  const zone = await account.zoneOf(name)
  const headers = { 'x-ratelimit-limit': '900', 'x-ratelimit-period': '20', 'x-ratelimit-remaining': '0' }
  fake.server.answerNext(read, { status: 429, body: { message: 'Rate limit exceeded' }, headers })
  await account.add(zone, [ours])
  t.same(await fake.values(name), [ours.value])
  t.equal(waitsMs[0], 20_000)
})
