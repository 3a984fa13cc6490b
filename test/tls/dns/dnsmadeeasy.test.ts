import t from 'tap'
import { dnsmadeeasy } from '../../../src/tls/dns/dnsmadeeasy.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeDnsMadeEasy } from '../../support/dns/dnsmadeeasy.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }
const both = ['DNSMADEEASY_API_KEY', 'DNSMADEEASY_API_SECRET']
const create = 'POST /V2.0/dns/managed/:zone/records'

testDnsProvider(t, {
  provider: dnsmadeeasy,
  start: fakeDnsMadeEasy,
  wrong: [
    { variables: { DNSMADEEASY_API_KEY: 'not-the-right-key' }, names: both },
    { variables: { DNSMADEEASY_API_SECRET: 'not-the-right-secret' }, names: both },
  ],
})

t.test('a clock that is off is said to be what it is, not a wrong secret', async t => {
  const fake = await fakeDnsMadeEasy(t)
  const { account } = openStaged(t, { provider: dnsmadeeasy }, fake)
  fake.shiftClock(15_000)
  t.equal((await account.zoneOf(name)).name, 'example.com')
  fake.shiftClock(-600_000)
  const error = await refusal(openStaged(t, { provider: dnsmadeeasy }, fake).account.zoneOf(name))
  t.equal(error.code, 'dns_provider_failed')
  t.match(error.detail, 'the clock of this machine')
})

t.test('a used-up allowance, which comes with status 400, is waited for', async t => {
  const fake = await fakeDnsMadeEasy(t)
  const { account, waitsMs } = openStaged(t, { provider: dnsmadeeasy }, fake)
  const zone = await account.zoneOf(name)
  fake.server.answerNext(create, { status: 400, body: { error: ['Rate limit exceeded'] } })
  await account.add(zone, [ours])
  t.same(fake.values(name), [ours.value])
  t.same(waitsMs, [30_000])
})

t.test('a record that is made by somebody else in between is success', async t => {
  const fake = await fakeDnsMadeEasy(t)
  const { account } = openStaged(t, { provider: dnsmadeeasy }, fake)
  const zone = await account.zoneOf(name)
  fake.server.before(create, () => fake.put(name, ours.value))
  await account.add(zone, [ours])
  t.same(fake.values(name), [ours.value])
})

t.test('values on a second page are found', async t => {
  const fake = await fakeDnsMadeEasy(t)
  const { account } = openStaged(t, { provider: dnsmadeeasy }, fake)
  const zone = await account.zoneOf(name)
  for (let i = 0; i < 30; i++) fake.put(name, `foreign ${i}`)
  await account.add(zone, [ours])
  await account.add(zone, [ours])
  t.equal(fake.server.count(create), 1)
  await account.remove(zone, [ours])
  t.equal(fake.values(name).length, 30)
  t.notOk(fake.values(name).includes(ours.value))
})
