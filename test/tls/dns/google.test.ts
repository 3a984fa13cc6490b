import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { google } from '../../../src/tls/dns/google.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeGoogle } from '../../support/dns/google.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }
const change = 'POST /dns/v1/projects/:project/managedZones/:zone/changes'
const otherKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

testDnsProvider(t, { provider: google, start: fakeGoogle })

t.test('a service account whose key is not its own is refused by name, and the key is not shown', async t => {
  const fake = await fakeGoogle(t)
  const { account } = openStaged(t, { provider: google }, fake, { GCE_SERVICE_ACCOUNT: fake.keyFile({ private_key: otherKey }) })
  const error = await refusal(account.zoneOf(name))
  t.equal(error.code, 'dns_credentials_refused')
  t.match(error.detail, /^GCE_SERVICE_ACCOUNT: .*Invalid JWT Signature/)
})

t.test('a key file that is none is refused before anybody is asked', async t => {
  const fake = await fakeGoogle(t)
  for (const [text, words] of [
    ['{"type":"external_account"}', /GCE_SERVICE_ACCOUNT: the JSON is not of type "service_account", but "external_account"/],
    ['not JSON', /GCE_SERVICE_ACCOUNT: it is not JSON/],
  ] as const)
    t.throws(() => openStaged(t, { provider: google }, fake, { GCE_SERVICE_ACCOUNT: text }), {
      code: 'dns_settings_incomplete',
      detail: words,
    })
  t.same(fake.api.calls, [])
})

t.test('credentials come from a key file, from gcloud, from the machine, and in the name of another account', async t => {
  const fake = await fakeGoogle(t)
  const file = join(t.testdir({}), 'key.json')
  writeFileSync(file, fake.keyFile())
  chmodSync(file, 0o600)
  const ways: Record<string, Readonly<Record<string, string>>> = {
    'a key file': { ...fake.nowhere, GCE_SERVICE_ACCOUNT_FILE: file },
    GOOGLE_APPLICATION_CREDENTIALS: { ...fake.nowhere, GOOGLE_APPLICATION_CREDENTIALS: file },
    gcloud: { ...fake.nowhere, CLOUDSDK_CONFIG: fake.userFolder() },
    'the metadata server': fake.machine,
    impersonation: { ...fake.variables, GCE_IMPERSONATE_SERVICE_ACCOUNT: 'other@manhattan.iam.gserviceaccount.com' },
    'impersonation from a machine': { ...fake.machine, GCE_IMPERSONATE_SERVICE_ACCOUNT: 'other@manhattan.iam.gserviceaccount.com' },
  }
  for (const [way, variables] of Object.entries(ways)) {
    const { account } = openStaged(t, { provider: google }, { ...fake, variables })
    await account.add(await account.zoneOf(name), [ours])
    t.same(fake.values(name), [ours.value], way)
    await account.remove(await account.zoneOf(name), [ours])
  }
})

t.test('whichever credentials are wrong, the variable is named', async t => {
  const fake = await fakeGoogle(t)
  const folder = fake.userFolder({ refresh_token: '1//not-the-right-one' })
  const user = openStaged(t, { provider: google }, { ...fake, variables: { ...fake.nowhere, CLOUDSDK_CONFIG: folder } }).account
  t.match((await refusal(user.zoneOf(name))).detail, /^CLOUDSDK_CONFIG: .*expired or revoked/)
  const other = openStaged(t, { provider: google }, fake, {
    GCE_IMPERSONATE_SERVICE_ACCOUNT: 'nobody@manhattan.iam.gserviceaccount.com',
  }).account
  t.match((await refusal(other.zoneOf(name))).detail, /^GCE_SERVICE_ACCOUNT and GCE_IMPERSONATE_SERVICE_ACCOUNT: .*getAccessToken/)
  const project = openStaged(t, { provider: google }, fake, { GCE_PROJECT: 'bronx' }).account
  t.match((await refusal(project.zoneOf(name))).detail, /Permission denied on project bronx/)
})

t.test('with no credentials anywhere it says what to set', async t => {
  const fake = await fakeGoogle(t)
  const { account } = openStaged(t, { provider: google }, { ...fake, variables: { ...fake.nowhere, GCE_PROJECT: 'manhattan' } })
  const error = await refusal(account.zoneOf(name))
  t.equal(error.code, 'dns_settings_incomplete')
  t.match(error.detail, 'set GCE_SERVICE_ACCOUNT')
})

t.test('all values of a zone are one change, made when Google has published it', async t => {
  const fake = await fakeGoogle(t)
  fake.pendingLooks = 3
  const { account, waitsMs } = openStaged(t, { provider: google }, fake)
  const records = [ours, { name, value: txtValue('y') }, { name: '_acme-challenge.example.com', value: txtValue('z') }]
  await account.add(await account.zoneOf(name), records)
  t.equal(fake.server.count(change), 1)
  t.equal(waitsMs.filter(ms => ms === 2000).length, 3)
})

t.test('a change that stays pending is waited for two minutes, and said so', async t => {
  const fake = await fakeGoogle(t)
  fake.pendingLooks = 1000
  const { account, waitsMs, told } = openStaged(t, { provider: google }, fake)
  await account.add(await account.zoneOf(name), [ours])
  t.equal(waitsMs.filter(ms => ms === 2000).length, 60)
  t.match(told.join('\n'), 'pending')
})

t.test('what somebody else writes between the look and the write is not lost', async t => {
  const fake = await fakeGoogle(t)
  const { account } = openStaged(t, { provider: google }, fake)
  const zone = await account.zoneOf(name)
  fake.server.before(change, () => fake.put(name, 'first'))
  fake.server.before(change, () => fake.put(name, 'second'))
  await account.add(zone, [ours])
  t.same(fake.values(name), ['first', 'second', ours.value])
  t.equal(fake.server.count(change), 3)
  fake.server.before(change, () => fake.put(name, 'third'))
  await account.remove(zone, [ours])
  t.same(fake.values(name), ['first', 'second', 'third'])
})

t.test('a set that is there keeps its TTL', async t => {
  const fake = await fakeGoogle(t)
  const { account } = openStaged(t, { provider: google }, fake)
  fake.sets.set(name, ['"one" "two"'], 4711)
  await account.add(await account.zoneOf(name), [ours])
  t.same(fake.sets.get(name)?.values, ['"one" "two"', `"${ours.value}"`])
  t.equal(fake.sets.get(name)?.ttl, 4711)
})

t.test('a zone that is named is not looked for', async t => {
  const fake = await fakeGoogle(t)
  const { account } = openStaged(t, { provider: google }, fake, { GCE_ZONE_ID: 'example-com' })
  t.same(await account.zoneOf('_acme-challenge.sub.example.com'), { name: 'example.com', id: 'example-com' })
  t.equal(fake.server.count('GET /dns/v1/projects/:project/managedZones'), 0)
  t.equal((await refusal(account.zoneOf('example.net'))).code, 'dns_zone_not_found')
})

t.test('a private zone is passed over, also where it is the deeper one', async t => {
  const { account } = openStaged(t, { provider: google }, await fakeGoogle(t))
  t.same(await account.zoneOf('_acme-challenge.deeper.sub.example.com'), { name: 'sub.example.com', id: 'sub-example-com' })
})

t.test('too many requests is waited out, though it comes with status 403', async t => {
  const fake = await fakeGoogle(t)
  const { account } = openStaged(t, { provider: google }, fake)
  const zone = await account.zoneOf(name)
  const message = 'Rate Limit Exceeded'
  fake.server.answerNext(change, {
    status: 403,
    body: { error: { code: 403, message, errors: [{ message, reason: 'rateLimitExceeded' }] } },
  })
  await account.add(zone, [ours])
  t.same(fake.values(name), [ours.value])
})

t.test('of several public zones of one domain none is taken by chance', async t => {
  const fake = await fakeGoogle(t)
  const { account } = openStaged(t, { provider: google }, fake)
  const zone = (name: string) => ({ name, dnsName: 'example.com.', visibility: 'public' })
  const list = 'GET /dns/v1/projects/:project/managedZones'
  fake.server.answerNext(list, { status: 200, body: { managedZones: [zone('one'), zone('two')] } })
  const error = await refusal(account.zoneOf('example.com'))
  t.equal(error.code, 'dns_settings_incomplete')
  t.match(error.detail, 'several public zones example.com: one, two')
  t.match(error.hint, 'GCE_ZONE_ID')
})
