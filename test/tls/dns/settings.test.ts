import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import { foreignVariables } from '../../../src/config/foreign.js'
import { SoakpError } from '../../../src/errors.js'
import { Secret } from '../../../src/lib/secret.js'
import { redact } from '../../../src/tls/dns/api/redact.js'
import { dnsProvider, dnsProviders } from '../../../src/tls/dns/index.js'
import type { DnsProvider } from '../../../src/tls/dns/provider.js'
import { readSettings } from '../../../src/tls/dns/settings.js'
import { temporaryFolder } from '../../support/acme/index.js'

const provider: DnsProvider = {
  id: 'example',
  title: 'Example DNS',
  link: 'https://example.com/',
  aliases: [],
  prefixes: ['EX', 'OLDEX'],
  settings: [
    { name: 'EX_TOKEN', aliases: ['OLDEX_TOKEN'], required: 'token', hidden: true, what: 'A token.' },
    { name: 'EX_USER', required: 'key', what: 'A user.' },
    { name: 'EX_KEY', required: 'key', hidden: true, what: 'A key.' },
    { name: 'EX_REGION', byDefault: 'eu', what: 'A region.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 60, defaultSeconds: 300 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 2 },
  notes: [],
  open: () => ({ zoneOf: async () => ({ id: '', name: '' }), add: async () => {}, remove: async () => {} }),
}

const read = (variables: Record<string, string>, sealed?: Record<string, string>) =>
  readSettings(provider, {
    variable: name => variables[name],
    ...(sealed === undefined ? {} : { sealed: new Map(Object.entries(sealed).map(([name, value]) => [name, new Secret(value)])) }),
  })

t.test('a value is taken from the variable, its older name, a file, the vault or the default, and named as it was given', async t => {
  const file = join(temporaryFolder(t), 'token')
  writeFileSync(file, 'from-file\r\n\n', { mode: 0o600 })
  const token = (variables: Record<string, string>, sealed?: Record<string, string>) => {
    const settings = read(variables, sealed)
    return [settings.setting('EX_TOKEN'), settings.named('EX_TOKEN')]
  }
  t.same(token({ EX_TOKEN: 'a', OLDEX_TOKEN: 'b' }), ['a', 'EX_TOKEN'])
  t.same(token({ OLDEX_TOKEN: 'b', EX_TOKEN: '' }), ['b', 'OLDEX_TOKEN'])
  t.same(token({ EX_TOKEN_FILE: file }, { EX_TOKEN: 'c' }), ['from-file', 'EX_TOKEN_FILE'])
  t.same(token({ OLDEX_TOKEN_FILE: file }), ['from-file', 'OLDEX_TOKEN_FILE'])
  t.same(token({}, { EX_TOKEN: 'c' }), ['c', 'EX_TOKEN (kept in the vault)'])
  t.equal(read({ EX_TOKEN: 'a' }).setting('EX_REGION'), 'eu')
})

t.test('a file that others can read is refused with the command that mends it, and so is one that is not there', async t => {
  const file = join(temporaryFolder(t), 'token')
  writeFileSync(file, 'from-file\n')
  for (const mode of [0o644, 0o640, 0o604]) {
    chmodSync(file, mode)
    t.throws(
      () => read({ EX_TOKEN_FILE: file }),
      { code: 'file_refused', detail: /EX_TOKEN_FILE/, hint: `chmod 600 ${file}` },
      mode.toString(8),
    )
  }
  t.throws(() => read({ EX_TOKEN_FILE: `${file}.none` }), { code: 'file_refused', detail: /cannot be read/ })
})

t.test('what is missing is said by name: of one way what it lacks, of several all', async t => {
  const missing = (variables: Record<string, string>) => {
    try {
      read(variables)
    } catch (error) {
      if (error instanceof SoakpError && error.code === 'dns_settings_incomplete') return error.detail
      throw error
    }
    return undefined
  }
  t.equal(missing({}), 'Example DNS: set EX_TOKEN, or EX_USER and EX_KEY.')
  t.equal(missing({ EX_USER: 'me' }), 'Example DNS: EX_KEY is not set, and belongs to EX_USER.')
  t.equal(missing({ EX_USER: 'me', EX_KEY: 'k' }), undefined)
  t.equal(missing({ EX_TOKEN: 't', EX_KEY: 'k' }), undefined)
  t.equal(missing({ EX_TOKEN: 't', EX_TTL: 'soon' }), 'EX_TTL is no number of seconds.')
})

t.test('times stand under any of the prefixes, in seconds, the TTL never below the least that is allowed', async t => {
  const settings = read({ EX_TOKEN: 't', OLDEX_TTL: '5', EX_PROPAGATION_TIMEOUT: '7', OLDEX_POLLING_INTERVAL: '0.5', EX_HTTP_TIMEOUT: '9' })
  t.match(settings, { ttlSeconds: 60, propagationTimeoutMs: 7000, pollingIntervalMs: 500, httpTimeoutMs: 9000 })
  t.match(read({ EX_TOKEN: 't' }), { ttlSeconds: 300, propagationTimeoutMs: 120_000, pollingIntervalMs: 2000, httpTimeoutMs: 30_000 })
})

t.test('a hidden value is in no text that went through redact, however it was spelt', async t => {
  const value = 'pä ss/w+rd="x"&%#'
  const spellings = [
    value,
    encodeURIComponent(value),
    encodeURIComponent(value).toLowerCase(),
    new URLSearchParams({ v: value }).toString(),
    JSON.stringify({ v: value }),
    value.replaceAll('&', '&amp;').replaceAll('"', '&quot;'),
    Buffer.from(value).toString('base64'),
    Buffer.from(value).toString('base64url'),
    ...['u:', 'us:', 'use:'].map(user => Buffer.from(`${user}${value}`).toString('base64')),
  ]
  for (const spelling of spellings) {
    const clean = redact(`before ${spelling} after`, [new Secret(value)])
    t.match(clean, /^before .*\[hidden\].* after$/)
    t.notMatch(clean, 'w+rd')
  }
  const settings = read({ EX_TOKEN: value })
  t.equal(settings.redact(`<${value}>`), '<[hidden]>')
  t.notMatch(inspect(settings, { depth: 9 }), 'w+rd')
  settings.wipe()
  t.not(settings.setting('EX_TOKEN'), value)
})

t.test('a provider is found by its id and its aliases, in any case; an unknown one is refused with all that there are', async t => {
  for (const one of dnsProviders) {
    for (const name of [one.id, ...one.aliases]) t.equal(dnsProvider(name.toUpperCase()), one, name)
  }
  t.throws(() => dnsProvider('nowhere'), { code: 'dns_provider_unknown', detail: /cloudflare, .*rfc2136/ })
})

t.test('every provider says what it needs: names are used once, hidden values are no defaults, times make sense', async t => {
  const names = dnsProviders.flatMap(({ id, aliases }) => [id, ...aliases])
  t.equal(new Set(names).size, names.length, 'no name means two')
  for (const { id, prefixes, settings, ttl, propagation, link } of dnsProviders) {
    t.ok(prefixes.length > 0, `${id} has a prefix`)
    t.ok(
      prefixes.every(prefix => /^[A-Z0-9_]+[A-Z0-9]$/.test(prefix)),
      `${id}: prefixes`,
    )
    const variables = settings.flatMap(({ name, aliases }) => [name, ...(aliases ?? [])])
    t.equal(new Set(variables).size, variables.length, `${id}: each variable once`)
    t.notOk(
      settings.some(({ hidden, byDefault }) => hidden && byDefault !== undefined),
      `${id}: no secret by default`,
    )
    t.notOk(
      settings.some(({ name, hidden }) => !hidden && /(?:TOKEN|SECRET|PASSWORD|API_KEY)$/.test(name)),
      `${id}: what looks like a secret is hidden`,
    )
    t.ok(ttl.defaultSeconds >= ttl.minSeconds && propagation.timeoutSeconds > propagation.intervalSeconds, `${id}: times`)
    t.ok(URL.canParse(link), `${id}: link`)
  }
})

t.test('credentials come from the environment or the home’s .env, never a setting of ours', async t => {
  const home = temporaryFolder(t)
  writeFileSync(join(home, '.env'), 'CF_DNS_API_TOKEN=from-file\nSOAKP_PORT=1\nEX_USER=file-user\n', { mode: 0o600 })
  const variable = foreignVariables({ home, env: { EX_USER: 'env-user', EMPTY: '', SOAKP_MASTER_KEY: 'x' } })
  t.equal(variable('CF_DNS_API_TOKEN'), 'from-file')
  t.equal(variable('EX_USER'), 'env-user')
  t.same(
    [variable('EMPTY'), variable('SOAKP_PORT'), variable('SOAKP_MASTER_KEY'), variable('NONE')],
    [undefined, undefined, undefined, undefined],
  )
})
