import t from 'tap'
import { sakuracloud } from '../../../src/tls/dns/sakuracloud.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeSakura } from '../../support/dns/sakuracloud.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }
const both = ['SAKURACLOUD_ACCESS_TOKEN', 'SAKURACLOUD_ACCESS_TOKEN_SECRET']
const write = 'PUT /cloud/zone/is1a/api/cloud/1.1/commonserviceitem/:id'

testDnsProvider(t, {
  provider: sakuracloud,
  start: fakeSakura,
  wrong: [
    { variables: { SAKURACLOUD_ACCESS_TOKEN: 'not-the-right-token' }, names: both },
    { variables: { SAKURACLOUD_ACCESS_TOKEN_SECRET: 'not-the-right-secret' }, names: both },
  ],
})

t.test('every other row of the zone stays as it was, in its place', async t => {
  const fake = await fakeSakura(t)
  const { account } = openStaged(t, { provider: sakuracloud }, fake)
  const before = [...(fake.rows.get('example.com') ?? [])]
  const zone = await account.zoneOf(name)
  await account.add(zone, [ours])
  t.same(fake.rows.get('example.com'), [...before, { Name: '_acme-challenge.www', Type: 'TXT', RData: ours.value, TTL: 120 }])
  await account.remove(zone, [ours])
  t.same(fake.rows.get('example.com'), before)
})

t.test('a zone that somebody else writes in between is read and written again, and neither change is lost', async t => {
  const fake = await fakeSakura(t)
  const { account } = openStaged(t, { provider: sakuracloud }, fake)
  const zone = await account.zoneOf(name)
  fake.server.before(write, () => fake.put?.('www.example.com', 'theirs'))
  await account.add(zone, [ours])
  t.same(await fake.values('www.example.com'), ['theirs'])
  t.same(await fake.values(name), [ours.value])
  t.equal(fake.server.count(write), 2)
})

t.test('a row that does not come back from a write is told, as it was', async t => {
  const fake = await fakeSakura(t)
  const { account } = openStaged(t, { provider: sakuracloud }, fake)
  const zone = await account.zoneOf(name)
  fake.loseRows()
  const error = await refusal(account.add(zone, [ours]))
  t.equal(error.code, 'dns_provider_failed')
  t.match(error.detail, '“@ 3600 MX 10 mail.example.net.”')
  t.match(error.hint, 'put it back')
})
