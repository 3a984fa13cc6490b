import t from 'tap'
import { bunny } from '../../../src/tls/dns/bunny.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeBunny } from '../../support/dns/bunny.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }

testDnsProvider(t, {
  provider: bunny,
  start: fakeBunny,
  wrong: [{ variables: { BUNNY_API_KEY: 'not-the-right-one' }, names: ['BUNNY_API_KEY'] }],
})

t.test('a PUT that is answered by nobody is not sent again: it makes one more record each time', async t => {
  const fake = await fakeBunny(t)
  const { account } = openStaged(t, { provider: bunny }, fake)
  const zone = await account.zoneOf(name)
  fake.api.fault({ drop: 'after', match: ({ method }) => method === 'PUT' })
  t.equal((await refusal(account.add(zone, [ours]))).code, 'dns_provider_failed')
  t.equal(fake.server.count('PUT /dnszone/:zone/records'), 1)
  t.same(fake.values(name), [ours.value])
})

t.test('of two values at one name, the one that is meant is removed, in whatever order they stand', async t => {
  const fake = await fakeBunny(t)
  const { account } = openStaged(t, { provider: bunny }, fake)
  const zone = await account.zoneOf(name)
  const second = { name, value: txtValue('y') }
  await account.add(zone, [ours, second])
  await account.remove(zone, [second])
  t.same(fake.values(name), [ours.value])
})

t.test('an error names the field that the API names', async t => {
  const fake = await fakeBunny(t)
  const { account } = openStaged(t, { provider: bunny }, fake)
  const zone = await account.zoneOf(name)
  fake.server.answerNext('PUT /dnszone/:zone/records', {
    status: 400,
    body: { ErrorKey: 'validation_error', Field: 'Ttl', Message: 'The TTL is invalid' },
  })
  t.match((await refusal(account.add(zone, [ours]))).detail, 'The TTL is invalid, Ttl')
})
