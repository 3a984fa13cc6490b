import type { CalendarWindow } from '../lib/calendar.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { WindowName } from '../lib/terms.js'
import { windowIn, type ZoneSince } from '../lib/zoned-calendar.js'

/** Which hour, day or month it is for a tenant. */
export interface Calendars {
  window(tenant: string, name: WindowName, atMs: number): CalendarWindow
  /** Reads the tenant's time zones, so that none of its windows is asked for before they are known. */
  load(tenant: string): MaybePromise<void>
  /** The zones have changed: they are read anew when next needed. */
  forget(): void
}

export interface CalendarDeps {
  /** Oldest first. Those read before stand in where it fails or takes its time: what is open at a change goes on by them in any case. */
  zones(tenant: string): MaybePromise<readonly ZoneSince[]>
}

interface Known {
  zones: readonly ZoneSince[]
  isStale: boolean
  /** The last window of each kind: thousands of counters open theirs at the same midnight. */
  day: CalendarWindow | undefined
  month: CalendarWindow | undefined
}

const none: readonly ZoneSince[] = []

export function createCalendars({ zones }: CalendarDeps = { zones: () => none }): Calendars {
  const tenants = new Map<string, Known>()

  function knownOf(tenant: string): Known {
    let known = tenants.get(tenant)
    if (!known) {
      known = { zones: none, isStale: true, day: undefined, month: undefined }
      tenants.set(tenant, known)
    }
    return known
  }

  function read(tenant: string, known: Known): MaybePromise<void> {
    known.isStale = false
    const take = (found: readonly ZoneSince[]) => {
      known.zones = found
      known.day = known.month = undefined
    }
    const failed = () => {
      known.isStale = true
    }
    try {
      const found = zones(tenant)
      if (isPromise(found)) return found.then(take, failed)
      take(found)
    } catch {
      failed()
    }
  }

  return {
    load: tenant => read(tenant, knownOf(tenant)),

    window(tenant, name, atMs) {
      const known = knownOf(tenant)
      if (known.isStale) read(tenant, known)
      if (name === 'total' || name === 'hour') return windowIn(none, name, atMs)
      const last = known[name]
      if (last && atMs >= last.startMs && atMs < last.endMs) return last
      const found = windowIn(known.zones, name, atMs)
      known[name] = found
      return found
    },

    forget() {
      for (const known of tenants.values()) known.isStale = true
    },
  }
}
