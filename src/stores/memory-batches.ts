import { type BatchRecord, type BatchStore, batchInstance, batchSlices } from './batch-record.js'
import type { SliceStore } from './slices.js'
import type { Store } from './store.js'

interface Kept {
  record: BatchRecord
  lease: { readonly holder: string; readonly endsAtMs: number } | undefined
}

type Beside = Pick<SliceStore, 'settleSlices' | 'closeInstance'> & Pick<Store, 'appendEntries'>

/** Batches of a process that keeps nothing: they are forgotten with it. */
export function memoryBatches(store: Beside): BatchStore {
  const batches = new Map<string, Kept>()
  const heldBy = (name: string, holder: string): Kept | undefined => {
    const kept = batches.get(name)
    return kept?.lease?.holder === holder && kept.record.settledAtMs === null ? kept : undefined
  }

  return {
    keepBatch: (batch, from) => {
      const name = batchInstance(batch)
      if (batches.has(name)) return false
      batches.set(name, { record: structuredClone(batch), lease: undefined })
      if (from) store.settleSlices(from.instance, from.states)
      store.settleSlices(name, batchSlices(batch))
      return true
    },
    leaseBatches: (holder, now, untilMs, most) => {
      const free = [...batches.values()]
        .filter(({ record, lease }) => record.settledAtMs === null && record.nextPollAtMs <= now && (lease?.endsAtMs ?? 0) <= now)
        .sort((a, b) => a.record.nextPollAtMs - b.record.nextPollAtMs)
        .slice(0, most)
      for (const kept of free) kept.lease = { holder, endsAtMs: untilMs }
      return free.map(({ record }) => record)
    },
    putBatchOff: (name, holder, { nextPollAtMs, polls, misses }) => {
      const kept = heldBy(batchInstance(name), holder)
      if (!kept) return false
      kept.record = { ...kept.record, nextPollAtMs, polls, misses }
      kept.lease = undefined
      return true
    },
    settleBatch: (name, holder, entries, used, now) => {
      const instance = batchInstance(name)
      const kept = heldBy(instance, holder)
      if (!kept) return false
      kept.record = { ...kept.record, settledAtMs: now }
      kept.lease = undefined
      store.settleSlices(instance, batchSlices(kept.record, used))
      store.closeInstance(instance, true)
      store.appendEntries(entries)
      return true
    },
    listBatches: ({ open, id, limit }) =>
      [...batches.values()]
        .map(({ record }) => record)
        .filter(record => (!open || record.settledAtMs === null) && record.id === (id ?? record.id))
        .sort((a, b) => b.createdAtMs - a.createdAtMs)
        .slice(0, limit ?? batches.size),
    hurryBatches: (now, id) => {
      const open = [...batches.values()].filter(({ record }) => record.settledAtMs === null && record.id === (id ?? record.id))
      for (const kept of open) kept.record = { ...kept.record, nextPollAtMs: Math.min(kept.record.nextPollAtMs, now) }
      return open.length
    },
    pruneBatches: (settledBeforeMs, most) => {
      const old = [...batches]
        .filter(([, { record }]) => record.settledAtMs !== null && record.settledAtMs < settledBeforeMs)
        .slice(0, most)
      for (const [name] of old) batches.delete(name)
      return old.length
    },
  }
}
