import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Secret } from '../lib/secret.js'
import type { Served } from '../server/listen.js'
import type { Soakp } from '../soakp.js'
import type { KeyRecord } from '../stores/records.js'

const hourMs = 3_600_000

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
): Promise<string> {
  await ensureSandboxKey(soakp)
  const { token } = await soakp.access.create({
    scope: { kind: 'providers', providers: ['sandbox'] },
    name: 'first hour',
    lifetimeMs: hourMs,
  })
  const { home, http } = soakp.settings
  const ca = isLocal ? ` --cacert ${quote(join(home, 'certs', 'local', 'ca.pem'))}` : ''
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

/** The sandbox takes any key, but it takes one, as every provider does. */
export async function ensureSandboxKey({ store, vault }: Pick<Soakp, 'store' | 'vault'>): Promise<KeyRecord> {
  const [there] = (await store.listKeys({ provider: 'sandbox' })).filter(key => key.state === 'active')
  return there ?? vault.put({ provider: 'sandbox', name: 'sandbox', secret: new Secret(`sandbox-${randomBytes(16).toString('hex')}`) })
}

/** For a POSIX shell. */
function quote(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}
