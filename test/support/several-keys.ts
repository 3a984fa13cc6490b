import { anyProvider } from './scripts.js'
import { freshKey, makeStage, type Stage } from './stage.js'
import type { Script } from './upstream.js'

export interface SeveralKeys extends Stage {
  /** Ids of the keys, in the order they were made. */
  readonly ids: readonly string[]
  /** What the upstream does for a key, from here on; calls with a key it has no part for are answered as any provider would. */
  play(key: number, script: Script): void
  /** Which keys the upstream was shown, in order, as their numbers. */
  seen(): number[]
}

interface Teardown {
  testdir(): string
  teardown(handler: () => unknown): unknown
}

export interface SeveralKeysOptions {
  readonly provider?: string
  /** More arguments of `key add`, one list for each key. */
  readonly more?: readonly (readonly string[])[]
  /** Other places than the upstream for some of the keys. */
  readonly baseUrls?: readonly (string | undefined)[]
  readonly settings?: Readonly<Record<string, string>>
  readonly grant?: readonly string[]
}

/** A daemon with several keys of one provider, and an upstream that tells them apart. */
export async function severalKeys(t: Teardown, options: SeveralKeysOptions = {}): Promise<SeveralKeys> {
  const { provider = 'openai', more = [[], []], baseUrls = [], settings, grant } = options
  const secrets: string[] = []
  const parts = new Map<number, Script>()
  const keyOf = (rawHead: string) => secrets.findIndex(secret => rawHead.includes(secret))
  const stage = await makeStage(t, {
    providers: [],
    script: exchange => (parts.get(keyOf(exchange.request.rawHead)) ?? anyProvider)(exchange),
    ...(settings && { settings }),
    ...(grant && { grant }),
  })
  const ids: string[] = []
  for (const [at, args] of more.entries()) {
    const secret = freshKey(provider)
    secrets.push(secret)
    const { id } = await stage.home.addKey(provider, { secret, baseUrl: baseUrls[at] ?? stage.upstream.url, name: `key ${at}`, more: args })
    ids.push(id)
  }
  return {
    ...stage,
    ids,
    play: (key, script) => void parts.set(key, script),
    seen: () => stage.upstream.requests.map(({ rawHead }) => keyOf(rawHead)),
  }
}
