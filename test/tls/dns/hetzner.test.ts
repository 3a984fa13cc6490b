import t from 'tap'
import { hetzner } from '../../../src/tls/dns/hetzner.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeHetzner } from '../../support/dns/hetzner.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }
const addRoute = 'POST /v1/zones/:zone/rrsets/:name/TXT/actions/add_records'

testDnsProvider(t, {
  provider: hetzner,
  start: fakeHetzner,
  wrong: [{ variables: { HETZNER_API_TOKEN: 'not-the-right-one' }, names: ['HETZNER_API_TOKEN'] }],
})

t.test('a write is done when its action has ended, and all values of a name are one action', async t => {
  const fake = await fakeHetzner(t)
  const { account, waitsMs } = openStaged(t, { provider: hetzner }, fake)
  await account.add(await account.zoneOf(name), [ours, { name, value: txtValue('y') }])
  t.same(fake.values(name), [ours.value, txtValue('y')])
  t.equal(fake.server.count(addRoute), 1)
  t.equal(fake.server.count('GET /v1/zones/actions/:id'), 3)
  t.same(waitsMs, [1000, 1000, 1000])
})

t.test('an action that fails is an error with its words', async t => {
  const fake = await fakeHetzner(t)
  const { account } = openStaged(t, { provider: hetzner }, fake)
  const zone = await account.zoneOf(name)
  fake.failNextAction('the name servers are on fire')
  const error = await refusal(account.add(zone, [ours]))
  t.equal(error.code, 'dns_provider_failed')
  t.match(error.detail, 'add_rrset_records: the name servers are on fire')
})

t.test('an action that never ends is given up after a minute', async t => {
  const fake = await fakeHetzner(t)
  const { account, waitsMs } = openStaged(t, { provider: hetzner }, fake)
  const zone = await account.zoneOf(name)
  const running = { action: { id: 7, status: 'running', command: 'add_rrset_records' } }
  for (let i = 0; i < 3; i += 1) fake.server.answerNext(addRoute, { status: 201, body: running })
  for (let i = 0; i < 180; i += 1) fake.server.answerNext('GET /v1/zones/actions/:id', { status: 200, body: running })
  const error = await refusal(account.add(zone, [ours]))
  t.match(error.detail, 'Hetzner has not ended action 7 within a minute')
  t.equal(waitsMs.length, 60)
})

t.test('a value that came in between the look and the write is success', async t => {
  const fake = await fakeHetzner(t)
  const { account } = openStaged(t, { provider: hetzner }, fake)
  const zone = await account.zoneOf(name)
  fake.server.before(addRoute, () => fake.sets.set(name, [`"${ours.value}"`], 60))
  await account.add(zone, [ours])
  t.same(fake.values(name), [ours.value])
})

t.test('a zone that is locked by another action is waited for', async t => {
  const fake = await fakeHetzner(t)
  const { account } = openStaged(t, { provider: hetzner }, fake)
  const zone = await account.zoneOf(name)
  const locked = { status: 423, body: { error: { code: 'locked', message: 'zone is locked', details: null } } }
  for (let i = 0; i < 3; i += 1) fake.server.answerNext(addRoute, locked)
  await account.add(zone, [ours])
  t.same(fake.values(name), [ours.value])
})
