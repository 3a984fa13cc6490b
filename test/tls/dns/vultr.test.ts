import t from 'tap'
import { vultr } from '../../../src/tls/dns/vultr.js'
import { openStaged, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeVultr } from '../../support/dns/vultr.js'

testDnsProvider(t, {
  provider: vultr,
  start: fakeVultr,
  wrong: [{ variables: { VULTR_API_KEY: 'NOT-THE-RIGHT-ONE' }, names: ['VULTR_API_KEY'] }],
})

t.test('zones and records are read to the last page', async t => {
  const fake = await fakeVultr(t)
  const { account } = openStaged(t, { provider: vultr }, fake)
  const zone = await account.zoneOf('_acme-challenge.filler-59.test')
  t.equal(zone.name, 'filler-59.test')
  t.ok(fake.server.count('GET /v2/domains') > 2)
  const name = '_acme-challenge.example.com'
  const record = { name, value: txtValue('x') }
  const there = await account.zoneOf(name)
  await account.add(there, [record])
  await account.add(there, [record])
  t.same(fake.values(name), [txtValue('x')])
  await account.remove(there, [record])
  t.same(fake.values(name), [])
})
