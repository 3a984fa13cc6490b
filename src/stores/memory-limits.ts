import { SoakpError } from '../errors.js'
import type { LimitRecord, TimeZoneRecord } from './records.js'
import { type CounterTotal, rememberedMs, type SliceState, type SliceStore } from './slices.js'
import type { Store } from './store.js'

type LimitPart = Pick<Store, 'putLimit' | 'listLimits' | 'removeLimit' | 'addTimeZone' | 'listTimeZones'>

/** Limits beside the grants' own, in this process. `changed` raises the policy generation. */
export function memoryLimits(changed: () => void): LimitPart {
  const limits = new Map<string, LimitRecord>()
  const zones: TimeZoneRecord[] = []
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
    addTimeZone: zone => {
      const before = zones.some(({ tenant, fromMs }) => tenant === zone.tenant && fromMs === zone.fromMs)
      if (before) throw new SoakpError('internal', `There is a time zone from ${zone.fromMs} on already.`)
      zones.push({ ...zone })
      changed()
    },
    listTimeZones: tenant => zones.filter(zone => zone.tenant === tenant).sort((a, b) => a.fromMs - b.fromMs),
  }
}

interface Slice extends SliceState {
  readonly instance: string
  readonly lost: number
}

/** Slices in this process. */
export function memorySlices(): SliceStore {
  /** When they are overdue; negative: they were, and their slices were closed. */
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
    const lost = loses ? lossOf(slice) : 0
    slices.set(ended, {
      ...slice,
      instance: '',
      mostHeld: 0,
      used: (before?.used ?? 0) + slice.used,
      drawn: (before?.drawn ?? 0) + slice.used + lost,
      lost: (before?.lost ?? 0) + lost,
    })
  }

  /** In its own slices, for one that may only stand still: what it says when it goes on takes their place. */
  function suspend(instance: string): number {
    let changed = 0
    for (const [name, slice] of slices) {
      const lost = lossOf(slice)
      if (slice.instance !== instance || (slice.mostHeld === 0 && slice.drawn === slice.used + lost)) continue
      slices.set(name, { ...slice, lost, drawn: slice.used + lost, mostHeld: 0 })
      changed++
    }
    return changed
  }

  function closeOverdue(now: number, goneBeforeMs = 0): number {
    let closed = 0
    for (const [instance, expiresAtMs] of instances) {
      if (expiresAtMs > now) continue
      if (Math.abs(expiresAtMs) < goneBeforeMs) closeOne(instance, true)
      else if (suspend(instance) === 0 && expiresAtMs < 0) continue
      else instances.set(instance, -Math.abs(expiresAtMs))
      closed++
    }
    return closed
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
      const before = instances.get(instance)
      if (before === undefined) return 'gone'
      instances.set(instance, expiresAtMs)
      return before < 0 ? 'closed' : 'open'
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
    closeDead: closeOverdue,
    pruneWindows: (now, most) => {
      const over = [...slices].filter(([, slice]) => slice.windowEndMs + rememberedMs(slice) < now).slice(0, most)
      for (const [name] of over) slices.delete(name)
      return over.length
    },
    drawnByOthers: (instance, { counter, windowStartMs }) => othersOf(counter, windowStartMs, instance),
    counterTotals: counters => counters.flatMap(counter => totalsOf([...slices.values()].filter(slice => slice.counter === counter))),
  }
}

/** What counts as used where an instance is not known to have ended in order. */
const lossOf = ({ lost, mostHeld, drawn, used }: Slice) => Math.max(lost, Math.min(mostHeld, drawn - used))

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
