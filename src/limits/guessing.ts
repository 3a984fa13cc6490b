import { BoundedMap } from '../lib/bounded-map.js'
import { addressGroup } from '../lib/ip.js'
import type { Rate } from '../lib/rate.js'
import { SlidingWindow, windowOf } from './rate.js'

const remembered = 100_000

/** Budgets failed attempts per address (IPv6: per /64). Holds a bounded number of addresses and forgets the quietest. */
export interface Guessing {
  /** How long the address has to wait, or 0. */
  blockedForMs(address: string): number
  failed(address: string): void
  /** Whether something costly may be looked at for an address: always, unless it is blocked; then only what is left of a small budget of all blocked ones, so that the good ones among them get through. */
  mayTry(address: string): boolean
}

/** Some 5 ms of a core a second at most. */
const triesOfBlocked: Rate = { count: 50, windowMs: 1000 }

export function createGuessing(rate: Rate, now: () => number): Guessing {
  const windows = new BoundedMap<string, SlidingWindow>(remembered)
  const blocked = new BoundedMap<string, number>(remembered)
  const slowLane = new SlidingWindow()

  function blockedForMs(address: string): number {
    const until = blocked.get(addressGroup(address))
    return until === undefined ? 0 : Math.max(0, until - now())
  }

  return {
    blockedForMs,
    mayTry: address => blockedForMs(address) === 0 || slowLane.take(triesOfBlocked, now()).allowed,
    failed(address) {
      const group = addressGroup(address)
      const at = now()
      const state = windowOf(windows, group).take(rate, at)
      if (state.remaining === 0) blocked.set(group, at + state.resetMs)
    },
  }
}
