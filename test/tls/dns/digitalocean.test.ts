import t from 'tap'
import { digitalocean } from '../../../src/tls/dns/digitalocean.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeDigitalocean } from '../../support/dns/digitalocean.js'

const name = '_acme-challenge.www.example.com'

testDnsProvider(t, {
  provider: digitalocean,
  start: fakeDigitalocean,
  wrong: [{ variables: { DO_AUTH_TOKEN: 'dop_v1_not-the-right-one' }, names: ['DO_AUTH_TOKEN'] }],
})

t.test('a value on a later page of its name is found and removed', async t => {
  const fake = await fakeDigitalocean(t, { pageSize: 20 })
  const { account } = openStaged(t, { provider: digitalocean }, fake)
  const zone = await account.zoneOf(name)
  for (let i = 0; i < 45; i += 1) fake.put(name, `foreign ${i}`)
  await account.add(zone, [{ name, value: txtValue('x') }])
  t.equal(fake.values(name).length, 46)
  await account.remove(zone, [{ name, value: txtValue('x') }])
  t.same(
    fake.values(name),
    Array.from({ length: 45 }, (_, i) => `foreign ${i}`),
  )
})

t.test('a value at the name of the zone itself is written and removed', async t => {
  const fake = await fakeDigitalocean(t)
  const { account } = openStaged(t, { provider: digitalocean }, fake)
  const zone = await account.zoneOf('example.com')
  await account.add(zone, [{ name: 'example.com', value: txtValue('x') }])
  t.same(fake.values('example.com'), ['v=spf1 -all', txtValue('x')])
  await account.remove(zone, [{ name: 'example.com', value: txtValue('x') }])
  t.same(fake.values('example.com'), ['v=spf1 -all'])
})

t.test('a zone that is gone since it was looked up is not a bare 404', async t => {
  const fake = await fakeDigitalocean(t)
  const { account } = openStaged(t, { provider: digitalocean }, fake)
  const error = await refusal(account.add({ name: 'gone.test', id: 'gone.test' }, [{ name: 'a.gone.test', value: txtValue('x') }]))
  t.equal(error.code, 'dns_provider_failed')
  t.match(error.detail, '/v2/domains/gone.test/records')
  t.match(error.detail, 'The resource you were accessing could not be found.')
})

t.test('an address of the API that is none is refused when the account is opened', async t => {
  const { baseUrl: _, ...stage } = await fakeDigitalocean(t)
  for (const address of ['api.digitalocean.com', 'ftp://api.digitalocean.com'])
    t.throws(() => openStaged(t, { provider: digitalocean }, stage, { DO_API_URL: address }), /is no address of an API/)
})
