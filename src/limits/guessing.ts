import { BoundedMap } from '../lib/bounded-map.js'
import { addressGroup } from '../lib/ip.js'
import type { Rate } from '../lib/rate.js'
import { type SlidingWindow, windowOf } from './rate.js'

const remembered = 100_000

/** Budgets failed attempts per address (IPv6: per /64). Holds a bounded number of addresses and forgets the quietest. */
export interface Guessing {
  /** How long the address has to wait, or 0. */
  blockedForMs(address: string): number
  failed(address: string): void
}

export function createGuessing(rate: Rate, now: () => number): Guessing {
  const windows = new BoundedMap<string, SlidingWindow>(remembered)
  const blocked = new BoundedMap<string, number>(remembered)
  return {
    blockedForMs(address) {
      const until = blocked.get(addressGroup(address))
      return until === undefined ? 0 : Math.max(0, until - now())
    },
    failed(address) {
      const group = addressGroup(address)
      const at = now()
      const state = windowOf(windows, group).take(rate, at)
      if (state.remaining === 0) blocked.set(group, at + state.resetMs)
    },
  }
}
