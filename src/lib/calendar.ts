import type { WindowName } from './terms.js'

export interface CalendarWindow {
  readonly startMs: number
  /** The first instant of the next one. */
  readonly endMs: number
}

const hourMs = 3_600_000
const dayMs = 86_400_000
const always: CalendarWindow = { startMs: 0, endMs: Number.MAX_SAFE_INTEGER }

/** The hour, day or month in UTC that an instant lies in. */
export function calendarWindow(name: WindowName, atMs: number): CalendarWindow {
  if (name === 'total') return always
  if (name === 'month') {
    const at = new Date(atMs)
    const year = at.getUTCFullYear()
    const month = at.getUTCMonth()
    return { startMs: Date.UTC(year, month), endMs: Date.UTC(year, month + 1) }
  }
  const size = name === 'hour' ? hourMs : dayMs
  const startMs = Math.floor(atMs / size) * size
  return { startMs, endMs: startMs + size }
}
