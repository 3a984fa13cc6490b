import { type CalendarWindow, calendarWindow } from './calendar.js'
import type { WindowName } from './terms.js'

/** A time zone, and since when days and months go by it. */
export interface ZoneSince {
  /** As the IANA names it: `Europe/Berlin`. */
  readonly timeZone: string
  /** Epoch milliseconds. */
  readonly fromMs: number
}

/** The name as the IANA writes it, where it is the one that ICU knows the zone by; another is left as it is (`Asia/Kolkata`). Undefined: there is no such zone, or it is a mere offset, which knows no summer time. */
export function timeZoneName(text: string): string | undefined {
  if (!/^[A-Za-z][\w+/-]{1,60}$/.test(text)) return undefined
  try {
    const known = new Intl.DateTimeFormat('en-US', { timeZone: text }).resolvedOptions().timeZone
    return known.toLowerCase() === text.toLowerCase() ? known : text
  } catch {
    return undefined
  }
}

/**
 * The window that an instant lies in. `zones`: oldest first; before the first of them it is UTC. A change of the zone lets the window that is open run to its end; the
 * first one after it begins there, and ends with a day or month of the new zone: with the one that is under way then, or, if more than half of that is gone, with the one after. So
 * windows follow each other without a gap, none is opened twice, and whoever has the same `zones` has the same windows. Hours are those of UTC.
 */
export function windowIn(zones: readonly ZoneSince[], name: WindowName, atMs: number): CalendarWindow {
  if (name === 'total' || name === 'hour') return calendarWindow(name, atMs)
  return windowSince(zones, zones.length - 1, name, atMs)
}

function windowSince(zones: readonly ZoneSince[], last: number, name: 'day' | 'month', atMs: number): CalendarWindow {
  const zone = zones[last]
  if (!zone) return calendarWindow(name, atMs)
  const open = windowSince(zones, last - 1, name, zone.fromMs)
  if (atMs < open.startMs) return windowSince(zones, last - 1, name, atMs)
  if (atMs < open.endMs) return open
  const { timeZone } = zone
  const underWay = zoneWindow(timeZone, name, open.endMs)
  const isLate = underWay.endMs - open.endMs < (underWay.endMs - underWay.startMs) / 2
  const endMs = isLate ? zoneWindow(timeZone, name, underWay.endMs).endMs : underWay.endMs
  return atMs < endMs ? { startMs: open.endMs, endMs } : zoneWindow(timeZone, name, atMs)
}

/** The day or month of a zone's own calendar. It begins with the first instant at which its clocks show that day or a later one: at 01:00 where midnight is skipped. */
function zoneWindow(timeZone: string, name: 'day' | 'month', atMs: number): CalendarWindow {
  if (timeZone === 'UTC') return calendarWindow(name, atMs)
  const clock = clockOf(timeZone)
  const at = new Date(clock(atMs))
  const [year, month, day] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()]
  const nth = (later: number) => (name === 'month' ? Date.UTC(year, month + later) : Date.UTC(year, month, day + later))
  // a clock put back over midnight shows the day before once more; a day that a zone leaves out has no length
  for (let later = 0; later < 3; later++) {
    const endMs = firstAt(clock, nth(later + 1))
    if (atMs < endMs) return { startMs: firstAt(clock, nth(later)), endMs }
  }
  return calendarWindow(name, atMs)
}

/** What the clocks of a zone show, written as the instant at which those of UTC show it. */
type Clock = (atMs: number) => number

const clocks = new Map<string, Clock>()

function clockOf(timeZone: string): Clock {
  let clock = clocks.get(timeZone)
  if (!clock) {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
    clock = atMs => {
      const shown: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {}
      for (const { type, value } of format.formatToParts(atMs)) shown[type] = Number(value)
      const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = shown
      return Date.UTC(year, month - 1, day, hour, minute, second) + (atMs - Math.floor(atMs / 1000) * 1000)
    }
    clocks.set(timeZone, clock)
  }
  return clock
}

const hourMs = 3_600_000
/** No clock is further from that of UTC, not even where a zone is about to leave out a day. */
const furthestMs = 30 * hourMs
/** No zone changes its clocks twice within so long. */
const steadyMs = 6 * hourMs
const stepMs = hourMs / 4

/** The first instant at which a clock shows this or more. */
function firstAt(clock: Clock, shownMs: number): number {
  let from = shownMs - furthestMs
  let ahead = clock(from) - from
  for (;;) {
    const to = from + steadyMs
    const aheadThen = clock(to) - to
    if (ahead !== aheadThen) {
      const found = firstBetween(clock, shownMs, from, to)
      if (found !== undefined) return found
    } else if (to + ahead >= shownMs) return shownMs - ahead
    from = to
    ahead = aheadThen
  }
}

function firstBetween(clock: Clock, shownMs: number, fromMs: number, toMs: number): number | undefined {
  let from = fromMs
  while (from < toMs && clock(from + stepMs) < shownMs) from += stepMs
  if (from >= toMs) return undefined
  let to = from + stepMs
  while (to - from > 1) {
    const middle = Math.floor((from + to) / 2)
    if (clock(middle) < shownMs) from = middle
    else to = middle
  }
  return to
}
