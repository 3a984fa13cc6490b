import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { route53 } from '../../../src/tls/dns/route53.js'
import { openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeRoute53, roleArn, webToken } from '../../support/dns/route53.js'

const name = '_acme-challenge.www.example.com'
const ours = { name, value: txtValue('x') }
const write = 'POST /2013-04-01/hostedzone/:zone/rrset'

testDnsProvider(t, {
  provider: route53,
  start: fakeRoute53,
  wrong: [
    { variables: { AWS_ACCESS_KEY_ID: 'AKIANOTTHERIGHTONE00' }, names: ['look at AWS_ACCESS_KEY_ID'] },
    { variables: { AWS_SECRET_ACCESS_KEY: 'not/the/right/secret' }, names: ['look at AWS_SECRET_ACCESS_KEY'] },
  ],
})

t.test('all values of a zone are one batch, made when Route 53 has published it', async t => {
  const fake = await fakeRoute53(t)
  fake.pendingLooks = 3
  const { account, waitsMs } = openStaged(t, { provider: route53 }, fake)
  const records = [ours, { name, value: txtValue('y') }, { name: '_acme-challenge.example.com', value: txtValue('z') }]
  const zone = await account.zoneOf(name)
  await account.add(zone, records)
  t.equal(fake.server.count(write), 1)
  t.equal(waitsMs.filter(ms => ms === 4000).length, 3)
  await account.remove(zone, records)
  t.equal(fake.server.count(write), 2)
})

t.test('a change that stays pending is waited for five minutes, and not at all where that is switched off', async t => {
  const fake = await fakeRoute53(t)
  fake.pendingLooks = 1000
  const waiting = openStaged(t, { provider: route53 }, fake)
  await waiting.account.add(await waiting.account.zoneOf(name), [ours])
  t.equal(waiting.waitsMs.filter(ms => ms === 4000).length, 75)
  t.match(waiting.told.join('\n'), 'pending')
  const other = openStaged(t, { provider: route53 }, fake, { AWS_WAIT_FOR_RECORD_SETS_CHANGED: 'false' })
  await other.account.add(await other.account.zoneOf(name), [{ name, value: txtValue('y') }])
  t.notOk(other.waitsMs.includes(4000))
})

t.test('a value is removed from a set with another TTL than ours, and the set keeps it', async t => {
  const fake = await fakeRoute53(t)
  const { account } = openStaged(t, { provider: route53 }, fake)
  const zone = await account.zoneOf(name)
  fake.sets.set(name, ['"one" "two"', '"with \\"quotes\\" & <signs>"', `"${ours.value}"`], 4711)
  await account.remove(zone, [ours])
  t.same(fake.sets.get(name)?.values, ['"one" "two"', '"with \\"quotes\\" & <signs>"'])
  t.equal(fake.sets.get(name)?.ttl, 4711)
  await account.add(zone, [ours])
  t.equal(fake.sets.get(name)?.ttl, 4711)
})

t.test('what somebody else writes between the look and the write is not lost', async t => {
  const fake = await fakeRoute53(t)
  const { account } = openStaged(t, { provider: route53 }, fake)
  const zone = await account.zoneOf(name)
  fake.server.before(write, () => fake.put(name, 'first'))
  fake.server.before(write, () => fake.put(name, 'second'))
  await account.add(zone, [ours])
  t.same(fake.values(name), ['first', 'second', ours.value])
  fake.server.before(write, () => fake.put(name, 'third'))
  await account.remove(zone, [ours])
  t.same(fake.values(name), ['first', 'second', 'third'])
})

t.test('throttling and a prior request that is not complete are waited out, though they come with status 400', async t => {
  const fake = await fakeRoute53(t)
  const { account } = openStaged(t, { provider: route53 }, fake)
  const zone = await account.zoneOf(name)
  for (const code of ['Throttling', 'PriorRequestNotComplete']) {
    const body = `<?xml version="1.0"?><ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>Rate exceeded</Message></Error></ErrorResponse>`
    fake.server.answerNext(write, { status: 400, body })
  }
  await account.add(zone, [ours])
  t.same(fake.values(name), [ours.value])
})

t.test('a batch that is wrong for good is told in the words of Route 53', async t => {
  const fake = await fakeRoute53(t)
  const { account } = openStaged(t, { provider: route53 }, fake)
  const zone = await account.zoneOf(name)
  const body = `<?xml version="1.0"?><InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages><Message>RRSet with DNS name x. is not permitted in zone y.</Message></Messages></InvalidChangeBatch>`
  fake.server.answerNext(write, { status: 400, body })
  const error = await refusal(account.add(zone, [ours]))
  t.equal(error.code, 'dns_provider_failed')
  t.match(error.detail, 'RRSet with DNS name x. is not permitted in zone y.')
  t.equal(fake.server.count(write), 1)
})

t.test('a clock that is wrong is not taken for a wrong secret', async t => {
  const fake = await fakeRoute53(t)
  const { account } = openStaged(t, { provider: route53 }, fake)
  const words = 'Signature expired: 20261122T080000Z is now earlier than 20261122T085500Z (20261122T090000Z - 5 min.)'
  const body = `<?xml version="1.0"?><ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>${words}</Message></Error></ErrorResponse>`
  fake.server.answerNext('GET /2013-04-01/hostedzonesbyname', { status: 403, body })
  const error = await refusal(account.zoneOf(name))
  t.match(error.detail, 'look at the clock of this machine')
  t.notMatch(error.detail, 'look at AWS_SECRET_ACCESS_KEY')
})

t.test('values with a routing policy are not touched, and it is said why', async t => {
  const fake = await fakeRoute53(t)
  const { account } = openStaged(t, { provider: route53 }, fake)
  fake.put(name, 'theirs')
  fake.route(name)
  const error = await refusal(account.add(await account.zoneOf(name), [ours]))
  t.match(error.detail, 'routing policy')
  t.same(fake.values(name), ['theirs'])
})

t.test('a private zone is passed over, also where it is the deeper one', async t => {
  const { account } = openStaged(t, { provider: route53 }, await fakeRoute53(t))
  const zone = await account.zoneOf('_acme-challenge.deeper.sub.example.com')
  t.equal(zone.name, 'sub.example.com')
  t.notMatch(zone.id, 'PRIVATE')
})

t.test('of two public zones of one name the right one has to be named', async t => {
  const fake = await fakeRoute53(t)
  fake.doubleZone('example.com')
  const error = await refusal(openStaged(t, { provider: route53 }, fake).account.zoneOf(name))
  t.match(error.detail, /several public zones example\.com: .*ZDOUBLE/)
  t.match(error.hint, 'AWS_HOSTED_ZONE_ID')
  const { account } = openStaged(t, { provider: route53 }, fake, { AWS_HOSTED_ZONE_ID: 'ZDOUBLE' })
  t.same(await account.zoneOf(name), { name: 'example.com', id: 'ZDOUBLE' })
  const missing = await refusal(account.zoneOf('example.net'))
  t.equal(missing.code, 'dns_zone_not_found')
  t.match(missing.detail, 'example.com')
})

t.test('credentials are found wherever AWS’s own tools find them', async t => {
  const fake = await fakeRoute53(t)
  const { nowhere, key } = fake
  const folder = t.testdir({
    token: webToken,
    container: 'container-token\n',
    credentials: `[default]\naws_access_key_id = ${key.id}\naws_secret_access_key = ${key.secret}\n\n[base]\naws_access_key_id=${key.id}\naws_secret_access_key=${key.secret}\n`,
    config: `[default]\nregion = eu-west-1\n[profile roled]\nrole_arn = ${roleArn}\nsource_profile = base\nexternal_id = external-1\n`,
  })
  const file = (name: string) => join(folder, name)
  chmodSync(file('credentials'), 0o600)
  const container = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${fake.url}/container/credentials` }
  const ways: Record<string, Readonly<Record<string, string>>> = {
    'the default profile': { AWS_SHARED_CREDENTIALS_FILE: file('credentials') },
    'a named profile': { AWS_SHARED_CREDENTIALS_FILE: file('credentials'), AWS_PROFILE: 'base' },
    'a profile that takes on a role': {
      AWS_SHARED_CREDENTIALS_FILE: file('credentials'),
      AWS_CONFIG_FILE: file('config'),
      AWS_PROFILE: 'roled',
    },
    'web identity': { AWS_WEB_IDENTITY_TOKEN_FILE: file('token'), AWS_ROLE_ARN: roleArn },
    'a container': { ...container, AWS_CONTAINER_AUTHORIZATION_TOKEN: 'container-token' },
    'a container with a token file': { ...container, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file('container') },
    'a machine': { AWS_EC2_METADATA_SERVICE_ENDPOINT: fake.url },
    'a role taken on by variables': { ...fake.variables, AWS_ASSUME_ROLE_ARN: roleArn, AWS_EXTERNAL_ID: 'external-1' },
  }
  for (const [way, variables] of Object.entries(ways)) {
    const withHome = { AWS_SHARED_CREDENTIALS_FILE: file('none'), ...nowhere, ...variables }
    writeFileSync(file('none'), '')
    chmodSync(file('none'), 0o600)
    const { account } = openStaged(t, { provider: route53 }, { ...fake, variables: withHome })
    const zone = await account.zoneOf(name)
    await account.add(zone, [ours])
    t.same(fake.values(name), [ours.value], way)
    await account.remove(zone, [ours])
  }
  t.equal(fake.server.count('GET /latest/meta-data/iam/security-credentials/'), 1, 'once for all calls of an account')
})

t.test('whichever credentials are missing or wrong, the variable is named', async t => {
  const fake = await fakeRoute53(t)
  const folder = t.testdir({ wrong: 'eyJ.wrong.token', credentials: '[other]\nsso_session = corp\n' })
  const credentials = join(folder, 'credentials')
  chmodSync(credentials, 0o600)
  const nowhere = { ...fake.nowhere, AWS_SHARED_CREDENTIALS_FILE: credentials }
  const asked: [Readonly<Record<string, string>>, RegExp][] = [
    [
      { AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'wrong'), AWS_ROLE_ARN: roleArn },
      /^AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN: .*could not be verified/,
    ],
    [
      { ...fake.variables, AWS_ASSUME_ROLE_ARN: 'arn:aws:iam::1:role/other' },
      /AWS_ASSUME_ROLE_ARN: .*not authorized to perform: sts:AssumeRole/,
    ],
    [{ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${fake.url}/container/credentials` }, /answers 401/],
    [{}, /set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; .*127\.0\.0\.1:1 refuses the connection/],
  ]
  for (const [variables, words] of asked) {
    const error = await refusal(
      openStaged(t, { provider: route53 }, { ...fake, variables: { ...nowhere, ...variables } }).account.zoneOf(name),
    )
    t.match(error.detail, words)
    t.notMatch(error.detail, 'eyJ.wrong.token')
  }
  const atOnce: [Readonly<Record<string, string>>, RegExp][] = [
    [{ AWS_ACCESS_KEY_ID: 'AKIA' }, /AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set/],
    [{ AWS_WEB_IDENTITY_TOKEN_FILE: 'x' }, /AWS_ROLE_ARN is not set/],
    [{ AWS_PROFILE: 'nobody' }, /no profile nobody in the credentials file, there are other; look at AWS_PROFILE/],
    [{ AWS_PROFILE: 'other' }, /the profile other holds no access key, but sso_session, which is not understood here/],
    [{ AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://203.0.113.7/steal' }, /leads to 203\.0\.113\.7 without TLS/],
    [{ AWS_EC2_METADATA_DISABLED: 'true' }, /AWS_EC2_METADATA_DISABLED is true/],
  ]
  for (const [variables, words] of atOnce)
    t.throws(() => openStaged(t, { provider: route53 }, { ...fake, variables: { ...nowhere, ...variables } }), words)
  chmodSync(credentials, 0o644)
  t.throws(() => openStaged(t, { provider: route53 }, { ...fake, variables: nowhere }), /can be read by others than its owner/)
})
