import { setImmediate } from 'node:timers/promises'
import { inspect } from 'node:util'
import type { Test } from 'tap'
import { SoakpError } from '../../src/errors.js'
import { type OpenAccount, openDnsAccount } from '../../src/tls/dns/account.js'
import type { DnsProvider, TxtRecord } from '../../src/tls/dns/provider.js'
import type { FakeApi } from '../support/dns-api.js'

/** A provider's side, fresh for each test: a fake with state of its own, or a real server. */
export interface DnsStage {
  /** Good credentials, under the names of the provider's settings, and whatever leads to the provider's side. */
  readonly variables: Readonly<Record<string, string>>
  /** `SOAKP_DNS_BASE_URL`. */
  readonly baseUrl?: string
  /** Every value that stands at a name now, bare, as often as it stands there. */
  values(name: string): readonly string[] | Promise<readonly string[]>
  /** Lets somebody else write a value there. Absent where only the account itself can write. */
  put?(name: string, value: string): void | Promise<void>
  /** Where the provider is spoken to over HTTP, so that it can fail. */
  readonly api?: FakeApi
}

export interface DnsContract {
  readonly provider: DnsProvider
  /**
   * With the zones `example.com`, `sub.example.com` and `example.net`, unless `zones` says that there are none. Where a name has to be of a certain form, `name` makes it.
   */
  start(t: Test): Promise<DnsStage>
  /** Absent: the provider's account shows its zones, as listed above. `unlisted`: it cannot list them. `none`: it has no zones, every name is taken. */
  readonly zones?: 'unlisted' | 'none'
  /** A name that a value is written at, by its first label. Absent: `_acme-challenge.LABEL.example.com`. */
  readonly name?: (label: string) => string
  /** Each wrong alone, and which variables the refusal names. Absent where there is nothing to authenticate with. */
  readonly wrong?: readonly { readonly variables: Readonly<Record<string, string>>; readonly names: readonly string[] }[]
}

/** What every test needs: an account at the provider's side, without real waits. */
export interface Opened extends OpenAccount {
  readonly told: string[]
  readonly waitsMs: number[]
}

export function openStaged(
  t: Test,
  { provider }: Pick<DnsContract, 'provider'>,
  stage: DnsStage,
  variables: Readonly<Record<string, string>> = {},
): Opened {
  const told: string[] = []
  const waitsMs: number[] = []
  const given: Readonly<Record<string, string>> = { ...stage.variables, ...variables }
  const opened = openDnsAccount(provider, {
    sources: { variable: name => given[name] },
    dnsBaseUrl: stage.baseUrl,
    now: Date.now,
    async delay(ms) {
      waitsMs.push(ms)
      await setImmediate()
    },
    signal: new AbortController().signal,
    tell: line => void told.push(line),
  })
  t.teardown(() => opened.close())
  return { ...opened, told, waitsMs }
}

/** A TXT value as ACME has it: 43 characters of base64url. */
export const txtValue = (seed: string): string => Buffer.from(seed.padEnd(32, '.')).toString('base64url').slice(0, 43)

const [one, two, three, foreign] = ['one', 'two', 'three', 'foreign'].map(txtValue) as [string, string, string, string]
const sorted = (values: readonly string[]) => [...values].sort()

/** What every DNS provider promises; see `DnsAccount`. */
export function testDnsProvider(t: Test, contract: DnsContract): void {
  const nameOf = contract.name ?? (label => `_acme-challenge.${label}.example.com`)
  const set = contract.provider.capacity === 'set'
  const staged = async (t: Test) => {
    const stage = await contract.start(t)
    return { stage, ...openStaged(t, contract, stage) }
  }
  const record = (label: string, value: string): TxtRecord => ({ name: nameOf(label), value })
  const seen = async (stage: DnsStage, label: string) => sorted(await stage.values(nameOf(label)))

  t.test(`${contract.provider.id}: a value is there once it was added and gone once it was removed`, async t => {
    const { stage, account } = await staged(t)
    const zone = await account.zoneOf(nameOf('www'))
    await account.add(zone, [record('www', one)])
    t.same(await seen(stage, 'www'), [one])
    await account.remove(zone, [record('www', one)])
    if (contract.provider.capacity !== 'two') t.same(await seen(stage, 'www'), [])
  })

  t.test(`${contract.provider.id}: adding what is there and removing what is not is success`, async t => {
    const { stage, account } = await staged(t)
    const zone = await account.zoneOf(nameOf('www'))
    await account.add(zone, [record('www', one)])
    await account.add(zone, [record('www', one)])
    if (contract.provider.capacity !== 'two') t.same(await seen(stage, 'www'), [one])
    await account.remove(zone, [record('www', two)])
    t.ok((await seen(stage, 'www')).includes(one), 'what was not named stays')
    await account.remove(zone, [record('www', one)])
    await account.remove(zone, [record('www', one)])
    await account.remove(zone, [record('never', one)])
    if (contract.provider.capacity !== 'two') t.same(await seen(stage, 'www'), [])
  })

  if (contract.provider.capacity !== 'one') {
    t.test(`${contract.provider.id}: two values stand at one name at once, as a name and its wildcard need`, async t => {
      const { stage, account } = await staged(t)
      const zone = await account.zoneOf(nameOf('www'))
      await account.add(zone, [record('www', one), record('www', two)])
      t.same(await seen(stage, 'www'), sorted([one, two]))
      await account.remove(zone, [record('www', one)])
      if (set) t.same(await seen(stage, 'www'), [two])
    })
  }

  if (set) {
    t.test(`${contract.provider.id}: values of several names of a zone are added and removed together`, async t => {
      const { stage, account } = await staged(t)
      const zone = await account.zoneOf(nameOf('a'))
      const records = [record('a', one), record('b', two), record('b', three)]
      await account.add(zone, records)
      t.same(await seen(stage, 'a'), [one])
      t.same(await seen(stage, 'b'), sorted([two, three]))
      await account.remove(zone, records)
      t.same([await seen(stage, 'a'), await seen(stage, 'b')], [[], []])
    })

    t.test(`${contract.provider.id}: two accounts that add and remove at once lose nothing`, async t => {
      const { stage, account } = await staged(t)
      const other = openStaged(t, contract, stage).account
      const zone = await account.zoneOf(nameOf('www'))
      await account.add(zone, [record('www', foreign)])
      await Promise.all([
        account.add(zone, [record('www', one)]),
        other.add(zone, [record('www', two)]),
        other.remove(zone, [record('www', foreign)]),
        account.add(zone, [record('www', three)]),
      ])
      t.same(await seen(stage, 'www'), sorted([one, two, three]))
    })
  }

  t.test(`${contract.provider.id}: what one process added another one removes`, async t => {
    const { stage, account } = await staged(t)
    const zone = await account.zoneOf(nameOf('www'))
    await account.add(zone, [record('www', one)])
    await openStaged(t, contract, stage).account.remove(zone, [record('www', one)])
    if (contract.provider.capacity !== 'two') t.same(await seen(stage, 'www'), [])
  })

  testForeign(t, contract, { nameOf, record, staged })
  testZones(t, contract, staged)
  testRefusals(t, contract, nameOf)
  testFaults(t, contract, { nameOf, record, staged })
}

interface Tools {
  nameOf(label: string): string
  record(label: string, value: string): TxtRecord
  staged(t: Test): Promise<Opened & { readonly stage: DnsStage }>
}

function testForeign(t: Test, contract: DnsContract, { nameOf, record, staged }: Tools): void {
  t.test(`${contract.provider.id}: values of others at the same name stay`, async t => {
    const { stage, account } = await staged(t)
    if (stage.put === undefined) return t.pass('only the account itself can write there')
    const name = nameOf('www')
    await stage.put(name, foreign)
    await stage.put(name, 'v=spf1 include:"quoted" -all')
    const zone = await account.zoneOf(name)
    await account.add(zone, [record('www', one), record('www', two)])
    t.same(sorted(await stage.values(name)), sorted([foreign, 'v=spf1 include:"quoted" -all', one, two]))
    await account.remove(zone, [record('www', one), record('www', two)])
    t.same(sorted(await stage.values(name)), sorted([foreign, 'v=spf1 include:"quoted" -all']))
  })
}

function testZones(t: Test, contract: DnsContract, staged: Tools['staged']): void {
  if (contract.zones === 'none') return
  t.test(`${contract.provider.id}: the zone of a name is the deepest one, compared at label boundaries`, async t => {
    const { account } = await staged(t)
    const of = async (name: string) => (await account.zoneOf(name)).name
    t.equal(await of('_acme-challenge.example.com'), 'example.com')
    t.equal(await of('_acme-challenge.a.b.example.com'), 'example.com')
    t.equal(await of('_acme-challenge.sub.example.com'), 'sub.example.com')
    t.equal(await of('_acme-challenge.x.sub.example.com'), 'sub.example.com')
    t.equal(await of('_acme-challenge.notsub.example.com'), 'example.com')
    t.equal(await of('_acme-challenge.example.net'), 'example.net')
  })

  t.test(`${contract.provider.id}: a value in a deeper zone goes there`, async t => {
    const { stage, account } = await staged(t)
    const name = '_acme-challenge.www.sub.example.com'
    const zone = await account.zoneOf(name)
    await account.add(zone, [{ name, value: one }])
    t.same(await stage.values(name), [one])
    await account.remove(zone, [{ name, value: one }])
    t.same(await stage.values(name), [])
  })

  t.test(`${contract.provider.id}: a name without a zone is refused, and the zones that are there are named`, async t => {
    const { account } = await staged(t)
    for (const name of ['_acme-challenge.notexample.com', '_acme-challenge.example.org', '_acme-challenge.com']) {
      const error = await refusal(account.zoneOf(name))
      t.equal(error.code, 'dns_zone_not_found', name)
      t.match(error.detail, name)
      if (contract.zones !== 'unlisted') t.match(error.detail, 'example.com')
    }
  })
}

function testRefusals(t: Test, contract: DnsContract, nameOf: (label: string) => string): void {
  for (const { variables, names } of contract.wrong ?? []) {
    t.test(
      `${contract.provider.id}: when ${names.join(' and ')} ${names.length > 1 ? 'are' : 'is'} wrong, that is what is said`,
      async t => {
        const stage = await contract.start(t)
        const { account } = openStaged(t, contract, stage, variables)
        const name = nameOf('www')
        const error = await refusal(account.zoneOf(name).then(zone => account.add(zone, [{ name, value: one }])))
        t.equal(error.code, 'dns_credentials_refused')
        for (const variable of names) t.match(error.detail, variable)
        for (const { name, hidden } of contract.provider.settings) {
          const secret = variables[name]
          if (hidden && secret) t.notOk(inspect(error, { depth: 9 }).includes(secret))
        }
      },
    )
  }

  t.test(`${contract.provider.id}: without its settings it says which are missing, and asks nobody`, async t => {
    const required = contract.provider.settings.filter(setting => setting.required !== undefined)
    if (required.length === 0) return t.pass('it has none that it cannot do without')
    const stage = await contract.start(t)
    const nothing = { ...stage, variables: {} }
    try {
      openStaged(t, contract, nothing)
      t.fail('it opened')
    } catch (error) {
      if (!(error instanceof SoakpError)) throw error
      t.equal(error.code, 'dns_settings_incomplete')
      t.equal(
        required.some(({ name }) => error.detail?.includes(name)),
        true,
        error.message,
      )
    }
    t.same(stage.api?.calls ?? [], [])
  })
}

function testFaults(t: Test, contract: DnsContract, { nameOf, record, staged }: Tools): void {
  const { id } = contract.provider
  const httpOnly = async (t: Test) => {
    const all = await staged(t)
    return all.stage.api === undefined ? undefined : { ...all, api: all.stage.api }
  }
  const write = async ({ account }: Opened) => account.add(await account.zoneOf(nameOf('www')), [record('www', one)])

  t.test(`${id}: told to come back in two seconds, it does`, async t => {
    const at = await httpOnly(t)
    if (at === undefined) return t.pass('not spoken to over HTTP')
    at.api.fault({ times: 2, answer: () => ({ status: 429, headers: { 'retry-after': '2' }, json: { message: 'too many requests' } }) })
    await write(at)
    t.same(sorted(await at.stage.values(nameOf('www'))), [one])
    t.equal(at.waitsMs.filter(ms => ms === 2000).length, 2)
  })

  t.test(`${id}: told to come back in an hour, it says so instead of waiting`, async t => {
    const at = await httpOnly(t)
    if (at === undefined) return t.pass('not spoken to over HTTP')
    at.api.fault({ answer: () => ({ status: 429, headers: { 'retry-after': '3600' }, json: { message: 'too many requests' } }) })
    const error = await refusal(write(at))
    t.equal(error.code, 'dns_provider_failed')
    t.equal(error.retryAfterSeconds, 3600)
    t.match(error.detail, '429')
    t.notOk(at.waitsMs.some(ms => ms > 60_000))
  })

  t.test(`${id}: an HTML page, a redirect or garbage in place of an answer is an error that names what was asked`, async t => {
    const at = await httpOnly(t)
    if (at === undefined) return t.pass('not spoken to over HTTP')
    const answers = [
      { status: 502, headers: { 'content-type': 'text/html' }, body: '<html><head><title>Bad Gateway</title></head></html>' },
      { status: 302, headers: { location: 'https://login.example/' }, body: '' },
      { status: 400, body: '\u0000\u001b[31mred' },
    ]
    for (const answer of answers) {
      at.api.heal()
      at.api.fault({ answer: () => answer })
      const error = await refusal(write(at))
      t.equal(error.code, 'dns_provider_failed')
      t.match(error.detail, String(answer.status))
      t.match(error.detail, new URL(at.api.url).host)
      t.notMatch(error.detail, /[\u0000-\u001f]/)
    }
  })

  t.test(`${id}: connections that drop are an error or are got over, and nothing is written twice`, async t => {
    const at = await httpOnly(t)
    if (at === undefined) return t.pass('not spoken to over HTTP')
    at.api.fault({ drop: 'before' })
    t.equal((await refusal(write(at))).code, 'dns_provider_failed')
    at.api.heal()
    at.api.fault({ drop: 'after', times: 1, match: ({ method }) => method !== 'GET' })
    await write(at).catch(() => undefined)
    at.api.heal()
    await write(at)
    t.same([...new Set(await at.stage.values(nameOf('www')))], [one])
    if (contract.provider.capacity !== 'two') t.same(await at.stage.values(nameOf('www')), [one])
  })

  t.test(`${id}: an API that does not answer in time is given up`, async t => {
    const stage = await contract.start(t)
    if (stage.api === undefined) return t.pass('not spoken to over HTTP')
    const [prefix = ''] = contract.provider.prefixes
    const at = openStaged(t, contract, stage, { [`${prefix}_HTTP_TIMEOUT`]: '0.05' })
    stage.api.fault({ delayMs: 60_000 })
    const error = await refusal(write(at))
    t.equal(error.code, 'dns_provider_failed')
    t.match(error.detail, 'did not answer')
  })

  t.test(`${id}: no error and no line shows a credential, though the API gives back all it was sent`, async t => {
    const at = await httpOnly(t)
    if (at === undefined) return t.pass('not spoken to over HTTP')
    const secrets = contract.provider.settings.flatMap(({ hidden, name }) =>
      hidden && at.stage.variables[name] ? [at.stage.variables[name]] : [],
    )
    for (const status of [400, 401, 500]) {
      at.api.heal()
      const echo = ({ method, url, headers, body }: { method: string; url: URL; headers: object; body: string }) =>
        `${method} ${url.pathname}${url.search} ${JSON.stringify(headers)} ${body} ${secrets.map(encodeURIComponent).join(' ')} ${secrets.map(value => Buffer.from(`user:${value}`).toString('base64')).join(' ')}`
      at.api.fault({ answer: call => ({ status, json: { message: echo(call), detail: echo(call), error: echo(call) } }) })
      const error = await refusal(write(at))
      const shown = inspect([error, at.told], { depth: 9, maxStringLength: Number.POSITIVE_INFINITY })
      for (const secret of secrets) {
        t.notOk(shown.includes(secret), `${status}: as it is`)
        t.notOk(shown.includes(encodeURIComponent(secret)), `${status}: URL-encoded`)
        t.notOk(shown.includes(Buffer.from(secret).toString('base64').slice(0, -4)), `${status}: in base64`)
        t.notOk(shown.includes(Buffer.from(`user:${secret}`).toString('base64').slice(8, -4)), `${status}: in base64 behind a user name`)
      }
    }
  })
}

/** The error of soakp's own making that a promise rejects with; anything else is a failure. */
export async function refusal(promise: Promise<unknown>): Promise<SoakpError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof SoakpError) return error
    throw error
  }
  throw new Error('it was not refused')
}
