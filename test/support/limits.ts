import { createSecretKey, randomBytes } from 'node:crypto'
import { createLimits, type Hold, type LimitedGrant, type Limits } from '../../src/limits/limits.js'
import { memory } from '../../src/stores/memory.js'
import { createOutage, type Outage } from '../../src/stores/outage.js'
import type { LimitRecord } from '../../src/stores/records.js'
import type { Store } from '../../src/stores/store.js'

/** Limits whose store answers at once. */
export interface SyncLimits extends Omit<Limits, 'reserve'> {
  reserve(grant: LimitedGrant, limits?: readonly LimitRecord[]): Hold
}

export function memoryStore(now: () => number): Store {
  return memory.open({
    location: '',
    databaseKey: createSecretKey(randomBytes(32)),
    durability: 'normal',
    create: true,
    now,
  }) as Store
}

const silent = { error: () => undefined, info: () => undefined }

export function outageOf(store: Pick<Store, 'probe'>, now: () => number = Date.now, goesOn = false): Outage {
  return createOutage({ goesOn, probe: () => store.probe(), log: silent, now })
}

export function limitsAt(now: () => number, store: Store = memoryStore(now), outage: Outage = outageOf(store, now)): SyncLimits {
  const limits = createLimits({ store, outage, now })
  return {
    ...limits,
    reserve(grant, records) {
      const hold = limits.reserve(grant, records)
      if (hold instanceof Promise) throw new Error('the store did not answer at once')
      return hold
    },
  }
}
