import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Access, IssuedToken } from '../access/access.js'
import { Secret } from '../lib/secret.js'
import type { Served } from '../server/listen.js'
import type { Soakp } from '../soakp.js'
import type { KeyRecord } from '../stores/records.js'
import { shellQuoted } from './format.js'

const hourMs = 3_600_000
const trialName = 'first hour'

/** What is sent to see the daemon stream an answer. */
export const trialCall = {
  path: '/sandbox/v1/chat/completions',
  body: JSON.stringify({ model: 'sandbox', stream: true, messages: [{ role: 'user', content: 'Say hello' }] }),
} as const

/** A curl line that works at once, with a token that opens nothing but the built-in sandbox, for an hour. */
export async function trialText(
  soakp: Pick<Soakp, 'store' | 'vault' | 'access' | 'settings'>,
  { port }: Pick<Served, 'port'>,
  isLocal: boolean,
  now: () => number,
): Promise<string> {
  await ensureSandboxKey(soakp)
  const { token } = await trialToken(soakp.access, now())
  const { home, http } = soakp.settings
  const ca = isLocal ? ` --cacert ${shellQuoted(join(home, 'certs', 'local', 'ca.pem'))}` : ''
  return [
    '',
    'Try it; this token opens only the built-in sandbox, for one hour:',
    '',
    `  curl -N${ca} ${http ? 'http' : 'https'}://localhost:${port}${trialCall.path} \\`,
    `    -H 'authorization: Bearer ${token}' \\`,
    `    -H 'content-type: application/json' -d '${trialCall.body}'`,
    '',
  ].join('\n')
}

/** One grant for this, however often the daemon is started: it lasts an hour anew, and the token of the start before ends. */
async function trialToken(access: Pick<Access, 'create' | 'list' | 'set' | 'rotate'>, now: number): Promise<IssuedToken> {
  const scope = { kind: 'providers', providers: ['sandbox'] } as const
  const former = (await access.list()).find(
    grant => grant.name === trialName && grant.revokedAtMs === null && isDeepStrictEqual(grant.scope, scope),
  )
  if (!former) return access.create({ scope, name: trialName, lifetimeMs: hourMs })
  // a JWT counts in whole seconds
  await access.set(former.id, { expiresAtMs: Math.floor((now + hourMs) / 1000) * 1000 })
  return access.rotate(former.id, 0)
}

/** The sandbox takes any key, but it takes one, as every provider does. */
export async function ensureSandboxKey({ store, vault }: Pick<Soakp, 'store' | 'vault'>): Promise<KeyRecord> {
  const [there] = (await store.listKeys({ provider: 'sandbox' })).filter(key => key.state === 'active')
  return there ?? vault.put({ provider: 'sandbox', name: 'sandbox', secret: new Secret(`sandbox-${randomBytes(16).toString('hex')}`) })
}
