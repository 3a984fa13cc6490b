/** What lies under these names in a reply whose shape is known but not trusted; undefined where it does not. */
export function field(value: unknown, ...names: readonly string[]): unknown {
  let inner = value
  for (const name of names) {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return undefined
    inner = Object.entries(inner).find(([key]) => key === name)?.[1]
  }
  return inner
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** Numbers too: ids come as either, from one call to the next of the same API. */
export function text(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}

/** 0 for what is no number. */
export function number(value: unknown): number {
  const found = Number(text(value) || Number.NaN)
  return Number.isFinite(found) ? found : 0
}
