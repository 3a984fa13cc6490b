import type { Lifetime } from './acme/renewal.js'

/** Of its life: where no more is left of one, its end is warned of. Renewal comes much earlier. */
const warnShare = 1 / 6

/** Never by a number of days: lifetimes differ. */
export function endsSoon({ notBeforeMs, notAfterMs }: Lifetime, nowMs: number): boolean {
  return notAfterMs - nowMs < (notAfterMs - notBeforeMs) * warnShare
}
