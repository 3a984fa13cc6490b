import t from 'tap'
import { ovh } from '../../../src/tls/dns/ovh.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeOvh } from '../../support/dns/ovh.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }
const refresh = 'POST /1.0/domain/zone/:zone/refresh'

testDnsProvider(t, {
  provider: ovh,
  start: fakeOvh,
  wrong: [
    { variables: { OVH_APPLICATION_KEY: 'NotTheRightKey' }, names: ['look at OVH_APPLICATION_KEY'] },
    { variables: { OVH_APPLICATION_SECRET: 'NotTheRightSecret' }, names: ['look at OVH_APPLICATION_SECRET'] },
    { variables: { OVH_CONSUMER_KEY: 'NotTheRightConsumer' }, names: ['look at OVH_CONSUMER_KEY'] },
  ],
})

t.test('several values of a zone are published by one refresh', async t => {
  const fake = await fakeOvh(t)
  const { account } = openStaged(t, { provider: ovh }, fake)
  const zone = await account.zoneOf(name)
  const records = [ours, { name, value: txtValue('y') }, { name: '_acme-challenge.example.com', value: txtValue('z') }]
  await account.add(zone, records)
  t.equal(fake.server.count(refresh), 1)
  await account.remove(zone, records)
  t.equal(fake.server.count(refresh), 2)
  t.notOk(fake.unpublished())
})

t.test('what a run that died left unpublished is published by the next one, though there is nothing to write', async t => {
  const fake = await fakeOvh(t)
  const { account } = openStaged(t, { provider: ovh }, fake)
  const zone = await account.zoneOf(name)
  const record = fake.records.add({ zone: 'example.com', type: 'TXT', name, content: ours.value, ttl: 120 })
  t.same(fake.values(name), [])
  await account.add(zone, [ours])
  t.same(fake.values(name), [ours.value])
  fake.records.remove('example.com', record.id)
  await account.remove(zone, [ours])
  t.same(fake.values(name), [])
})

t.test('a service account opens it by OAuth2, and asks for one token only', async t => {
  const fake = await fakeOvh(t)
  const { account } = openStaged(t, { provider: ovh }, { ...fake, variables: fake.oauth2 })
  const zone = await account.zoneOf(name)
  await Promise.all([account.add(zone, [ours]), account.zoneOf(name)])
  t.same(fake.values(name), [ours.value])
  t.equal(fake.server.count('POST /1.0/auth/oauth2/token'), 1)
  t.equal(fake.server.count('GET /1.0/auth/time'), 0)
  const wrong = openStaged(t, { provider: ovh }, { ...fake, variables: { ...fake.oauth2, OVH_CLIENT_SECRET: 'wrong-secret' } }).account
  const error = await refusal(wrong.zoneOf(name))
  t.equal(error.code, 'dns_credentials_refused')
  t.match(error.detail, 'OVH_CLIENT_ID and OVH_CLIENT_SECRET')
})

t.test('an access token opens it', async t => {
  const fake = await fakeOvh(t)
  const { account } = openStaged(t, { provider: ovh }, { ...fake, variables: fake.accessToken })
  await account.add(await account.zoneOf(name), [ours])
  t.same(fake.values(name), [ours.value])
  const wrong = openStaged(t, { provider: ovh }, { ...fake, variables: { OVH_ACCESS_TOKEN: 'wrong-token' } }).account
  t.match((await refusal(wrong.zoneOf(name))).detail, /^OVH_ACCESS_TOKEN: /)
})

t.test('settings of two ways to authenticate are refused, by name', async t => {
  const fake = await fakeOvh(t)
  t.throws(() => openStaged(t, { provider: ovh }, fake, fake.accessToken), {
    code: 'dns_settings_incomplete',
    detail: /OVH_APPLICATION_KEY, OVH_APPLICATION_SECRET, OVH_CONSUMER_KEY and OVH_ACCESS_TOKEN belong to different ways/,
  })
  t.throws(() => openStaged(t, { provider: ovh }, fake, { OVH_ENDPOINT: 'ovh-mars' }), {
    code: 'dns_settings_incomplete',
    detail: /OVH_ENDPOINT is none of ovh-eu, /,
  })
})

t.test('a consumer key that may not list the zones finds its zone all the same', async t => {
  const fake = await fakeOvh(t)
  fake.forbidList()
  const { account } = openStaged(t, { provider: ovh }, fake)
  t.equal((await account.zoneOf('_acme-challenge.x.sub.example.com')).name, 'sub.example.com')
  const error = await refusal(account.zoneOf('_acme-challenge.notexample.com'))
  t.equal(error.code, 'dns_zone_not_found')
  t.match(error.detail, 'cannot be told')
})
