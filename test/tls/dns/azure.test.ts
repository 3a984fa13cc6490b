import { chmodSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { azure } from '../../../src/tls/dns/azure.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeAzure, federatedToken, selfSigned } from '../../support/dns/azure.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }
const set = '/subscriptions/:subscription/resourceGroups/:group/providers/Microsoft.Network/dnszones/:zone/TXT/:name'

testDnsProvider(t, {
  provider: azure,
  start: fakeAzure,
  wrong: [
    { variables: { AZURE_TENANT_ID: '99999999-2222-3333-4444-555555555555' }, names: ['look at AZURE_TENANT_ID'] },
    { variables: { AZURE_CLIENT_ID: '99999999-7777-8888-9999-000000000000' }, names: ['look at AZURE_CLIENT_ID'] },
    { variables: { AZURE_CLIENT_SECRET: 'not~the~right~one' }, names: ['look at AZURE_CLIENT_SECRET'] },
  ],
})

t.test('all values of a name are one write', async t => {
  const fake = await fakeAzure(t)
  const { account } = openStaged(t, { provider: azure }, fake)
  await account.add(await account.zoneOf(name), [ours, { name, value: txtValue('y') }])
  t.equal(fake.server.count(`PUT ${set}`), 1)
})

t.test('what somebody else writes between the look and the write is not lost, nor what they remove', async t => {
  const fake = await fakeAzure(t)
  const { account } = openStaged(t, { provider: azure }, fake)
  const zone = await account.zoneOf(name)
  fake.server.before(`PUT ${set}`, () => fake.put(name, 'first'))
  fake.server.before(`PUT ${set}`, () => fake.put(name, 'second'))
  await account.add(zone, [ours])
  t.same(fake.values(name), ['first', 'second', ours.value])
  fake.server.before(`PUT ${set}`, () => fake.sets.set(name, ['second', ours.value, 'third'], 60))
  await account.remove(zone, [ours])
  t.same(fake.values(name), ['second', 'third'])
  fake.sets.set(name, [ours.value], 60)
  fake.server.before(`DELETE ${set}`, () => fake.put(name, 'fourth'))
  await account.remove(zone, [ours])
  t.same(fake.values(name), ['fourth'])
})

t.test('a set that is there keeps its TTL and how its values are split', async t => {
  const fake = await fakeAzure(t)
  const { account } = openStaged(t, { provider: azure }, fake)
  const long = ['a'.repeat(255), 'b'.repeat(45)]
  fake.strings.set(long.join(''), long)
  fake.sets.set(name, [long.join('')], 4711)
  await account.add(await account.zoneOf(name), [ours])
  t.same(fake.values(name), [long.join(''), ours.value])
  t.same(fake.strings.get(long.join('')), long)
  t.equal(fake.sets.get(name)?.ttl, 4711)
})

t.test('credentials come from a certificate, a federated token, an app service and a machine', async t => {
  const fake = await fakeAzure(t)
  const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '' } = fake.variables
  const certificate = await fake.certificateFile()
  const token = join(dirname(certificate), 'token')
  writeFileSync(token, `${federatedToken}\n`)
  const application = { AZURE_TENANT_ID, AZURE_CLIENT_ID }
  const ways: Record<string, Readonly<Record<string, string>>> = {
    'a certificate': { ...application, AZURE_CLIENT_CERTIFICATE_PATH: certificate },
    'a certificate, by name': { ...application, AZURE_CLIENT_CERTIFICATE_PATH: certificate, AZURE_AUTH_METHOD: 'env' },
    'workload identity': { ...application, AZURE_FEDERATED_TOKEN_FILE: token },
    'a federated token': { ...application, AZURE_OIDC_TOKEN: federatedToken },
    'a machine': { AZURE_POD_IDENTITY_AUTHORITY_HOST: fake.url },
    'a machine, though a secret is set': { ...fake.variables, AZURE_AUTH_METHOD: 'msi', AZURE_POD_IDENTITY_AUTHORITY_HOST: fake.url },
    'an app service': { IDENTITY_ENDPOINT: `${fake.url}/app-service/token`, IDENTITY_HEADER: 'identity-header-secret' },
  }
  for (const [way, variables] of Object.entries(ways)) {
    const { account } = openStaged(t, { provider: azure }, { ...fake, variables: { ...fake.place, ...variables } })
    const zone = await account.zoneOf(name)
    await account.add(zone, [ours])
    t.same(fake.values(name), [ours.value], way)
    await account.remove(zone, [ours])
  }
})

t.test('whichever credentials are missing or wrong, the variable is named', async t => {
  const fake = await fakeAzure(t)
  const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '' } = fake.variables
  const application = { ...fake.place, AZURE_TENANT_ID, AZURE_CLIENT_ID }
  const open = (variables: Readonly<Record<string, string>>) => openStaged(t, { provider: azure }, { ...fake, variables }).account
  const other = join(dirname(await fake.certificateFile()), 'other.pem')
  writeFileSync(other, await selfSigned())
  chmodSync(other, 0o600)
  const unknown = await refusal(open({ ...application, AZURE_CLIENT_CERTIFICATE_PATH: other }).zoneOf(name))
  t.match(unknown.detail, /AADSTS700027: .*look at AZURE_CLIENT_CERTIFICATE_PATH/)
  const federated = await refusal(open({ ...application, AZURE_OIDC_TOKEN: 'eyJ.other.token' }).zoneOf(name))
  t.equal(federated.code, 'dns_credentials_refused')
  t.match(federated.detail, 'AZURE_OIDC_TOKEN: ')
  t.notMatch(federated.detail, 'eyJ.other.token')
  const nobody = await refusal(open(fake.place).zoneOf(name))
  t.match(nobody.detail, /set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET; .*127\.0\.0\.1:1 refuses the connection/)
  t.throws(() => open({ ...fake.place, AZURE_CLIENT_SECRET: 'x' }), /AZURE_TENANT_ID and AZURE_CLIENT_ID are not set/)
  t.throws(() => open({ ...fake.place, AZURE_AUTH_METHOD: 'cli' }), /AZURE_AUTH_METHOD is cli; understood are env, wli, oidc and msi/)
  t.throws(() => open({ ...fake.place, AZURE_ENVIRONMENT: 'moon' }), /AZURE_ENVIRONMENT is none of public, usgovernment, china/)
})

t.test('a resource group or subscription that is not there is told in the words of Azure', async t => {
  const fake = await fakeAzure(t)
  const group = await refusal(openStaged(t, { provider: azure }, fake, { AZURE_RESOURCE_GROUP: 'other' }).account.zoneOf(name))
  t.match(group.detail, "Resource group 'other' could not be found. ResourceGroupNotFound")
})

t.test('without a resource group or a subscription all are looked through; with all three nothing is', async t => {
  const fake = await fakeAzure(t)
  const { AZURE_SUBSCRIPTION_ID = '', AZURE_RESOURCE_GROUP, ...rest } = fake.variables
  const whole = openStaged(t, { provider: azure }, { ...fake, variables: { ...rest, AZURE_SUBSCRIPTION_ID } }).account
  t.equal((await whole.zoneOf(name)).name, 'example.com')
  const all = openStaged(t, { provider: azure }, { ...fake, variables: rest }).account
  t.equal((await all.zoneOf('_acme-challenge.filler-59.test')).name, 'filler-59.test')
  t.equal(fake.server.count('GET /subscriptions'), 1)
  const before = fake.api.calls.length
  const { account } = openStaged(t, { provider: azure }, fake, { AZURE_ZONE_NAME: 'example.com' })
  const zone = await account.zoneOf(name)
  t.equal(fake.api.calls.length, before)
  await account.add(zone, [ours])
  t.same(fake.values(name), [ours.value])
})

t.test('a private zone is passed over, also where it is the deeper one', async t => {
  const { account } = openStaged(t, { provider: azure }, await fakeAzure(t))
  t.equal((await account.zoneOf('_acme-challenge.deeper.sub.example.com')).name, 'sub.example.com')
})
