import t from 'tap'
import { dnsimple } from '../../../src/tls/dns/dnsimple.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeDnsimple } from '../../support/dns/dnsimple.js'

const name = '_acme-challenge.www.example.com'

testDnsProvider(t, {
  provider: dnsimple,
  start: fakeDnsimple,
  wrong: [{ variables: { DNSIMPLE_OAUTH_TOKEN: 'dnsimple_a_not-the-right-one' }, names: ['DNSIMPLE_OAUTH_TOKEN'] }],
})

t.test('the token of a user is refused, and it is said which one is needed', async t => {
  const fake = await fakeDnsimple(t)
  const { account } = openStaged(t, { provider: dnsimple }, fake, { DNSIMPLE_OAUTH_TOKEN: fake.userToken })
  const error = await refusal(account.zoneOf(name))
  t.equal(error.code, 'dns_credentials_refused')
  t.match(error.detail, 'DNSIMPLE_OAUTH_TOKEN holds the token of a user, not of an account')
})

t.test('values are compared without the quotes that the API may add', async t => {
  const fake = await fakeDnsimple(t)
  const { account } = openStaged(t, { provider: dnsimple }, fake)
  const zone = await account.zoneOf(name)
  // the fake shows every second record in quotes
  const records = ['a', 'b', 'c', 'd'].map(seed => ({ name, value: txtValue(seed) }))
  await account.add(zone, records)
  await account.add(zone, records)
  t.equal(fake.values(name).length, 4)
  await account.remove(zone, records.slice(0, 2))
  t.same(fake.values(name), [txtValue('c'), txtValue('d')])
})

t.test('the words of the API about a field are passed on', async t => {
  const fake = await fakeDnsimple(t)
  const { account } = openStaged(t, { provider: dnsimple }, fake)
  const zone = await account.zoneOf(name)
  const body = { message: 'Validation failed', errors: { content: ["can't be blank"] } }
  fake.server.answerNext('POST /v2/:account/zones/:zone/records', { status: 400, body })
  const error = await refusal(account.add(zone, [{ name, value: txtValue('x') }]))
  t.match(error.detail, "Validation failed; content can't be blank")
})

t.test('a value on a later page of its name is found and removed', async t => {
  const fake = await fakeDnsimple(t)
  const { account } = openStaged(t, { provider: dnsimple }, fake)
  const zone = await account.zoneOf(name)
  for (let i = 0; i < 120; i += 1) fake.put(name, `foreign ${i}`)
  const ours = { name, value: txtValue('x') }
  await account.add(zone, [ours])
  await account.add(zone, [ours])
  t.equal(fake.values(name).length, 121)
  await account.remove(zone, [ours])
  t.notOk(fake.values(name).includes(ours.value))
  t.equal(fake.values(name).length, 120)
})
