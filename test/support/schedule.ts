import { mock } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { pino } from 'pino'
import { SoakpError } from '../../src/errors.js'
import { createLedger, type Ledger } from '../../src/ledger/ledger.js'
import { formatDollars } from '../../src/lib/money.js'
import { createLimits, type Hold, type Limits } from '../../src/limits/limits.js'
import { createOutage, type Outage } from '../../src/stores/outage.js'
import type { Entry, GrantRecord } from '../../src/stores/records.js'
import type { Store } from '../../src/stores/store.js'
import { aGrant, anEntry } from './records.js'

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function dice(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

export type Trouble = 'none' | 'unwritable' | 'gone'

const reads: ReadonlySet<string> = new Set(['drawnByOthers', 'counterTotals', 'listEntries', 'otherInstances'])

/** The store as one process sees it: it may fail, and answer later. */
function seenBy(store: Store, trouble: () => Trouble, isLate: boolean): Store {
  return new Proxy(store, {
    get(target, name: string) {
      const method = Reflect.get(target, name) as (...args: unknown[]) => unknown
      const run = (...args: unknown[]) => {
        const state = trouble()
        if (state === 'gone' || (state === 'unwritable' && !reads.has(name))) throw new SoakpError('store_locked')
        return method(...args)
      }
      return isLate ? async (...args: unknown[]) => run(...args) : run
    },
  })
}

interface Call {
  readonly hold: Hold
  readonly id: string
  /** Of the windows that it counts in. */
  readonly names: Readonly<Record<Quantity, string>>
  worst: Record<'tokens' | 'microDollars', number>
}

type Quantity = 'calls' | 'tokens' | 'microDollars'

/** A daemon: limits and a ledger of its own, on the store that all share. */
export interface Process {
  readonly limits: Limits
  readonly ledger: Ledger
  readonly outage: Outage
  readonly skewMs: number
  trouble: Trouble
  calls: Call[]
  isGone: boolean
}

export interface WorldOptions {
  readonly roll: (below: number) => number
  readonly store: Store
  readonly goesOn?: boolean
  /** The store answers later. */
  readonly isLate?: boolean
}

const quantities = ['calls', 'tokens', 'microDollars'] as const
const log = pino({ level: 'silent' })
const hourMs = 3_600_000

/** Processes, a clock, a grant whose limits change, and what the provider has done for it: the truth that the accounts are held against. */
export class World {
  readonly id = aGrant().id
  readonly roll: WorldOptions['roll']
  readonly processes: Process[] = []
  /** What the provider did, or may have done, for calls that are over; by window. */
  readonly truth = new Map<string, number>()
  /** Of that, what calls took beyond what was held for them: others hear of it when it is committed, and a crash may lose it. */
  readonly #excess = new Map<string, number>()
  readonly #options: WorldOptions
  readonly #costs = new Map<string, { readonly names: Call['names']; readonly spent: Record<Quantity, number> }>()
  #grant: GrantRecord
  #limits: Record<Quantity, number>
  #serial = 0
  now = Date.UTC(2026, 10, 22, 22, 50)
  latest = this.now

  constructor(options: WorldOptions) {
    this.#options = options
    this.roll = options.roll
    this.#limits = { calls: 60, tokens: 3000, microDollars: 20_000 }
    this.#grant = this.#granted()
  }

  #granted(): GrantRecord {
    const { calls, tokens, microDollars } = this.#limits
    return aGrant({
      id: this.id,
      quotas: [`${calls}/day`],
      budgets: [`${tokens}tokens/hour`, `${formatDollars(microDollars)}usd/total`],
    })
  }

  start(skewMs: number): Process {
    const { store, goesOn = false, isLate = false } = this.#options
    const clock = () => this.now + skewMs
    const seen = seenBy(store, () => process.trouble, isLate)
    const outage = createOutage({ goesOn, probe: () => seen.probe(), log, now: clock })
    const limits = createLimits({ store: seen, outage, now: clock, current: () => ({ grant: this.#grant, limits: [] }) })
    const ledger = createLedger({ store: seen, log, outage, takeChanges: limits.takeChanges })
    const process: Process = { limits, ledger, outage, skewMs, trouble: 'none', calls: [], isGone: false }
    this.processes.push(process)
    return process
  }

  changeLimits(): void {
    this.#limits = { calls: 20 + this.roll(80), tokens: 500 + this.roll(4000), microDollars: 2000 + this.roll(30_000) }
    this.#grant = this.#granted()
  }

  /** Clocks of several machines may differ by less than what a lease is given up before its end. */
  moveClock(byMs: number, mostBackMs: number): void {
    this.now = Math.max(this.latest - mostBackMs, this.now + byMs)
    this.latest = Math.max(this.latest, this.now)
  }

  /** But for excess: spent, held by open calls, and what those that vanished may have cost. */
  taken(name: string): number {
    let sum = this.#known(name)
    for (const { calls } of this.processes)
      for (const call of calls) for (const quantity of quantities) if (call.names[quantity] === name) sum += heldBy(call, quantity)
    return sum
  }

  #known(name: string): number {
    return (this.truth.get(name) ?? 0) - (this.#excess.get(name) ?? 0)
  }

  /** Gives what is wrong, or nothing. */
  async call(process: Process): Promise<string | undefined> {
    if (!process.ledger.healthy) return undefined
    const worst = { tokens: 1 + this.roll(300), microDollars: 1 + this.roll(2000) }
    const grant = this.#grant
    const limits = { ...this.#limits }
    let hold: Hold | undefined
    try {
      hold = await process.limits.reserve(grant)
      await process.limits.admit(hold, { keyId: 'key_1', model: 'm', mayNameModel: true, worst: quantity => worst[quantity] })
    } catch (error) {
      hold?.release()
      if (!(error instanceof SoakpError)) return String(error)
      return undefined
    }
    if (process.isGone) return undefined
    const hour = hold.budgets.find(({ counter }) => counter.quantity === 'tokens')?.slice.windowStartMs ?? 0
    const day = Math.floor(hour / (24 * hourMs)) * 24 * hourMs
    const names = { tokens: `tokens/hour ${hour}`, calls: `calls/day ${day}`, microDollars: 'microDollars/total 0' }
    process.calls.push({ hold, id: `call_${++this.#serial}`, names, worst })
    for (const quantity of quantities) {
      const taken = this.taken(names[quantity])
      if (taken > limits[quantity]) return `${taken} of ${limits[quantity]} ${names[quantity]} are taken`
    }
  }

  /** A call, or a part of it, consumed something. */
  settle(process: Process, call: Call, isOver: boolean): void {
    const overrun = this.roll(30) === 0 ? 50 : 0
    const spent = { tokens: this.roll(call.worst.tokens + 1) + overrun, microDollars: this.roll(call.worst.microDollars + 1) }
    const excess = Math.max(0, spent.tokens - heldBy(call, 'tokens'))
    add(this.#excess, call.names.tokens, excess)
    if (isOver) {
      process.calls = process.calls.filter(other => other !== call)
      call.hold.settle(spent)
    } else {
      call.hold.spend(spent)
      call.worst = { tokens: Math.max(0, call.worst.tokens - spent.tokens), microDollars: call.worst.microDollars - spent.microDollars }
    }
    const all = { ...spent, calls: isOver ? 1 : 0 }
    const id = `${call.id}/${++this.#serial}`
    this.#costs.set(id, { names: call.names, spent: all })
    for (const quantity of quantities) add(this.truth, call.names[quantity], all[quantity])
    process.ledger.record(anEntry({ id, grantId: this.id }), () => undefined)
  }

  release(process: Process, call: Call): void {
    process.calls = process.calls.filter(other => other !== call)
    call.hold.release()
  }

  /** More than was held: nobody knows how much a stream will say. */
  async cover(process: Process, call: Call): Promise<void> {
    const { slice } = call.hold.budgets.find(({ counter }) => counter.quantity === 'tokens') ?? {}
    if (!slice || slice.windowEndMs < this.latest + 60_000) return
    const tokens = call.worst.tokens + this.roll(100)
    if ((await process.limits.cover(call.hold, { tokens })) === undefined && !process.outage.isOn)
      call.worst.tokens = Math.max(call.worst.tokens, heldBy(call, 'tokens'))
  }

  /** `kill -9`: the provider may have done the work of what was open. */
  crash(process: Process): void {
    for (const call of process.calls) for (const quantity of quantities) add(this.truth, call.names[quantity], heldBy(call, quantity))
    process.calls = []
    process.isGone = true
    process.trouble = 'gone'
    process.outage.stop()
    this.processes.splice(this.processes.indexOf(process), 1)
  }

  /** What every daemon does now and then; needs mocked intervals. */
  async beat(): Promise<void> {
    mock.timers.tick(5000)
    await this.committed()
  }

  async committed(): Promise<void> {
    await turn()
    await turn()
  }

  /** Ends everything in order and holds the accounts against the entries. Gives what is wrong. */
  async rest(): Promise<string[]> {
    for (const process of this.processes) {
      process.trouble = 'none'
      while (process.outage.isOn) await process.outage.tryAgain()
      for (const call of [...process.calls]) this.settle(process, call, true)
      await process.ledger.settle(10_000)
      await process.limits.close()
      process.outage.stop()
    }
    await this.#options.store.closeDead(this.latest + 120_000, 0)
    return this.#wrong(await this.#options.store.listEntries({}))
  }

  async #wrong(entries: readonly Entry[]): Promise<string[]> {
    const sums = new Map<string, number>()
    const wrong: string[] = []
    const seen = new Set<string>()
    for (const { id } of entries) {
      if (seen.has(id)) wrong.push(`${id} is there twice`)
      seen.add(id)
      const { names, spent } = this.#costs.get(id) ?? {}
      if (names && spent) for (const quantity of quantities) add(sums, names[quantity], spent[quantity])
    }
    for (const counter of ['calls/day', 'tokens/hour', 'microDollars/total']) {
      for (const total of await this.#options.store.counterTotals([`grant/${this.id}/${counter}`])) {
        const name = `${counter} ${total.windowStartMs}`
        const spent = sums.get(name) ?? 0
        if (total.used - total.lost !== spent) wrong.push(`${name}: ${total.used} used, ${total.lost} of it lost, ${spent} in entries`)
        if (total.drawn !== total.used || total.held !== 0)
          wrong.push(`${name}: ${total.drawn} drawn, ${total.held} held, ${total.used} used`)
        if (total.used < this.#known(name)) wrong.push(`${name}: ${total.used} used, ${this.#known(name)} at the provider`)
        sums.delete(name)
      }
    }
    for (const [name, spent] of sums) if (spent > 0) wrong.push(`${name}: ${spent} in entries, and no counter`)
    return wrong
  }

  /** The same grant without its other limits. */
  unlimitedBut(kept: readonly Quantity[]): GrantRecord {
    const { budgets } = this.#grant
    return { ...this.#grant, quotas: [], budgets: budgets.filter(text => kept.includes(text.includes('usd') ? 'microDollars' : 'tokens')) }
  }

  /** How much money is left, once everything rests. */
  async left(): Promise<number> {
    const [total] = await this.#options.store.counterTotals([`grant/${this.id}/microDollars/total`])
    return this.#limits.microDollars - (total?.used ?? 0)
  }
}

function add(sums: Map<string, number>, name: string, amount: number): void {
  sums.set(name, (sums.get(name) ?? 0) + amount)
}

function heldBy({ hold }: Call, quantity: Quantity): number {
  if (quantity === 'calls') return 1
  return hold.budgets.reduce((sum, held) => sum + (held.counter.quantity === quantity ? held.amount : 0), 0)
}
