import type { LimitRecord } from './records.js'
import type { CounterTotal, SliceState, SliceStore } from './slices.js'
import type { Store } from './store.js'

type LimitPart = Pick<Store, 'putLimit' | 'listLimits' | 'removeLimit'>

/** Limits beside the grants' own, in this process. `changed` raises the policy generation. */
export function memoryLimits(changed: () => void): LimitPart {
  const limits = new Map<string, LimitRecord>()
  const nameOf = (tenant: string, kind: string, subject: string, model: string) => JSON.stringify([tenant, kind, subject, model])
  return {
    putLimit: limit => {
      const name = nameOf(limit.tenant, limit.kind, limit.subject, limit.model)
      limits.set(name, { ...structuredClone(limit), createdAtMs: limits.get(name)?.createdAtMs ?? limit.createdAtMs })
      changed()
    },
    listLimits: tenant =>
      [...limits]
        .filter(([, limit]) => limit.tenant === tenant)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, limit]) => limit),
    removeLimit: (tenant, kind, subject, model) => {
      const removed = limits.delete(nameOf(tenant, kind, subject, model))
      if (removed) changed()
      return removed
    },
  }
}

interface Slice extends SliceState {
  readonly instance: string
  readonly lost: number
}

/** Slices in this process. */
export function memorySlices(): SliceStore {
  const instances = new Map<string, number>()
  const slices = new Map<string, Slice>()
  const nameOf = (counter: string, windowStartMs: number, instance: string) => `${counter} ${windowStartMs} ${instance}`

  function put(instance: string, { counter, windowStartMs, windowEndMs, used, drawn, mostHeld }: SliceState): void {
    slices.set(nameOf(counter, windowStartMs, instance), { counter, windowStartMs, windowEndMs, used, drawn, mostHeld, instance, lost: 0 })
  }

  function closeOne(instance: string, loses: boolean): void {
    instances.delete(instance)
    for (const slice of slices.values()) if (slice.instance === instance) closeSlice(slice, loses)
  }

  function closeSlice(slice: Slice, loses: boolean): void {
    slices.delete(nameOf(slice.counter, slice.windowStartMs, slice.instance))
    const ended = nameOf(slice.counter, slice.windowStartMs, '')
    const before = slices.get(ended)
    const lost = loses ? Math.min(slice.mostHeld, slice.drawn - slice.used) : 0
    slices.set(ended, {
      ...slice,
      instance: '',
      mostHeld: 0,
      used: (before?.used ?? 0) + slice.used,
      drawn: (before?.drawn ?? 0) + slice.used + lost,
      lost: (before?.lost ?? 0) + lost,
    })
  }

  function closeOverdue(now: number): number {
    const dead = [...instances].filter(([, expiresAtMs]) => expiresAtMs <= now)
    for (const [instance] of dead) closeOne(instance, true)
    return dead.length
  }

  function othersOf(counter: string, windowStartMs: number, instance: string): number {
    let sum = 0
    for (const slice of slices.values())
      if (slice.counter === counter && slice.windowStartMs === windowStartMs && slice.instance !== instance) sum += slice.drawn
    return sum
  }

  return {
    openInstance: (instance, expiresAtMs) => {
      instances.set(instance, expiresAtMs)
    },
    renewInstance: (instance, expiresAtMs) => {
      if (!instances.has(instance)) return false
      instances.set(instance, expiresAtMs)
      return true
    },
    otherInstances: (instance, now) => [...instances].filter(([other, expiresAtMs]) => other !== instance && expiresAtMs > now).length,
    claim: (instance, request, now) => {
      const { counter, windowStartMs, drawn, limit, spare, force } = request
      let others = othersOf(counter, windowStartMs, instance)
      if (others > 0 && others + drawn > limit && closeOverdue(now) > 0) others = othersOf(counter, windowStartMs, instance)
      const room = limit - others - drawn
      if (room < 0 && !force) return { granted: false, drawn, others }
      const granted = drawn + Math.max(0, Math.min(spare, Math.floor(room / 16)))
      put(instance, { ...request, drawn: granted })
      return { granted: true, drawn: granted, others }
    },
    settleSlices: (instance, states) => {
      for (const state of states) put(instance, state)
    },
    retireSlices: (instance, windows) => {
      for (const { counter, windowStartMs } of windows) {
        const slice = slices.get(nameOf(counter, windowStartMs, instance))
        if (slice) closeSlice(slice, false)
      }
    },
    closeInstance: (instance, endedInOrder) => closeOne(instance, !endedInOrder),
    closeDead: (now, forgetBeforeMs) => {
      for (const [name, slice] of slices) if (slice.windowEndMs < forgetBeforeMs) slices.delete(name)
      return closeOverdue(now)
    },
    counterTotals: counters => counters.flatMap(counter => totalsOf([...slices.values()].filter(slice => slice.counter === counter))),
  }
}

function totalsOf(slices: readonly Slice[]): CounterTotal[] {
  const windows = new Map<number, CounterTotal>()
  for (const { counter, windowStartMs, windowEndMs, used, drawn, mostHeld, lost } of slices) {
    const before = windows.get(windowStartMs)
    windows.set(windowStartMs, {
      counter,
      windowStartMs,
      windowEndMs,
      used: (before?.used ?? 0) + used + lost,
      drawn: (before?.drawn ?? 0) + drawn,
      held: (before?.held ?? 0) + Math.min(mostHeld, drawn - used),
      lost: (before?.lost ?? 0) + lost,
    })
  }
  return [...windows.values()].sort((a, b) => b.windowStartMs - a.windowStartMs)
}
