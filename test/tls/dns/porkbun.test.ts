import t from 'tap'
import { porkbun } from '../../../src/tls/dns/porkbun.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { closedDomain, fakePorkbun } from '../../support/dns/porkbun.js'

const name = '_acme-challenge.www.example.com'
const both = ['PORKBUN_API_KEY', 'PORKBUN_SECRET_API_KEY']

testDnsProvider(t, {
  provider: porkbun,
  start: fakePorkbun,
  wrong: [
    { variables: { PORKBUN_API_KEY: 'pk1_not-the-right-one' }, names: both },
    { variables: { PORKBUN_SECRET_API_KEY: 'sk1_not-the-right-one' }, names: both },
  ],
})

t.test('a page of HTML that means “too fast” is waited out', async t => {
  const fake = await fakePorkbun(t)
  const { account } = openStaged(t, { provider: porkbun }, fake)
  const zone = await account.zoneOf(name)
  const busy = { status: 503, body: '<html><head><title>503 Service Temporarily Unavailable</title></head></html>' }
  fake.server.answerNext('POST /api/json/v3/dns/retrieve/:zone', busy)
  fake.server.answerNext('POST /api/json/v3/dns/create/:zone', busy)
  await account.add(zone, [{ name, value: txtValue('x') }])
  t.same(fake.values(name), [txtValue('x')])
})

t.test('no more than a request a second leaves', async t => {
  const fake = await fakePorkbun(t)
  const { account, waitsMs } = openStaged(t, { provider: porkbun }, fake)
  await account.zoneOf(name)
  t.ok(fake.api.calls.length > 1)
  t.ok(waitsMs.filter(ms => ms > 500).length >= fake.api.calls.length - 1)
})

t.test('a domain whose API access is off is told, and where to switch it on', async t => {
  const { account } = openStaged(t, { provider: porkbun }, await fakePorkbun(t))
  const error = await refusal(account.zoneOf(closedDomain))
  t.equal(error.code, 'dns_provider_failed')
  t.match(error.detail, 'Switch it on under Domain Management')
})

t.test('an error that comes with status 200 is an error', async t => {
  const fake = await fakePorkbun(t)
  const { account } = openStaged(t, { provider: porkbun }, fake)
  const zone = await account.zoneOf(name)
  fake.server.answerNext('POST /api/json/v3/dns/create/:zone', { status: 200, body: { status: 'ERROR', message: 'Create error: no.' } })
  const error = await refusal(account.add(zone, [{ name, value: txtValue('x') }]))
  t.equal(error.code, 'dns_provider_failed')
  t.match(error.detail, 'Create error: no.')
})
