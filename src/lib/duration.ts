const units = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `30s`, `15m`, `24h`, `30d` in milliseconds; `undefined` for anything else. A bare number has no unit and is refused. */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  if (digits === undefined || unit === undefined) return undefined
  const ms = Number(digits) * units[unit as keyof typeof units]
  return Number.isSafeInteger(ms) ? ms : undefined
}

/** The largest unit that says it exactly: 86400000 is `1d`, 90000 is `90s`. Milliseconds that are no whole second are written as such: `1500ms`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s'
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms % units[unit] === 0) return `${ms / units[unit]}${unit}`
  }
  return `${ms}ms`
}
