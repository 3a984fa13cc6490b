import type { Test } from 'tap'
import { Agent, setGlobalDispatcher } from 'undici'
import { type BatchProvider, startBatchProvider } from './batch-provider.js'
import { type Daemon, type Home, type IssuedJson, makeHome } from './daemon.js'
import { withStore } from './home-store.js'
import { freshKey } from './stage.js'
import { until } from './until.js'

/** A provider that works later, a home whose keys point at it, and a daemon. */
export interface BatchPlace {
  readonly provider: BatchProvider
  readonly home: Home
  readonly daemon: Daemon
  readonly secrets: Readonly<Record<string, string>>
  readonly keys: Readonly<Record<string, string>>
  /** Another access token that opens batches; more arguments of `token create`. */
  grant(...args: string[]): Promise<IssuedJson>
  /** Makes every batch due at once, and waits until none is open. */
  settled(): Promise<void>
  /** What the first limit of a grant says, in micro-dollars. */
  shown(id: string): Promise<{ readonly used: number; readonly held: number; readonly lost: number }>
  /** Lines that say what batches used. */
  lines(): Promise<Awaited<ReturnType<Home['entries']>>>
  /** The SDKs trust this one from now on. */
  trust(daemon: Daemon): void
}

export async function makeBatchPlace(t: Test, names: readonly string[]): Promise<BatchPlace> {
  const provider = await startBatchProvider()
  t.teardown(() => provider.close())
  const home = await makeHome(t)
  const secrets: Record<string, string> = {}
  const keys: Record<string, string> = {}
  for (const name of names) {
    secrets[name] = freshKey(name)
    keys[name] = (await home.addKey(name, { secret: secrets[name], baseUrl: provider.url })).id
  }
  const daemon = await home.serve()
  const place: BatchPlace = {
    provider,
    home,
    daemon,
    secrets,
    keys,
    grant: (...args) => home.createToken(['--all', '--endpoints', 'inference', 'account', ...args.flat()]),
    settled: () =>
      withStore(home.dir, async store => {
        await store.hurryBatches(Date.now())
        const open = async () => (await store.listBatches({ open: true })).length
        await until(async () => (await open()) === 0, 'every batch to be settled')
      }),
    async shown(id) {
      const [first] = await home.json<{ used: number; held: number; lost: number }[]>(['limit', 'show', id])
      const micro = (dollars = 0) => Math.round(dollars * 1e6)
      return { used: micro(first?.used), held: micro(first?.held), lost: micro(first?.lost) }
    },
    lines: async () => (await home.entries()).filter(({ method }) => method === 'BATCH'),
    trust: daemon => setGlobalDispatcher(new Agent({ connect: { ca: daemon.ca } })),
  }
  place.trust(daemon)
  return place
}
