import t from 'tap'
import { gandi } from '../../../src/tls/dns/gandi.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeGandi } from '../../support/dns/gandi.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }

testDnsProvider(t, {
  provider: gandi,
  start: fakeGandi,
  wrong: [{ variables: { GANDIV5_PERSONAL_ACCESS_TOKEN: 'pat_not-the-right-one' }, names: ['GANDIV5_PERSONAL_ACCESS_TOKEN'] }],
})

t.test('a key of the former kind opens an account too', async t => {
  const fake = await fakeGandi(t)
  const { account } = openStaged(t, { provider: gandi }, { ...fake, variables: fake.apiKey })
  await account.add(await account.zoneOf(name), [ours])
  t.same(fake.values(name), [ours.value])
  const wrong = openStaged(t, { provider: gandi }, { ...fake, variables: { GANDIV5_API_KEY: 'not-the-right-one' } }).account
  t.match((await refusal(wrong.zoneOf(name))).detail, /^GANDIV5_API_KEY: /)
})

t.test('a set that is there keeps its TTL and, to the letter, the values of others', async t => {
  const fake = await fakeGandi(t)
  const { account } = openStaged(t, { provider: gandi }, fake)
  const zone = await account.zoneOf(name)
  const foreign = ['"one" "two"', '"with space"', '"back\\\\slash and \\"quotes\\""', '"plain"']
  fake.sets.set(name, foreign, 4711)
  await account.add(zone, [ours])
  t.same(fake.sets.get(name)?.values, [...foreign, `"${ours.value}"`])
  t.equal(fake.sets.get(name)?.ttl, 4711)
  await account.remove(zone, [ours])
  t.same(fake.sets.get(name)?.values, foreign)
})

t.test('a value that somebody else overwrites right after is written again', async t => {
  const fake = await fakeGandi(t)
  const { account } = openStaged(t, { provider: gandi }, fake)
  const zone = await account.zoneOf(name)
  const read = 'GET /v5/livedns/domains/:zone/records/:name/TXT'
  fake.server.before(read, () => {})
  fake.server.before(read, () => fake.sets.set(name, ['"theirs"'], 300))
  await account.add(zone, [ours])
  t.same(fake.values(name), ['theirs', ours.value])
})

t.test('a second name is cleaned up as the first one is', async t => {
  const fake = await fakeGandi(t)
  const { account } = openStaged(t, { provider: gandi }, fake)
  const zone = await account.zoneOf(name)
  const second = { name, value: txtValue('y') }
  await account.add(zone, [ours, second])
  await account.remove(zone, [ours])
  await account.remove(zone, [second])
  t.equal(fake.sets.get(name), undefined)
})
