import { join } from 'node:path'
import type { Settings } from '../../config/settings.js'
import { databaseFile, homeIsThere } from '../../home.js'
import { openStore } from '../../stores/index.js'
import type { KeyRecord } from '../../stores/records.js'
import type { Store } from '../../stores/store.js'
import { type Keyring, keyringPath } from '../../vault/keyring.js'
import { masterKeyPath } from '../../vault/master-key.js'
import { openHome } from '../../vault/rotation.js'
import { createVault, type Vault } from '../../vault/vault.js'
import { type Finding, fail, faultOf, ok, warn } from './finding.js'
import { checkCertificate, checkDisk, checkIssued, checkMetricsPort, checkMode, checkPort } from './surroundings.js'

/** Looks at a home and its surroundings. Reads only; a fault in one part does not keep it from looking at the others. */
export async function examine(readSettings: () => Promise<Settings>, now: () => number): Promise<Finding[]> {
  let settings: Settings
  try {
    settings = await readSettings()
  } catch (error) {
    return [faultOf('settings', error)]
  }
  const { home } = settings
  const findings = [ok('settings', 'read and understood')]
  if (!homeIsThere(settings))
    return [
      ...findings,
      fail('home', `there is none in ${home}`, 'make one with `soakp init`, or restore a backup with `soakp restore FILE`'),
    ]
  findings.push(ok('home', home), ...checkFiles(settings), await checkDisk(home))
  const keyring = await attempt(
    'master key',
    findings,
    () => openHome(settings),
    keys => ok('master key', `opens the vault (version ${keys.masterKeyVersion})`),
  )
  if (keyring !== undefined) await checkStore(settings, keyring, now, findings)
  findings.push(
    await checkCertificate(settings, now()),
    ...(await checkIssued(settings, now())),
    await checkPort(settings),
    ...(await checkMetricsPort(settings)),
  )
  return findings
}

/** What `work` gives, and what to say of it; a fault becomes a finding. */
async function attempt<T>(check: string, findings: Finding[], work: () => Promise<T>, good: (value: T) => Finding): Promise<T | undefined> {
  try {
    const value = await work()
    findings.push(good(value))
    return value
  } catch (error) {
    findings.push(faultOf(check, error))
    return undefined
  }
}

/** Nobody else may read these, and nobody else may exchange them. */
function checkFiles(settings: Settings): Finding[] {
  const { home } = settings
  const database = databaseFile(settings)
  const secret = [
    join(home, '.env'),
    masterKeyPath(settings),
    keyringPath(home),
    ...(database === undefined ? [] : [database, `${database}-wal`]),
    join(home, 'certs', 'local', 'ca-key.pem'),
    join(home, 'certs', 'live', 'localhost', 'privkey.pem'),
    settings.tlsKeyFile,
  ].filter(file => file !== undefined)
  const faults = [checkMode(home, 0o022, 'chmod 700'), ...secret.map(file => checkMode(file, 0o077, 'chmod 600'))].filter(
    finding => finding !== undefined,
  )
  return faults.length > 0 ? faults : [ok('file modes', "the home is its owner's alone")]
}

async function checkStore(settings: Settings, keyring: Keyring, now: () => number, findings: Finding[]): Promise<void> {
  const { databaseKey } = keyring
  const open = async () =>
    openStore(settings.databaseUrl, settings.home, { databaseKey, durability: settings.durability, create: false, now })
  const store = await attempt('database', findings, open, () => ok('database', 'opens'))
  if (store === undefined) return
  try {
    const faults = await store.verify()
    if (faults.length > 0)
      findings.push(fail('database', `is damaged: ${faults.slice(0, 3).join('; ')}`, 'restore a backup with `soakp restore FILE`'))
    else findings.push(ok('database', 'is sound'))
    await attempt(
      'database',
      findings,
      async () => store.probe(),
      () => ok('database', 'can be written'),
    )
    await checkKeys(store, createVault({ store, keyring, now }), findings)
    findings.push(await checkClock(store, keyring, now()))
  } catch (error) {
    findings.push(faultOf('database', error))
  } finally {
    await store.close()
  }
}

async function checkKeys(store: Store, vault: Vault, findings: Finding[]): Promise<void> {
  const keys = await store.listKeys()
  const unreadable: KeyRecord[] = []
  for (const key of keys) {
    try {
      const secret = await vault.open(key)
      secret.wipe()
    } catch {
      unreadable.push(key)
    }
  }
  for (const { id, provider } of unreadable) {
    findings.push(
      fail('keys', `${id} (${provider}) does not open`, `remove it with \`soakp key remove ${id}\` and add it again, or restore a backup`),
    )
  }
  for (const { id, provider } of keys.filter(key => key.rejectedAtMs !== null && key.state === 'active')) {
    findings.push(warn('keys', `${id} is refused by ${provider}`, `put a new one in its place with \`soakp key rotate ${id}\``))
  }
  for (const { id, provider } of keys.filter(key => key.spentAtMs !== null && key.state === 'active')) {
    findings.push(warn('keys', `what ${id} may spend at ${provider} is spent`, `raise its quota there, then \`soakp key wake ${id}\``))
  }
  if (keys.length === 0) findings.push(warn('keys', 'there are none', 'add one with `soakp key add PROVIDER`'))
  else if (unreadable.length === 0) findings.push(ok('keys', keys.length === 1 ? 'the one there is opens' : `all ${keys.length} open`))
}

const toleranceMs = 60_000

/** A clock that went back lets ended tokens live again; one that is ahead ends them early. */
async function checkClock(store: Store, keyring: Keyring, nowMs: number): Promise<Finding> {
  const made = [
    ...keyring.signingKeys.map(key => key.createdAtMs),
    ...(await store.listKeys()).map(key => key.createdAtMs),
    ...(await store.listGrants()).map(grant => grant.createdAtMs),
  ]
  const latest = Math.max(...made)
  if (latest > nowMs + toleranceMs) {
    return fail(
      'clock',
      `says ${new Date(nowMs).toISOString()}, but something here was made on ${new Date(latest).toISOString()}`,
      'set the clock, and keep it right with NTP',
    )
  }
  return ok('clock', `says ${new Date(nowMs).toISOString()}`)
}
