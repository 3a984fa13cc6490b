export interface Rate {
  /** How many are let through in any one window. */
  readonly count: number
  readonly windowMs: number
}

const windows = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `60/m`: sixty a minute; also `/s`, `/h`, `/d`. At least one. `undefined` for anything else. */
export function parseRate(text: string): Rate | undefined {
  const [, digits, window] = /^(\d{1,9})\/([smhd])$/.exec(text) ?? []
  if (digits === undefined || window === undefined) return undefined
  const count = Number(digits)
  return count > 0 ? { count, windowMs: windows[window as keyof typeof windows] } : undefined
}
