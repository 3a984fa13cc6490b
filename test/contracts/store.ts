import { createSecretKey, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { SoakpError } from '../../src/errors.js'
import { newId } from '../../src/lib/id.js'
import type {
  AppUserRecord,
  Entry,
  GrantRecord,
  KeyRecord,
  OwnedRecord,
  RestRecord,
  TokenRecord,
  UsageDimension,
} from '../../src/stores/records.js'
import type { OwnedFilter, Store, StoreKind } from '../../src/stores/store.js'
import * as records from '../support/records.js'

export const databaseKey = createSecretKey(randomBytes(32))

export function aKey(fields: Partial<KeyRecord> = {}): KeyRecord {
  return records.aKey({ name: 'default', sealed: 'a.b.c.d.e', createdAtMs: 1_700_000_000_000, ...fields })
}

export function aGrant(fields: Partial<GrantRecord> = {}): GrantRecord {
  return records.aGrant({
    name: 'app',
    subject: 'alice',
    scope: { kind: 'providers', providers: ['openai', 'groq'] },
    models: ['gpt-*'],
    origins: ['https://app.example'],
    addresses: ['10.0.0.0/8'],
    rate: '60/m',
    retry5xx: true,
    dpop: 'any',
    concurrency: 3,
    createdAtMs: 1_700_000_000_000,
    expiresAtMs: 1_800_000_000_000,
    ...fields,
  })
}

function anOwned(fields: Partial<OwnedRecord> = {}): OwnedRecord {
  const whose = { tenant: 'default', provider: 'openai', kind: 'file', id: 'file-1', keyId: 'key_1', grantId: 'grt_a' }
  return { ...whose, createdAtMs: 1, endsAtMs: null, facts: null, ...fields }
}

export function aToken(grantId: string, fields: Partial<TokenRecord> = {}): TokenRecord {
  return { jti: newId('tok'), grantId, issuedAtMs: 1_700_000_000_000, expiresAtMs: 1_800_000_000_000, ...fields }
}

export function anEntry(fields: Partial<Entry> = {}): Entry {
  return records.anEntry({
    startedAtMs: 1_700_000_000_000,
    inputTokens: 10,
    outputTokens: 20,
    cachedInputTokens: 3,
    reasoningTokens: 4,
    bytesIn: 155,
    bytesOut: 600,
    durationMs: 12,
    firstByteMs: 7,
    upstreamRequestId: 'req_1',
    ...fields,
  })
}

const byKey = (a: RestRecord, b: RestRecord) => (a.keyId < b.keyId ? -1 : 1)

const { anApp, anAppUser, anIssuer } = records

/** What every store promises; run on each one in the registry. */
export function storeContract(t: Test, kind: StoreKind): void {
  async function fresh(t: Test): Promise<Store> {
    const location = join(t.testdir({}), 'soakp.db')
    const store = await kind.open({ location, databaseKey, durability: 'normal', create: true, now: () => 1_700_000_000_000 })
    t.teardown(() => store.close())
    return store
  }

  t.test(`${kind.scheme}: a key comes back as it went in, whichever fields are null`, async t => {
    const store = await fresh(t)
    const plain = aKey()
    const full = aKey({
      user: 'u-1',
      baseUrl: 'http://10.0.0.1/prefix',
      allowPrivate: true,
      auth: 'header:x-key',
      dialect: 'openai',
      organization: 'org',
      project: 'proj',
      weight: 0,
      rejectedAtMs: 5,
      spentAtMs: 7,
      wokenAtMs: 8,
      rotatedAtMs: 6,
      state: 'disabled',
    })
    await store.insertKey(plain)
    await store.insertKey(full)
    t.strictSame(await store.getKey(plain.id), plain)
    t.strictSame(await store.getKey(full.id), full)
    t.equal(await store.getKey('key_none'), undefined)
  })

  t.test(`${kind.scheme}: keys are listed in the order they were made, by tenant and provider`, async t => {
    const store = await fresh(t)
    const keys = [aKey(), aKey({ provider: 'groq' }), aKey({ tenant: 'acme' }), aKey({ tenant: 'acme', provider: 'groq' })]
    for (const key of keys) await store.insertKey(key)
    const ids = async (filter?: { tenant?: string; provider?: string }): Promise<number[]> =>
      (await store.listKeys(filter)).map(found => keys.findIndex(key => key.id === found.id))
    t.strictSame(await ids(), [0, 1, 2, 3])
    t.strictSame(await ids({ tenant: 'acme' }), [2, 3])
    t.strictSame(await ids({ provider: 'groq' }), [1, 3])
    t.strictSame(await ids({ tenant: 'acme', provider: 'groq' }), [3])
    t.strictSame(await ids({ tenant: 'nobody' }), [])
  })

  t.test(`${kind.scheme}: a change touches the named fields and nothing else, and only what is there`, async t => {
    const store = await fresh(t)
    const key = aKey({ rejectedAtMs: 1 })
    await store.insertKey(key)
    t.equal(await store.updateKey(key.id, { state: 'disabled', rejectedAtMs: null }), true)
    t.strictSame(await store.getKey(key.id), { ...key, state: 'disabled', rejectedAtMs: null })
    t.equal(await store.updateKey('key_none', { name: 'x' }), false)
    t.equal(await store.removeKey(key.id), true)
    t.equal(await store.removeKey(key.id), false)
    t.equal(await store.getKey(key.id), undefined)
  })

  t.test(`${kind.scheme}: of twenty racing rotations from one version, one wins`, async t => {
    const store = await fresh(t)
    const key = aKey()
    await store.insertKey(key)
    const tries = Array.from({ length: 20 }, async (_, i) => store.updateKey(key.id, { sealed: `s${i}`, version: 2 }, 1))
    t.equal((await Promise.all(tries)).filter(Boolean).length, 1)
    t.equal((await store.getKey(key.id))?.version, 2)
  })

  t.test(`${kind.scheme}: a rest is told until it is over, one for each key and model, and changes no policy`, async t => {
    const store = await fresh(t)
    const rest = { keyId: 'key_1', model: 'gpt-4o', sinceMs: 1, untilMs: 100, status: 429 }
    const before = await store.policyGeneration()
    await store.putRests([rest, { ...rest, model: '', untilMs: 50 }, { ...rest, keyId: 'key_2', untilMs: 60 }], 10)
    await store.putRests([{ ...rest, untilMs: 200, status: 0 }], 10)
    t.strictSame(
      await store.listRests(50),
      [
        { ...rest, untilMs: 200, status: 0 },
        { ...rest, keyId: 'key_2', untilMs: 60 },
      ].sort(byKey),
    )
    await store.putRests([], 100)
    t.strictSame(await store.listRests(0), [{ ...rest, untilMs: 200, status: 0 }], 'what is over is forgotten')
    t.equal(await store.policyGeneration(), before)
  })

  t.test(`${kind.scheme}: a call that took several attempts is one call, whose attempts all count for what they used`, async t => {
    const store = await fresh(t)
    const first = anEntry({ final: false, keyId: 'key_1', inputTokens: 5, outputTokens: 0 })
    await store.appendEntries([first, { ...first, attempt: 2, final: true, keyId: 'key_2', inputTokens: 7 }])
    t.match(await store.usage({ by: ['provider'], sinceMs: 0 }), [{ calls: 1, inputTokens: 12 }])
    t.match(await store.usage({ by: ['key'], sinceMs: 0 }), [
      { values: ['key_2'], calls: 1, inputTokens: 7 },
      { values: ['key_1'], calls: 0, inputTokens: 5 },
    ])
    t.strictSame(
      (await store.listEntries({})).map(entry => [entry.attempt, entry.final]),
      [
        [1, false],
        [2, true],
      ],
    )
  })

  t.test(`${kind.scheme}: an alias is its tenant's own, is pointed elsewhere by the same name, and every change of it is seen`, async t => {
    const store = await fresh(t)
    const alias = (tenant: string, name: string, target: string) => ({ tenant, name, target, createdAtMs: 1 })
    const before = await store.policyGeneration()
    await store.putAlias(alias('default', 'slow', 'openai/o3'))
    await store.putAlias(alias('default', 'fast', 'groq/a'))
    await store.putAlias(alias('acme', 'fast', 'openai/b'))
    await store.putAlias({ ...alias('default', 'fast', 'groq/c'), createdAtMs: 2 })
    t.strictSame(await store.listAliases('default'), [alias('default', 'fast', 'groq/c'), alias('default', 'slow', 'openai/o3')])
    t.strictSame(await store.listAliases('acme'), [alias('acme', 'fast', 'openai/b')])
    const between = await store.policyGeneration()
    t.ok(between > before)
    t.equal(await store.removeAlias('default', 'fast'), true)
    t.equal(await store.removeAlias('default', 'fast'), false)
    t.strictSame(
      (await store.listAliases('acme')).map(({ target }) => target),
      ['openai/b'],
    )
    t.ok((await store.policyGeneration()) > between)
  })

  t.test(`${kind.scheme}: a grant and its tokens come back as they went in`, async t => {
    const store = await fresh(t)
    const grants = [
      aGrant(),
      aGrant({ scope: { kind: 'all' }, subject: null, rate: null, concurrency: null, maxOutputTokens: 9, cutStreams: true }),
    ]
    const tokens = grants.map(grant => aToken(grant.id))
    for (const [i, grant] of grants.entries()) await store.insertGrant(grant, tokens[i] as TokenRecord)
    t.strictSame(await store.listGrants(), grants)
    for (const [i, grant] of grants.entries()) t.strictSame(await store.getGrant(grant.id), { grant, tokens: [tokens[i]] })
    t.equal(await store.getGrant('grt_none'), undefined)
  })

  t.test(`${kind.scheme}: a grant's rules can be changed, its owner cannot be lost`, async t => {
    const store = await fresh(t)
    const grant = aGrant()
    await store.insertGrant(grant, aToken(grant.id))
    const patch = { models: ['a', 'b'], scope: { kind: 'keys', keys: ['key_1'] }, revokedAtMs: 7, cutStreams: true } as const
    t.equal(await store.updateGrant(grant.id, patch), true)
    t.strictSame((await store.getGrant(grant.id))?.grant, { ...grant, ...patch })
    t.equal(await store.updateGrant('grt_none', { name: 'x' }), false)
  })

  t.test(`${kind.scheme}: a new token brings the older ones' end forward, never back`, async t => {
    const store = await fresh(t)
    const grant = aGrant()
    const first = aToken(grant.id, { expiresAtMs: 1000 })
    await store.insertGrant(grant, first)
    const second = aToken(grant.id, { expiresAtMs: 9000 })
    t.equal(await store.replaceTokens(second, 5000), true)
    const third = aToken(grant.id, { expiresAtMs: 9500 })
    t.equal(await store.replaceTokens(third, 6000), true)
    t.strictSame(
      (await store.getGrant(grant.id))?.tokens.map(token => [token.jti, token.expiresAtMs]),
      [
        [first.jti, 1000],
        [second.jti, 6000],
        [third.jti, 9500],
      ],
    )
  })

  t.test(`${kind.scheme}: a revoked or unknown grant gets no new token`, async t => {
    const store = await fresh(t)
    const grant = aGrant()
    await store.insertGrant(grant, aToken(grant.id))
    await store.updateGrant(grant.id, { revokedAtMs: 5 })
    t.equal(await store.replaceTokens(aToken(grant.id), 6), false)
    t.equal(await store.replaceTokens(aToken('grt_none'), 6), false)
    t.equal((await store.getGrant(grant.id))?.tokens.length, 1)
  })

  t.test(`${kind.scheme}: one token of a grant can be ended, and no other`, async t => {
    const store = await fresh(t)
    const grant = aGrant()
    const token = aToken(grant.id, { expiresAtMs: 9000 })
    await store.insertGrant(grant, token)
    t.equal(await store.endToken(grant.id, 'tok_none', 5), false)
    t.equal(await store.endToken('grt_none', token.jti, 5), false)
    t.equal(await store.endToken(grant.id, token.jti, 5000), true)
    t.equal(await store.endToken(grant.id, token.jti, 8000), true)
    t.equal((await store.getGrant(grant.id))?.tokens[0]?.expiresAtMs, 5000, 'never put off')
  })

  t.test(`${kind.scheme}: an app comes back as it went in, and changes as told`, async t => {
    const store = await fresh(t)
    const plain = anApp()
    const full = anApp({
      credentials: [{ hash: 'ab', createdAtMs: 1, endsAtMs: 2 }],
      scope: { kind: 'providers', providers: ['openai'] },
      models: ['gpt-*'],
      endpoints: ['*'],
      origins: ['https://app.example'],
      addresses: ['10.0.0.0/8'],
      maxOutputTokens: 5,
      dpop: true,
      rate: '600/m',
      concurrency: 9,
      userRate: '6/m',
      userConcurrency: 1,
      revokedAtMs: 7,
      cutStreams: true,
    })
    await store.insertApp(plain)
    await store.insertApp(full)
    t.strictSame(await store.listApps(), [plain, full])
    t.strictSame(await store.getApp(full.id), full)
    t.equal(await store.getApp('app_none'), undefined)
    t.equal(await store.updateApp(plain.id, { models: ['a'], userRate: '1/s', cutStreams: true }), true)
    t.strictSame(await store.getApp(plain.id), { ...plain, models: ['a'], userRate: '1/s', cutStreams: true })
    t.equal(await store.updateApp('app_none', { name: 'x' }), false)
  })

  t.test(`${kind.scheme}: a user of an app is one record however often it comes, and its end is only ever put off`, async t => {
    const store = await fresh(t)
    const app = anApp()
    await store.insertApp(app)
    const user = anAppUser(app.id, { issuer: 'iss_1', expiresAtMs: 500 })
    for (const expiresAtMs of [500, 900, 700]) t.equal(await store.keepAppUser({ ...user, epoch: 9, expiresAtMs }, 1, 0), true)
    t.strictSame(await store.listAppUsers(app.id), [{ ...user, epoch: 9, expiresAtMs: 900 }])
    t.strictSame(await store.getAppUser(user.id), { user: { ...user, epoch: 9, expiresAtMs: 900 }, ended: [] })
    t.equal(await store.getAppUser('grt_none'), undefined)
    t.strictSame(await store.listAppUsers('app_none'), [])
  })

  t.test(`${kind.scheme}: an app has as many users as it may, ended ones make room, and revoked ones stay`, async t => {
    const store = await fresh(t)
    const app = anApp()
    await store.insertApp(app)
    const keep = (now: number, fields: Partial<AppUserRecord> = {}) => store.keepAppUser(anAppUser(app.id, fields), 2, now)
    const revoked = anAppUser(app.id, { expiresAtMs: 100 })
    t.equal(await store.keepAppUser(revoked, 2, 0), true)
    t.equal(await store.updateAppUser(revoked.id, { revokedAtMs: 5, cutStreams: true }), true)
    t.equal(await keep(0, { expiresAtMs: 100 }), true)
    t.equal(await keep(50), false)
    t.equal(await keep(100), true)
    t.equal(await keep(100), false)
    t.match(await store.getAppUser(revoked.id), { user: { revokedAtMs: 5, cutStreams: true } })
    t.equal(await store.keepAppUser(anAppUser('app_none'), 2, 0), false)
    t.equal(await store.updateAppUser('grt_none', { revokedAtMs: 5 }), false)
  })

  t.test(`${kind.scheme}: of a user's tokens one can be ended, or all, until nothing is left to remember`, async t => {
    const store = await fresh(t)
    const app = anApp()
    await store.insertApp(app)
    const user = anAppUser(app.id, { expiresAtMs: 1000 })
    await store.keepAppUser(user, 1, 0)
    const token = aToken(user.id, { issuedAtMs: 1, expiresAtMs: 5 })
    t.equal(await store.endAppUserToken(token, 600), true)
    t.equal(await store.endAppUserToken({ ...token, expiresAtMs: 7 }, 600), true)
    t.equal(await store.endAppUserToken(aToken('grt_none'), 600), false)
    t.equal(await store.endAppUserTokens(user.id, 300), true)
    t.equal((await store.getAppUser(user.id))?.user.epoch, 300)
    t.equal(await store.endAppUserTokens(user.id, 200), true)
    t.equal(await store.endAppUserTokens('grt_none', 300), false)
    t.strictSame(await store.getAppUser(user.id), { user: { ...user, epoch: 301 }, ended: [token] })
    await store.pruneApps(599)
    t.equal((await store.getAppUser(user.id))?.ended.length, 1)
    await store.pruneApps(600)
    t.equal((await store.getAppUser(user.id))?.ended.length, 0)
    await store.pruneApps(1000)
    t.equal(await store.getAppUser(user.id), undefined)
  })

  t.test(`${kind.scheme}: what can be spent once is spent once, of twenty who race for it`, async t => {
    const store = await fresh(t)
    const tries = Array.from({ length: 20 }, async () => store.spend('one', 500))
    t.equal((await Promise.all(tries)).filter(Boolean).length, 1)
    await store.pruneApps(499)
    t.equal(await store.spend('one', 500), false)
    await store.pruneApps(500)
    t.equal(await store.spend('one', 900), true)
  })

  t.test(`${kind.scheme}: an issuer comes back as it went in`, async t => {
    const store = await fresh(t)
    const plain = anIssuer('app_1')
    const full = anIssuer('app_1', {
      audiences: [],
      parties: ['https://app.example'],
      claims: [{ name: 'email_verified', value: 'true' }],
      jwksUrl: 'https://issuer.example/keys',
      allowPrivate: true,
      direct: true,
      once: true,
    })
    await store.insertIssuer(plain)
    await store.insertIssuer(full)
    t.strictSame(await store.listIssuers(), [plain, full])
    t.equal(await store.removeIssuer(plain.id), true)
    t.equal(await store.removeIssuer(plain.id), false)
    t.strictSame(await store.listIssuers(), [full])
  })

  t.test(`${kind.scheme}: the policy generation rises with every change and with nothing else`, async t => {
    const store = await fresh(t)
    let last = await store.policyGeneration()
    const rises = async (what: string, change: () => unknown): Promise<void> => {
      await change()
      const next = await store.policyGeneration()
      t.ok(next > last, what)
      last = next
    }
    const stays = async (what: string, call: () => unknown): Promise<void> => {
      await call()
      t.equal(await store.policyGeneration(), last, what)
    }
    const key = aKey()
    const grant = aGrant()
    await rises('insertKey', () => store.insertKey(key))
    await rises('updateKey', () => store.updateKey(key.id, { name: 'n' }))
    await rises('insertGrant', () => store.insertGrant(grant, aToken(grant.id)))
    await rises('updateGrant', () => store.updateGrant(grant.id, { name: 'n' }))
    await rises('replaceTokens', () => store.replaceTokens(aToken(grant.id), 5))
    await rises('removeKey', () => store.removeKey(key.id))
    const app = anApp()
    const user = anAppUser(app.id)
    const issuer = anIssuer(app.id)
    await rises('insertApp', () => store.insertApp(app))
    await rises('updateApp', () => store.updateApp(app.id, { name: 'n' }))
    await stays('keepAppUser', () => store.keepAppUser(user, 9, 0))
    await rises('updateAppUser', () => store.updateAppUser(user.id, { revokedAtMs: 1 }))
    await rises('endAppUserTokens', () => store.endAppUserTokens(user.id, 5))
    await rises('endAppUserToken', () => store.endAppUserToken(aToken(user.id), 5))
    await rises('insertIssuer', () => store.insertIssuer(issuer))
    await rises('removeIssuer', () => store.removeIssuer(issuer.id))
    await stays('spend', () => store.spend('one', 5))
    await stays('pruneApps', () => store.pruneApps(10))
    await rises('addTimeZone', () => store.addTimeZone({ tenant: 'default', timeZone: 'Asia/Tokyo', fromMs: 1 }))
    await stays('keepOwned', () => store.keepOwned([anOwned()]))
    await stays('forgetOwned', () => store.forgetOwned(anOwned()))
    await stays('pruneOwned', () => store.pruneOwned(5, 5))
    await stays('appendEntries', () => store.appendEntries([anEntry()]))
    await stays('reads', async () => [await store.listKeys(), await store.listGrants(), await store.listEntries({})])
    await stays('a change of nothing', () => store.updateKey('key_none', { name: 'n' }))
    await stays('probe', () => store.probe())
  })

  t.test(`${kind.scheme}: a tenant's time zones are kept in the order of time, each moment once`, async t => {
    const store = await fresh(t)
    const zone = (timeZone: string, fromMs: number, tenant = 'default') => ({ tenant, timeZone, fromMs })
    await store.addTimeZone(zone('Asia/Tokyo', 9))
    await store.addTimeZone(zone('Europe/Berlin', 5))
    await store.addTimeZone(zone('UTC', 5, 't2'))
    await t.rejects(async () => store.addTimeZone(zone('UTC', 9)))
    t.strictSame(await store.listTimeZones('default'), [zone('Europe/Berlin', 5), zone('Asia/Tokyo', 9)])
    t.strictSame(await store.listTimeZones('t3'), [])
  })

  t.test(`${kind.scheme}: of many prices all are set, or none, and each takes the place of the one of its model and time`, async t => {
    const store = await fresh(t)
    const rate = (model: string, input: number, fromMs = 0) => ({
      ...{ provider: 'openai', model, fromMs, createdAtMs: 5 },
      ...{ rates: { input }, sameAs: null },
    })
    const before = await store.policyGeneration()
    await store.putPrices([rate('one', 1), rate('one', 2, 100), rate('two', 3)])
    const after = await store.policyGeneration()
    t.ok(after > before)
    const broken = {
      ...rate('four', 9),
      get rates(): Record<string, number> {
        throw new Error('cannot be read')
      },
    }
    await t.rejects(async () => store.putPrices([rate('one', 7), rate('three', 8), broken]))
    t.strictSame(await store.listPrices(), [rate('one', 1), rate('two', 3), rate('one', 2, 100)])
    t.equal(await store.policyGeneration(), after, 'and nobody is told of a change')
    await store.putPrices([rate('two', 4), { ...rate('three', 0), rates: null, sameAs: 'openai/one' }])
    t.same(
      (await store.listPrices()).map(({ rates }) => rates?.input),
      [1, null, 4, 2],
    )
    t.equal(await store.removePrice('openai', 'one'), true)
    t.same(
      (await store.listPrices()).map(({ model }) => model),
      ['three', 'two'],
    )
  })

  t.test(`${kind.scheme}: what was made is its first maker's, on each key by itself, until it is forgotten`, async t => {
    const store = await fresh(t)
    const one = anOwned({ endsAtMs: 9 })
    const other = anOwned({ keyId: 'key_2', grantId: 'grt_b' })
    await store.keepOwned([one, other])
    await store.keepOwned([anOwned({ grantId: 'grt_b' })])
    const byKey = (records: readonly OwnedRecord[]) => [...records].sort((a, b) => (a.keyId < b.keyId ? -1 : 1))
    t.strictSame(byKey(await store.findOwned(one)), [one, other], 'who comes second changes nothing')
    for (const elsewhere of [{ tenant: 't2' }, { provider: 'groq' }, { kind: 'batch' }, { id: 'FILE-1' }, { id: 'file-1 ' }])
      t.strictSame(await store.findOwned({ ...one, ...elsewhere }), [])
    t.equal(await store.forgetOwned(other), true)
    t.equal(await store.forgetOwned(other), false)
    t.strictSame(await store.findOwned(one), [one])
  })

  t.test(`${kind.scheme}: what was made is listed by any of its fields, the newest first, and goes with its end or its key`, async t => {
    const store = await fresh(t)
    const key = aKey()
    await store.insertKey(key)
    const made = Array.from({ length: 5 }, (_, at) =>
      anOwned({ id: `file-${at}`, keyId: key.id, createdAtMs: at, endsAtMs: at === 0 ? 50 : null }),
    )
    const others = anOwned({ id: 'x', grantId: 'grt_b', keyId: key.id, createdAtMs: 9 })
    const keyless = anOwned({ id: 'y', keyId: 'key_gone', createdAtMs: 10 })
    await store.keepOwned([...made, others, keyless])
    const ids = async (filter: OwnedFilter) => (await store.listOwned(filter)).map(({ id }) => id)
    t.strictSame(await ids({ grantId: 'grt_a', keyId: key.id }), ['file-4', 'file-3', 'file-2', 'file-1', 'file-0'])
    t.strictSame(await ids({ grantId: 'grt_a', provider: 'openai', kind: 'file', limit: 2 }), ['y', 'file-4'])
    t.strictSame(await ids({ tenant: 'default', grantId: 'grt_b' }), ['x'])
    t.strictSame(await ids({ kind: 'batch' }), [])
    t.equal((await ids({})).length, 7)
    t.equal(await store.pruneOwned(49, 10), 1, 'the one whose key is gone')
    t.equal(await store.pruneOwned(50, 10), 1)
    t.strictSame(await ids({}), ['x', 'file-4', 'file-3', 'file-2', 'file-1'])
  })

  t.test(`${kind.scheme}: entries come back as they went in, in order`, async t => {
    const store = await fresh(t)
    const entries = [
      anEntry({ startedAtMs: 100 }),
      anEntry({
        startedAtMs: 200,
        subject: 'alice',
        keyId: null,
        model: null,
        outcome: 'refused',
        errorCode: 'rate_limited',
        usageSource: 'none',
        costMicroDollars: 5,
        firstByteMs: null,
        upstreamRequestId: null,
        durationMs: 1.5,
        bytesOut: 5_000_000_000,
      }),
      anEntry({
        startedAtMs: 300,
        units: 12,
        unit: 'characters',
        audioInputTokens: 1,
        audioOutputTokens: 2,
        cacheWriteInputTokens: 3,
        address: '2001:db8::1',
      }),
    ]
    await store.appendEntries(entries.slice(0, 1))
    await store.appendEntries(entries.slice(1))
    await store.appendEntries([])
    t.strictSame(await store.listEntries({}), entries)
    t.strictSame(await store.listEntries({ sinceMs: 200 }), entries.slice(1))
    t.strictSame(await store.listEntries({ sinceMs: 200, limit: 1 }), entries.slice(1, 2))
    t.strictSame(await store.listEntries({ id: (entries[2] as Entry).id }), entries.slice(2))
    t.strictSame(await store.listEntries({ id: 'call_none' }), [])
  })

  t.test(`${kind.scheme}: usage is summed by each dimension`, async t => {
    const store = await fresh(t)
    const day = Date.parse('2026-03-01T23:59:59.999Z')
    await store.appendEntries([
      anEntry({ startedAtMs: day - 10, inputTokens: 1000 }),
      anEntry({ startedAtMs: day, subject: 'bob', costMicroDollars: 9 }),
      anEntry({ startedAtMs: day + 1, subject: 'bob', model: null, usageSource: 'estimated', grantId: 'grt_2', costMicroDollars: 8 }),
      anEntry({ startedAtMs: day + 2, keyId: null, provider: 'groq', tenant: 'acme' }),
    ])
    const row = {
      refused: 0,
      failed: 0,
      estimated: 0,
      unpriced: 1,
      overQuota: 0,
      overBudget: 0,
      overrun: 0,
      inputTokens: 10,
      outputTokens: 20,
      cachedInputTokens: 3,
      cacheWriteInputTokens: 0,
      reasoningTokens: 4,
      audioInputTokens: 0,
      audioOutputTokens: 0,
      units: {},
      costMicroDollars: null,
    }
    t.strictSame(await store.usage({ by: ['user'], sinceMs: day }), [
      {
        ...row,
        values: ['bob'],
        calls: 2,
        estimated: 1,
        unpriced: 0,
        inputTokens: 20,
        outputTokens: 40,
        cachedInputTokens: 6,
        reasoningTokens: 8,
        costMicroDollars: 17,
      },
      { ...row, values: [''], calls: 1 },
    ])
    const calls = async (by: UsageDimension, sinceMs: number): Promise<unknown> =>
      (await store.usage({ by: [by], sinceMs })).map(row => [row.values[0], row.calls])
    t.strictSame(await calls('day', 0), [
      ['2026-03-01', 2],
      ['2026-03-02', 2],
    ])
    t.strictSame(await calls('key', 0), [
      ['key_1', 3],
      ['', 1],
    ])
    t.strictSame(await calls('grant', 0), [
      ['grt_1', 3],
      ['grt_2', 1],
    ])
    t.strictSame(await calls('model', 0), [
      ['gpt-4o-mini', 3],
      ['', 1],
    ])
    t.strictSame(await calls('provider', 0), [
      ['openai', 3],
      ['groq', 1],
    ])
    t.strictSame(await calls('tenant', 0), [
      ['default', 3],
      ['acme', 1],
    ])
    t.strictSame(await calls('tenant', day + 3), [])
  })

  t.test(`${kind.scheme}: what is not counted in model tokens is summed by its unit`, async t => {
    const store = await fresh(t)
    await store.appendEntries([
      anEntry({ provider: 'deepgram', units: 90, unit: 'audioSeconds' }),
      anEntry({ provider: 'deepgram', units: 30, unit: 'characters' }),
      anEntry({ provider: 'deepgram', units: 12, unit: 'characters' }),
      anEntry({ provider: 'openai' }),
    ])
    const units = (await store.usage({ by: ['provider'], sinceMs: 0 })).map(row => [row.values[0], row.units])
    t.strictSame(units, [
      ['deepgram', { audioSeconds: 90, characters: 42 }],
      ['openai', {}],
    ])
  })

  t.test(`${kind.scheme}: a healthy store takes a probe and finds nothing wrong`, async t => {
    const store = await fresh(t)
    await store.insertKey(aKey())
    await store.probe()
    t.strictSame(await store.verify(), [])
  })

  t.test(`${kind.scheme}: a backup is a whole copy, or is refused without leaving a file`, async t => {
    const store = await fresh(t)
    const file = join(t.testdir({}), 'copy.db')
    const key = aKey()
    await store.insertKey(key)
    try {
      await store.backupTo(file)
    } catch (error) {
      t.ok(error instanceof SoakpError)
      t.notOk(existsSync(file))
      return
    }
    await t.rejects(async () => store.backupTo(file), { code: 'file_exists' })
    const copy = await kind.open({ location: file, databaseKey, durability: 'normal', create: false, now: Date.now })
    t.teardown(() => copy.close())
    t.strictSame(await copy.listKeys(), [key])
  })
}
