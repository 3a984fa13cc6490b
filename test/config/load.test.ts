import { chmodSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { homeOf, loadSettings } from '../../src/config/load.js'
import { schema } from '../../src/config/schema.js'
import type { Settings } from '../../src/config/settings.js'
import { SoakpError } from '../../src/errors.js'

const canary = 'c4n4ry'.padEnd(64, '0')

function homeWith(t: Test, dotenv: string, mode = 0o600): string {
  const home = t.testdir()
  const file = join(home, '.env')
  writeFileSync(file, dotenv)
  chmodSync(file, mode)
  return home
}

/** The error that loading ends with. */
function refusal(options: Parameters<typeof loadSettings>[0]): SoakpError {
  try {
    loadSettings(options)
  } catch (error) {
    if (error instanceof SoakpError) return error
    throw error
  }
  throw new Error('the settings were accepted')
}

t.test('without any setting, everything has its default', async t => {
  const home = t.testdir()
  const settings = loadSettings({ env: {}, home })
  t.match(settings, {
    home,
    host: '127.0.0.1',
    port: 3033,
    http: false,
    durability: 'normal',
    logLevel: 'info',
    trustProxy: [],
    connectTimeoutMs: 10_000,
  })
  t.match(settings, { headTimeoutMs: 600_000, idleTimeoutMs: 300_000, clientTimeoutMs: 60_000, maxInspectedBytes: 32 * 1024 * 1024 })
  t.equal(settings.masterKey, undefined)
})

t.test('a flag goes before the environment, that before .env, that before the default', async t => {
  const home = homeWith(t, 'SOAKP_PORT=1\nSOAKP_HOST=10.0.0.1\nSOAKP_LOG_LEVEL=debug\n')
  const settings = loadSettings({ env: { SOAKP_PORT: '2', SOAKP_HOST: '10.0.0.2' }, home, flags: { port: '3' } })
  t.match(settings, { port: 3, host: '10.0.0.2', logLevel: 'debug', durability: 'normal' })
})

t.test('an empty value is none', async t => {
  t.match(loadSettings({ env: { SOAKP_PORT: '', SOAKP_DATABASE_URL: '' }, home: t.testdir() }), { port: 3033, databaseUrl: undefined })
})

t.test('the home is --home, else SOAKP_HOME, else ~/.soakp', async t => {
  t.equal(homeOf({ env: { SOAKP_HOME: '/b' }, home: '/a' }), '/a')
  t.equal(homeOf({ env: { SOAKP_HOME: '/b' } }), '/b')
  t.equal(homeOf({ env: {} }), join(homedir(), '.soakp'))
})

t.test('the result cannot be changed', async t => {
  const settings = loadSettings({ env: { SOAKP_TRUST_PROXY: '10.0.0.0/8' }, home: t.testdir() })
  t.ok(Object.isFrozen(settings))
  t.ok(Object.isFrozen(settings.trustProxy))
})

t.test('every problem is named at once', async t => {
  const error = refusal({
    env: { SOAKP_PORT: '70000', SOAKP_LOG_LEVEL: 'loud', SOAKP_CONNECT_TIMEOUT: '10', SOAKP_TLS_KEY_FILE: '/k.pem' },
    home: t.testdir(),
  })
  t.equal(error.code, 'settings_invalid')
  for (const name of ['SOAKP_PORT', 'SOAKP_LOG_LEVEL', 'SOAKP_CONNECT_TIMEOUT', 'SOAKP_TLS_CERT_FILE']) t.match(error.message, name)
})

t.test('an unknown SOAKP_ name is refused by name, with the one that was meant', async t => {
  const inEnvironment = refusal({ env: { SOAKP_PROT: '1' }, home: t.testdir() })
  t.match(inEnvironment.message, 'SOAKP_PROT in the environment is no setting (did you mean SOAKP_PORT?)')
  t.match(refusal({ env: {}, home: homeWith(t, 'soakp_port=1\n') }).message, 'did you mean SOAKP_PORT?')
  t.notMatch(refusal({ env: { SOAKP_XYZZY_QUUX: '1' }, home: t.testdir() }).message, 'did you mean')
})

t.test('the master key leaves the environment and never shows itself', async t => {
  const env: Record<string, string | undefined> = { SOAKP_MASTER_KEY: canary }
  const settings = loadSettings({ env, home: t.testdir() })
  t.equal(settings.masterKey?.expose(), canary)
  t.notOk('SOAKP_MASTER_KEY' in env)
  t.notMatch(inspect(settings, { showHidden: true }) + JSON.stringify(settings), canary)
})

t.test('a refusal never quotes what was refused', async t => {
  const home = homeWith(t, `SOAKP_MASTER_KEY=${canary} ${canary}\n${canary}\nSOAKP_DATABASE_URL=${canary}\n`)
  const error = refusal({ env: { SOAKP_MASTER_KEY: canary, SOAKP_MASTER_KEY_FILE: '/f', SOAKP_PUBLIC_URL: `https://u:${canary}@h` }, home })
  t.notMatch(inspect(error, { depth: 9 }), canary)
})

t.test('a .env that others can read or write is refused', async t => {
  for (const mode of [0o644, 0o604, 0o620, 0o602]) {
    const error = refusal({ env: {}, home: homeWith(t, 'SOAKP_PORT=1\n', mode) })
    t.equal(error.code, 'file_refused')
    t.match(error.hint, 'chmod 600')
  }
  t.equal(loadSettings({ env: {}, home: homeWith(t, 'SOAKP_PORT=1\n', 0o640) }).port, 1)
})

t.test('a .env that cannot be read is an error, one that is not there sets nothing', async t => {
  t.equal(refusal({ env: {}, home: t.testdir({ '.env': {} }) }).code, 'file_refused')
  t.equal(loadSettings({ env: {}, home: join(t.testdir(), 'none') }).port, 3033)
})

t.test('the home cannot be moved from inside it', async t => {
  t.match(refusal({ env: {}, home: homeWith(t, 'SOAKP_HOME=/elsewhere\n') }).message, 'SOAKP_HOME')
})

t.test('a relative path in .env is relative to the home, elsewhere to the working directory', async t => {
  const home = homeWith(t, 'SOAKP_MASTER_KEY_FILE=keys/master\n')
  t.equal(loadSettings({ env: {}, home }).masterKeyFile, join(home, 'keys/master'))
  t.equal(loadSettings({ env: { SOAKP_MASTER_KEY_FILE: 'm' }, home: t.testdir() }).masterKeyFile, join(process.cwd(), 'm'))
  t.match(refusal({ env: { SOAKP_MASTER_KEY_FILE: '~/m' }, home: t.testdir() }).message, 'not expanded')
})

t.test('plain HTTP off loopback is refused unless a proxy is trusted', async t => {
  const home = t.testdir()
  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'example.com']) {
    t.match(refusal({ env: { SOAKP_HOST: host }, home, flags: { http: 'true' } }).message, 'SOAKP_TRUST_PROXY', host)
    t.ok(loadSettings({ env: { SOAKP_HOST: host, SOAKP_TRUST_PROXY: '10.0.0.1' }, home, flags: { http: 'true' } }).http, host)
  }
  for (const host of ['127.0.0.1', '127.8.9.10', '::1', 'localhost'])
    t.ok(loadSettings({ env: { SOAKP_HOST: host, SOAKP_HTTP: 'true' }, home }).http, host)
})

t.test('watchers have a port of their own', async t => {
  const home = t.testdir()
  for (const [host, listen] of [
    ['127.0.0.1', '127.0.0.1:3033'],
    ['0.0.0.0', '127.0.0.1:3033'],
    ['127.0.0.1', '[::]:3033'],
  ] as const)
    t.match(
      refusal({ env: { SOAKP_HOST: host, SOAKP_METRICS_LISTEN: listen }, home }).message,
      /SOAKP_METRICS_LISTEN.*a port of its own/,
      listen,
    )
  t.ok(loadSettings({ env: { SOAKP_METRICS_LISTEN: '127.0.0.2:3033' }, home }))
})

t.test('a wait that no timer can be set to is refused, instead of being none', async t => {
  const home = t.testdir()
  for (const name of ['SOAKP_CERT_CHECK', 'SOAKP_SHUTDOWN_GRACE', 'SOAKP_HEAD_TIMEOUT', 'SOAKP_WEBSOCKET_PING', 'SOAKP_DNS_SETTLE']) {
    t.match(refusal({ env: { [name]: '25d' }, home }).message, `${name} in the environment is longer than 24d`)
    t.ok(loadSettings({ env: { [name]: '24d' }, home }))
  }
  t.ok(loadSettings({ env: { SOAKP_KEEP_ENTRIES: '365d' }, home }))
})

t.test('entries are kept for a day at least, and a body that may be inspected finds room', async t => {
  const home = t.testdir()
  t.match(refusal({ env: { SOAKP_KEEP_ENTRIES: '23h' }, home }).message, 'SOAKP_KEEP_ENTRIES in the environment is shorter than 1d')
  t.ok(loadSettings({ env: { SOAKP_KEEP_ENTRIES: '24h' }, home }))
  t.match(
    refusal({ env: { SOAKP_MAX_INSPECTED_TOTAL: '31mb' }, home }).message,
    /SOAKP_MAX_INSPECTED_TOTAL is less than SOAKP_MAX_INSPECTED/,
  )
  t.ok(loadSettings({ env: { SOAKP_MAX_INSPECTED_TOTAL: '32mb' }, home }))
})

t.test('each type takes what it says and nothing else', async t => {
  const home = t.testdir()
  const good: Partial<Record<keyof Settings, [string, unknown][]>> = {
    maxInspectedBytes: [
      ['512kb', 524_288],
      ['1', 1],
      ['1gb', 1024 ** 3],
    ],
    trustProxy: [
      ['10.0.0.0/8, ::1', ['10.0.0.0/8', '::1']],
      ['fd00::/8', ['fd00::/8']],
    ],
    corsOrigins: [
      ['https://a.example,http://localhost:5173', ['https://a.example', 'http://localhost:5173']],
      ['*', ['*']],
      ['capacitor://localhost', ['capacitor://localhost']],
    ],
    publicUrl: [['https://soakp.example.com/', 'https://soakp.example.com']],
    databaseUrl: [
      ['sqlite:/var/lib/soakp.db', 'sqlite:/var/lib/soakp.db'],
      ['memory:', 'memory:'],
    ],
    addressRate: [['60/m', '60/m']],
    metricsListen: [
      ['127.0.0.1:9464', { host: '127.0.0.1', port: 9464 }],
      ['[::1]:0', { host: '::1', port: 0 }],
      ['soakp.internal:1', { host: 'soakp.internal', port: 1 }],
    ],
    dnsResolvers: [
      ['9.9.9.9, [2620:fe::fe]:5353, dns.quad9.net', ['9.9.9.9', '[2620:fe::fe]:5353', 'dns.quad9.net']],
      ['2620:fe::fe,dns:53,localhost', ['2620:fe::fe', 'dns:53', 'localhost']],
    ],
    host: [
      ['::', '::'],
      ['soakp.internal', 'soakp.internal'],
    ],
  }
  for (const name of Object.keys(good) as (keyof Settings)[]) {
    for (const [text, value] of good[name] ?? [])
      t.same(loadSettings({ env: { [schema[name].env]: text }, home })[name], value, `${name}=${text}`)
  }
  const bad: Record<string, string[]> = {
    SOAKP_PORT: ['-1', '65536', '80.5', '0x50', ' 80'],
    SOAKP_HTTP: ['yes', '1', 'TRUE'],
    SOAKP_MAX_CALLS: ['0', '-1', '1e3'],
    SOAKP_MAX_INSPECTED: ['0', '32 mb', '32mib', '-1'],
    SOAKP_TRUST_PROXY: ['10.0.0.0/33', '::1/129', 'proxy.example', '10.0.0.1/', '10.0.0.1/8/8', 'true'],
    SOAKP_METRICS_LISTEN: [
      '9464',
      ':9464',
      '127.0.0.1',
      '127.0.0.1:',
      '127.0.0.1:65536',
      '::1:9464',
      '[127.0.0.1]:1',
      'http://h:1',
      'h:1/metrics',
    ],
    SOAKP_CORS_ORIGINS: ['app.example', 'https://a.example/path', 'null'],
    SOAKP_PUBLIC_URL: ['soakp.example.com', 'ftp://h', 'https://h/path', 'https://h?x', 'https://u:p@h'],
    SOAKP_DATABASE_URL: ['/var/lib/soakp.db', 'soakp.db'],
    SOAKP_ADDRESS_RATE: ['60', '60/min', '0/m'],
    SOAKP_HOST: ['a b', '-a', 'http://h', 'h:80', '[::1]', '8.8.8', '256.0.0.1'],
    SOAKP_DNS_RESOLVERS: [
      'NaN',
      'none',
      '8.8.8',
      '256.0.0.1',
      '127.0.0.1:0',
      '127.0.0.1:65536',
      '[127.0.0.1]:53',
      '9.9.9.9,dns',
      'https://dns.quad9.net',
    ],
    SOAKP_SHUTDOWN_GRACE: ['30', '1.5s'],
  }
  for (const [name, texts] of Object.entries(bad)) {
    for (const text of texts) t.match(refusal({ env: { [name]: text }, home }).message, name, `${name}=${text}`)
  }
})
