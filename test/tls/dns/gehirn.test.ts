import t from 'tap'
import { gehirn } from '../../../src/tls/dns/gehirn.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeGehirn } from '../../support/dns/gehirn.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }
const both = ['GEHIRN_TOKEN_ID', 'GEHIRN_TOKEN_SECRET']

testDnsProvider(t, {
  provider: gehirn,
  start: fakeGehirn,
  wrong: [
    { variables: { GEHIRN_TOKEN_ID: 'not-the-right-token' }, names: both },
    { variables: { GEHIRN_TOKEN_SECRET: 'not-the-right-secret' }, names: both },
  ],
})

t.test('a version that the owner makes current in between is the one that is written', async t => {
  const fake = await fakeGehirn(t)
  const { account } = openStaged(t, { provider: gehirn }, fake)
  const zone = await account.zoneOf(name)
  fake.newVersion(true)
  await account.add(zone, [ours])
  t.same(await fake.values(name), [ours.value])
  fake.newVersion(true)
  await account.remove(zone, [ours])
  t.same(await fake.values(name), [])
})

t.test('a version that is not editable is told, with what to do', async t => {
  const fake = await fakeGehirn(t)
  const { account } = openStaged(t, { provider: gehirn }, fake)
  const zone = await account.zoneOf(name)
  fake.newVersion(false)
  const error = await refusal(account.add(zone, [ours]))
  t.match(error.detail, 'not editable')
  t.match(error.hint, 'copy it')
})

t.test('where the values of a name stand in several records, ours is found in each and the others stay', async t => {
  const fake = await fakeGehirn(t)
  const { account } = openStaged(t, { provider: gehirn }, fake)
  const zone = await account.zoneOf(name)
  const record = { type: 'TXT', name: `${name}.`, enable_alias: false, ttl: 60 }
  fake.records.push({ ...record, id: 'first', records: [{ data: 'theirs' }] }, { ...record, id: 'second', records: [{ data: ours.value }] })
  await account.add(zone, [ours])
  t.same(await fake.values(name), ['theirs', ours.value])
  await account.remove(zone, [ours])
  t.same(await fake.values(name), ['theirs'])
  t.equal(fake.server.count('DELETE /dns/v1/zones/:zone/versions/:version/records/:id'), 1)
})
