import type { Logger } from 'pino'
import { BoundedMap } from '../../lib/bounded-map.js'
import type { KeyRecord } from '../../stores/records.js'
import type { KeyPatch, Store } from '../../stores/store.js'

/** What a provider made of a key. `spent`: what it may spend is spent. */
export type Verdict = 'works' | 'refused' | 'spent'

/** Must not throw: what a call found out about a key must not fail the call. */
export type TellVerdict = (key: KeyRecord, verdict: Verdict) => void

export interface VerdictsDeps {
  readonly store: Pick<Store, 'updateKey'>
  readonly log: Pick<Logger, 'warn' | 'info'>
  /** Epoch milliseconds. */
  readonly now: () => number
}

/** Calls that were under way together find out the same. */
const onceInMs = 1000

/** Marks a key that its provider refused or whose quota is spent, or takes the marks away: once for each change, for every process to see. */
export function createVerdicts({ store, log, now }: VerdictsDeps): TellVerdict {
  const told = new BoundedMap<string, number>(1000)

  function isNews(key: KeyRecord, verdict: Verdict): boolean {
    if (verdict === 'works') return key.rejectedAtMs !== null || key.spentAtMs !== null
    return verdict === 'refused' ? key.rejectedAtMs === null : key.spentAtMs === null
  }

  return (key, verdict) => {
    if (!isNews(key, verdict)) return
    const at = now()
    const name = `${key.id} ${key.version} ${verdict}`
    if (Math.abs(at - (told.get(name) ?? 0)) < onceInMs) return
    told.set(name, at)
    const facts = { key: key.id, provider: key.provider }
    if (verdict === 'refused') log.warn(facts, 'the provider refuses this key; replace it with soakp key rotate')
    else if (verdict === 'spent') log.warn(facts, 'what this key may spend is spent; end its rest with soakp key wake')
    else log.info(facts, 'the provider takes this key again')
    const failed = (err: unknown) => log.warn({ err, key: key.id }, 'what the provider said of a key could not be written down')
    try {
      Promise.resolve(store.updateKey(key.id, patchOf(key, verdict, at), key.version)).catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}

function patchOf({ rejectedAtMs, spentAtMs }: KeyRecord, verdict: Verdict, at: number): KeyPatch {
  if (verdict === 'refused') return { rejectedAtMs: at }
  if (verdict === 'spent') return { spentAtMs: at }
  return { ...(rejectedAtMs !== null && { rejectedAtMs: null }), ...(spentAtMs !== null && { spentAtMs: null }) }
}
