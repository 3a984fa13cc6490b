import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openDnsAccount } from '../../../src/tls/dns/account.js'
import { rfc2136 } from '../../../src/tls/dns/rfc2136.js'
import { type DnsStage, openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { type Bind, lacking, startBind, type Tsig, temporaryFolder } from '../../support/acme/index.js'

const missing = lacking('named', 'nsupdate')
const folder = temporaryFolder(t)

const zones = {
  'example.com': 'sub IN NS ns1.sub\nns1.sub IN A 127.0.0.1',
  'sub.example.com': '',
  'example.net': '',
}
const start1 = (tsig?: Tsig) => startBind(folder, { zones, ...(tsig === undefined ? {} : { tsig }) })
const bind = missing ? undefined : await start1()
t.teardown(() => bind?.stop())

function real(): Bind {
  if (bind === undefined) throw new Error('no BIND')
  return bind
}

const variablesOf = ({ server, tsig }: Bind) => ({
  DNSUPDATE_NAMESERVER: server,
  DNSUPDATE_TSIG_KEY: tsig.name,
  DNSUPDATE_TSIG_SECRET: tsig.secret,
  DNSUPDATE_TSIG_ALGORITHM: tsig.algorithm,
})

async function start(_: Test): Promise<DnsStage> {
  const names = ['www', 'a', 'b', 'never', 'www.sub'].map(label => `_acme-challenge.${label}.example.com`)
  for (const name of names) await real().update(`update delete ${name}. TXT`)
  return {
    variables: variablesOf(real()),
    values: name => real().txt(name),
    put: (name, value) => real().update(`update add ${name}. 300 TXT "${value.replaceAll('"', '\\"')}"`),
  }
}

const name = '_acme-challenge.www.example.com'
const record = { name, value: txtValue('x') }

t.test('against a real BIND', { skip: missing }, async t => {
  testDnsProvider(t, {
    provider: rfc2136,
    start,
    zones: 'unlisted',
    wrong: [
      { variables: { DNSUPDATE_TSIG_SECRET: Buffer.from('a secret of another key').toString('base64') }, names: ['DNSUPDATE_TSIG_SECRET'] },
      { variables: { DNSUPDATE_TSIG_KEY: 'no-such-key' }, names: ['DNSUPDATE_TSIG_KEY'] },
      { variables: { DNSUPDATE_TSIG_ALGORITHM: 'hmac-sha512' }, names: ['DNSUPDATE_TSIG_ALGORITHM'] },
    ],
  })

  t.test('a clock that is off is told with the difference', async t => {
    const { told: _, ...base } = openStaged(t, { provider: rfc2136 }, await start(t))
    const late = openDnsAccount(rfc2136, {
      sources: { variable: name => new Map(Object.entries(variablesOf(real()))).get(name) },
      now: () => Date.now() - 4_000_000,
      delay: async () => {},
      signal: new AbortController().signal,
      tell: () => {},
    })
    const error = await refusal(late.account.add(await base.account.zoneOf(name), [record]))
    t.equal(error.code, 'dns_provider_failed')
    t.match(error.detail, /is behind that of the server .* by (?:4000|3999|4001) seconds \(BADTIME\)/)
  })

  t.test('what the key may not write is refused, with the key and the name', async t => {
    const { account } = openStaged(t, { provider: rfc2136 }, await start(t), { DNSUPDATE_TSIG_KEY: '', DNSUPDATE_TSIG_SECRET: '' })
    const error = await refusal(account.add({ id: 'example.com', name: 'example.com' }, [record]))
    t.equal(error.code, 'dns_credentials_refused')
    t.match(error.detail, 'DNSUPDATE_TSIG_KEY')
    t.match(error.detail, name)
  })

  t.test('a name outside the zone is told (NOTZONE), and a zone that is not there too (NOTAUTH)', async t => {
    const { account } = openStaged(t, { provider: rfc2136 }, await start(t))
    const outside = await refusal(account.add({ id: 'example.net', name: 'example.net' }, [record]))
    t.equal(outside.code, 'dns_provider_failed')
    t.match(outside.detail, 'NOTZONE')
    const nowhere = await refusal(account.add({ id: 'nowhere.test', name: 'nowhere.test' }, [{ ...record, name: 'x.nowhere.test' }]))
    t.match(nowhere.detail, /NOTAUTH|REFUSED/)
  })

  t.test('a value of more than 255 bytes arrives whole', async t => {
    const stage = await start(t)
    const { account } = openStaged(t, { provider: rfc2136 }, stage)
    const long = { name, value: 'x'.repeat(300) }
    const zone = await account.zoneOf(name)
    await account.add(zone, [long])
    t.same(await stage.values(name), [long.value])
    await account.remove(zone, [long])
    t.same(await stage.values(name), [])
  })

  t.test('a server that is not there is told by address', async t => {
    const { account } = openStaged(t, { provider: rfc2136 }, await start(t), { DNSUPDATE_NAMESERVER: '127.0.0.1:1' })
    const error = await refusal(account.zoneOf(name))
    t.equal(error.code, 'dns_provider_failed')
    t.match(error.detail, '127.0.0.1:1 refuses the connection')
  })

  t.test('zones that the server does not tell of can be named', async t => {
    const { account } = openStaged(t, { provider: rfc2136 }, await start(t), {
      DNSUPDATE_ZONES: 'example.net, sub.example.com.,example.com',
    })
    t.equal((await account.zoneOf('_acme-challenge.x.sub.example.com')).name, 'sub.example.com')
    t.equal((await account.zoneOf('_acme-challenge.x.example.com')).name, 'example.com')
  })

  t.test('the file that tsig-keygen writes stands in for name, secret and algorithm; one that others can read is refused', async t => {
    const stage = await start(t)
    const file = join(folder, 'copy.key')
    const { name: key, secret, algorithm } = real().tsig
    writeFileSync(file, `# made by hand\nkey "${key}" {\n\talgorithm ${algorithm};\n\tsecret "${secret}";\n};\n`, { mode: 0o600 })
    const only = { ...stage, variables: { DNSUPDATE_NAMESERVER: real().server } }
    const { account } = openStaged(t, { provider: rfc2136 }, only, { DNSUPDATE_TSIG_FILE: file })
    await account.add(await account.zoneOf(name), [record])
    t.same(await stage.values(name), [record.value])
    chmodSync(file, 0o644)
    t.throws(() => openStaged(t, { provider: rfc2136 }, only, { DNSUPDATE_TSIG_FILE: file }), {
      code: 'file_refused',
      hint: `chmod 600 ${file}`,
    })
  })

  t.test('the names of lego’s older releases work', async t => {
    const stage = await start(t)
    const older = Object.fromEntries(Object.entries(stage.variables).map(([name, value]) => [name.replace('DNSUPDATE', 'RFC2136'), value]))
    const { account, settings } = openStaged(t, { provider: rfc2136 }, { ...stage, variables: older }, { RFC2136_TTL: '77' })
    t.equal((await account.zoneOf(name)).name, 'example.com')
    t.equal(settings.ttlSeconds, 77)
  })
})

t.test('a key file may hold slashes in its secret and keys in its comments', { skip: missing }, async t => {
  const other = await start1({ name: 'slashes', secret: Buffer.alloc(24, 0xff).toString('base64'), algorithm: 'hmac-sha256' })
  t.teardown(() => other.stop())
  const file = join(folder, 'slashes.key')
  const comment = '/* key "old" {\n\talgorithm hmac-sha1; secret "AAAA";\n}; */ // secret "BBBB";\n# secret "CCCC";\n'
  writeFileSync(file, comment + readFileSync(other.keyFile, 'utf8'), { mode: 0o600 })
  const variables = { DNSUPDATE_NAMESERVER: other.server, DNSUPDATE_TSIG_FILE: file }
  const { account } = openStaged(t, { provider: rfc2136 }, { variables, values: other.txt })
  await account.add(await account.zoneOf(name), [record])
  t.same(await other.txt(name), [record.value])
})

for (const algorithm of ['hmac-md5', 'hmac-sha1', 'hmac-sha224', 'hmac-sha384', 'hmac-sha512']) {
  t.test(`updates signed with ${algorithm} are taken, and their answers verified`, { skip: missing }, async t => {
    const other = await start1({ name: 'other-key', secret: Buffer.alloc(24, 7).toString('base64'), algorithm })
    t.teardown(() => other.stop())
    const { account } = openStaged(t, { provider: rfc2136 }, { variables: variablesOf(other), values: other.txt })
    await account.add(await account.zoneOf(name), [record])
    t.same(await other.txt(name), [record.value])
  })
}
