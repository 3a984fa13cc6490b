import { randomBytes } from 'node:crypto'
import { Secret } from '../../src/lib/secret.js'
import type { Daemon, Home, IssuedJson, ServeOptions } from './daemon.js'
import { makeHome } from './daemon.js'
import { withSoakp } from './home-store.js'
import { anyProvider } from './scripts.js'
import { type Script, startUpstream, type Upstream } from './upstream.js'

export interface StageOptions {
  readonly script?: Script
  readonly settings?: Readonly<Record<string, string>>
  /** Providers that get a key at the upstream; `openai` alone unless said otherwise. */
  readonly providers?: readonly string[]
  /** What the keys' base URLs say behind the upstream's origin, such as `/gateway`. */
  readonly basePath?: string
  /** Arguments of `token create`; `--all` unless said otherwise. */
  readonly grant?: readonly string[]
  readonly serve?: ServeOptions
}

/** An upstream, a home whose keys point at it, a daemon, and an access token. */
export interface Stage {
  readonly upstream: Upstream
  readonly home: Home
  readonly daemon: Daemon
  readonly token: string
  readonly grantId: string
  /** The provider keys' plaintext, by provider. */
  readonly secrets: Readonly<Record<string, string>>
  readonly keys: Readonly<Record<string, string>>
  /** Another token, for other rules. */
  grant(...args: string[]): Promise<IssuedJson>
}

interface Teardown {
  testdir(): string
  teardown(handler: () => unknown): unknown
}

/** Looks as a provider's own keys do, and is drawn anew each time. */
export function freshKey(provider: string): string {
  const rest = randomBytes(36)
    .toString('base64')
    .replace(/[^A-Za-z0-9]/g, 'x')
  if (provider === 'anthropic') return `sk-ant-api03-${rest}AA`
  if (provider === 'gemini') return `AIzaSy${rest.slice(0, 33)}`
  if (provider === 'groq') return `gsk_${rest}`
  return `sk-proj-${rest}`
}

export async function makeStage(t: Teardown, options: StageOptions = {}): Promise<Stage> {
  const upstream = await startUpstream(options.script ?? anyProvider)
  t.teardown(() => upstream.close())
  const home = await makeHome(t, options.settings)
  const secrets: Record<string, string> = {}
  const keys: Record<string, string> = {}
  const names = options.providers ?? ['openai']
  for (const provider of names) secrets[provider] = freshKey(provider)
  const baseUrl = upstream.url + (options.basePath ?? '')
  if (names.length <= 3) {
    for (const [provider, secret] of Object.entries(secrets)) keys[provider] = (await home.addKey(provider, { secret, baseUrl })).id
  } else {
    await withSoakp(home.dir, async ({ vault }) => {
      for (const [provider, secret] of Object.entries(secrets)) {
        keys[provider] = (await vault.put({ provider, name: 'default', secret: new Secret(secret), baseUrl, allowPrivate: true })).id
      }
    })
  }
  const grant = (...args: string[]) => home.createToken(args)
  const issued = await grant(...(options.grant ?? ['--all']))
  const daemon = await home.serve(options.serve)
  return { upstream, home, daemon, token: issued.token, grantId: issued.id, secrets, keys, grant }
}
