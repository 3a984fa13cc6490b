import t from 'tap'
import { luadns } from '../../../src/tls/dns/luadns.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeLuaDns } from '../../support/dns/luadns.js'

const both = ['LUADNS_API_USERNAME', 'LUADNS_API_TOKEN']

testDnsProvider(t, {
  provider: luadns,
  start: fakeLuaDns,
  wrong: [
    { variables: { LUADNS_API_USERNAME: 'somebody@else.example' }, names: both },
    { variables: { LUADNS_API_TOKEN: 'not-the-right-one' }, names: both },
  ],
})

t.test('a TTL below what LuaDNS takes is raised to it', async t => {
  const fake = await fakeLuaDns(t)
  const { account } = openStaged(t, { provider: luadns }, fake, { LUADNS_TTL: '60' })
  const name = '_acme-challenge.www.example.com'
  await account.add(await account.zoneOf(name), [{ name, value: txtValue('x') }])
  t.equal(fake.records.of('example.com').find(record => record.name === name)?.ttl, 300)
})

t.test('many names of one run cost one look at the list of zones', async t => {
  const fake = await fakeLuaDns(t)
  const { account } = openStaged(t, { provider: luadns }, fake)
  for (let i = 0; i < 20; i++) await account.zoneOf(`_acme-challenge.host-${i}.example.com`)
  t.equal(fake.server.count('GET /v1/zones'), 1)
})

t.test('a row without a name is no zone that holds every name', async t => {
  const fake = await fakeLuaDns(t)
  const { account } = openStaged(t, { provider: luadns }, fake)
  fake.server.answerNext('GET /v1/zones', { status: 200, body: [{}, { id: 1 }, { id: 2, name: 'example.net' }] })
  const error = await refusal(account.zoneOf('_acme-challenge.example.com'))
  t.equal(error.code, 'dns_zone_not_found')
  t.match(error.detail, 'the account has example.net.')
})
