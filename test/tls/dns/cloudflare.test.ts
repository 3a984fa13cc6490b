import t from 'tap'
import { cloudflare } from '../../../src/tls/dns/cloudflare.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeCloudflare } from '../../support/dns/cloudflare.js'

const name = '_acme-challenge.www.example.com'
const wrong = 'cf-Wrong_0123456789_abcdefghijklmnopqrst'

testDnsProvider(t, {
  provider: cloudflare,
  start: fakeCloudflare,
  wrong: [
    { variables: { CLOUDFLARE_DNS_API_TOKEN: wrong }, names: ['CLOUDFLARE_DNS_API_TOKEN'] },
    // told with status 400
    { variables: { CLOUDFLARE_DNS_API_TOKEN: 'too-short' }, names: ['CLOUDFLARE_DNS_API_TOKEN'] },
    { variables: { CLOUDFLARE_ZONE_API_TOKEN: wrong }, names: ['CLOUDFLARE_ZONE_API_TOKEN'] },
  ],
})

t.test('the e-mail address and global key open an account too, under their short names', async t => {
  const fake = await fakeCloudflare(t)
  const stage = { ...fake, variables: fake.globalKey }
  const { account } = openStaged(t, { provider: cloudflare }, stage)
  const zone = await account.zoneOf(name)
  await account.add(zone, [{ name, value: txtValue('x') }])
  t.same(fake.values(name), [txtValue('x')])
  const wrongKey = openStaged(t, { provider: cloudflare }, stage, { CF_API_KEY: '0'.repeat(37) }).account
  const error = await refusal(wrongKey.zoneOf(name))
  t.equal(error.code, 'dns_credentials_refused')
  t.match(error.detail, 'CF_API_EMAIL and CF_API_KEY')
})

t.test('with two tokens each does what it is for', async t => {
  const fake = await fakeCloudflare(t)
  const { account } = openStaged(t, { provider: cloudflare }, { ...fake, variables: fake.twoTokens })
  const zone = await account.zoneOf(name)
  await account.add(zone, [{ name, value: txtValue('x') }])
  t.same(fake.values(name), [txtValue('x')])
})

t.test('a token that may edit records but not read zones is told to be the reason', async t => {
  const fake = await fakeCloudflare(t)
  const { CF_DNS_API_TOKEN = '' } = fake.twoTokens
  const { account } = openStaged(t, { provider: cloudflare }, { ...fake, variables: { CF_DNS_API_TOKEN } })
  const error = await refusal(account.zoneOf(name))
  t.equal(error.code, 'dns_credentials_refused')
  t.match(error.detail, /^CF_DNS_API_TOKEN: GET .*\/zones answers 403: Unauthorized to access requested resource \(9109\)/)
})

t.test('a zone that waits in another account is passed over for the active one', async t => {
  const fake = await fakeCloudflare(t)
  const { account } = openStaged(t, { provider: cloudflare }, fake)
  t.notMatch((await account.zoneOf(name)).id, /^f+$/)
})

t.test('a record that came in between the look and the write is success, by either code', async t => {
  for (const code of [81057, 81058]) {
    const fake = await fakeCloudflare(t)
    const { account } = openStaged(t, { provider: cloudflare }, fake)
    const zone = await account.zoneOf(name)
    const body = { result: null, success: false, errors: [{ code, message: 'Record already exists.' }], messages: [] }
    fake.server.answerNext('POST /client/v4/zones/:zone/dns_records', { status: 400, body })
    await account.add(zone, [{ name, value: txtValue('x') }])
    t.equal(fake.server.count('POST /client/v4/zones/:zone/dns_records'), 1)
  }
})

t.test('a CNAME at the name is told as what it is', async t => {
  const fake = await fakeCloudflare(t)
  const { account } = openStaged(t, { provider: cloudflare }, fake)
  fake.records.add({ zone: 'example.com', type: 'CNAME', name, content: 'elsewhere.test', ttl: 300 })
  const error = await refusal(account.add(await account.zoneOf(name), [{ name, value: txtValue('x') }]))
  t.equal(error.code, 'dns_provider_failed')
  t.match(
    error.detail,
    'A CNAME record with that host already exists. (81054); the TXT record belongs to the name that the CNAME points to',
  )
})

t.test('a TTL below what the API takes is raised', async t => {
  const fake = await fakeCloudflare(t)
  const { account } = openStaged(t, { provider: cloudflare }, fake, { CLOUDFLARE_TTL: '1' })
  await account.add(await account.zoneOf(name), [{ name, value: txtValue('x') }])
  t.equal(fake.records.all().find(record => record.name === name)?.ttl, 60)
})

t.test('the rate that the API allows is kept', async t => {
  const fake = await fakeCloudflare(t)
  const { account, waitsMs } = openStaged(t, { provider: cloudflare }, fake)
  await account.zoneOf(name)
  t.ok(waitsMs.length > 0 && waitsMs.every(ms => ms > 0 && ms <= 1000))
})
