import { SoakpError } from '../../errors.js'
import { isPromise, type MaybePromise } from '../../lib/maybe.js'
import type { CallFacts, Hold, Limits } from '../../limits/limits.js'
import type { Charge, Prices } from '../../prices/prices.js'
import { isSocketEndpoint } from '../../providers/index.js'
import type { Usage } from '../../providers/provider.js'
import type { SocketEndpoint } from '../../providers/sockets/socket.js'
import type { KeyRecord } from '../../stores/records.js'
import type { Exchange } from '../exchange.js'
import { toSoakpError } from '../refuse.js'
import { type Ahead, type Amounts, type Read, worthOf } from './ahead.js'
import { AnswersAhead } from './answers.js'
import { CallsAhead } from './calls.js'
import { AssumedAhead, UnitsAhead } from './units.js'

export interface SocketBudgetDeps {
  readonly limits: Pick<Limits, 'raise'>
  readonly prices: Pick<Prices, 'find' | 'charge'>
}

/** What the connection has consumed and is not charged yet. */
export interface Unsettled {
  readonly usage: Usage | undefined
  /** As the provider calls it. */
  readonly model: string | undefined
  /** Seconds or characters that are charged. */
  readonly settledUnits: number
}

function createAhead(
  exchange: Exchange,
  row: SocketEndpoint | undefined,
  prices: Pick<Prices, 'find'>,
  quantities: ReadonlySet<string>,
): Ahead {
  const worth = worthOf(exchange, prices, quantities)
  const find = (model: string | null) => prices.find(exchange.call.provider, model, exchange.call.startedAtMs)
  const bound = row?.bound
  if (!bound) return new AssumedAhead(worth)
  if (bound.by === 'calls') return new CallsAhead(exchange, worth, find)
  if (bound.by === 'answers') return new AnswersAhead(exchange, bound, row.messageModels, worth, find)
  return new UnitsAhead(exchange, bound, worth)
}

/** What limits ask of an upgrade: its first step is what has to be free before it leaves. `worst` throws `cost_unbounded`. */
export function socketFacts(exchange: Exchange, key: KeyRecord, prices: Pick<Prices, 'find'>): CallFacts {
  const row = isSocketEndpoint(exchange.endpoint) ? exchange.endpoint : undefined
  return {
    keyId: key.id,
    model: exchange.model,
    mayNameModel: row === undefined || row.models.length + row.messageModels.length > 0,
    worst: quantity => createAhead(exchange, row, prices, new Set([quantity])).needs(0)[quantity],
  }
}

/** Keeps what is held for a connection ahead of what it may consume. */
export class SocketBudget {
  readonly #exchange: Exchange
  readonly #hold: Hold
  readonly #deps: SocketBudgetDeps
  readonly #ahead: Ahead
  readonly #unsettled: () => Unsettled
  #raising: Promise<SoakpError | undefined> | undefined

  constructor(exchange: Exchange, row: SocketEndpoint | undefined, hold: Hold, deps: SocketBudgetDeps, unsettled: () => Unsettled) {
    this.#exchange = exchange
    this.#hold = hold
    this.#deps = deps
    this.#unsettled = unsettled
    this.#ahead = createAhead(exchange, row, deps.prices, new Set(hold.budgets.map(({ counter }) => counter.quantity)))
  }

  /**
   * A message of the client's that is about to go on. Resolves with why it must not; throws `cost_unbounded`, and then nothing of it was noted. `isCall`: only this message is refused, the
   * connection goes on.
   */
  client(read: Read): { readonly isCall: boolean; readonly refusal: MaybePromise<SoakpError | undefined> } {
    const isCall = this.#ahead.client(read)
    return { isCall, refusal: this.#adjust(isCall) }
  }

  /** The last message does not go on. */
  takeBack(): void {
    this.#ahead.takeBack()
  }

  /** A message of the provider's has come and was metered. Resolves with why the connection must not go on. */
  server(message: Buffer, isCounted: boolean): MaybePromise<SoakpError | undefined> {
    return this.#ahead.server(message) || isCounted ? this.#adjust(false) : undefined
  }

  /** Resolves with why the connection must not go on. */
  tick(elapsedMs: number): MaybePromise<SoakpError | undefined> {
    return this.#ahead.tick(elapsedMs) ? this.#adjust(false) : undefined
  }

  /** What a part of it costs. `isLast`: nothing more will come, and what is under way is in it. */
  charge(usage: Usage | undefined, model: string | undefined, isLast: boolean): Charge | undefined {
    const owed = this.#ahead.takeOwed(isLast)
    const charge = this.#price(usage, model)
    return owed === 0 ? charge : { microDollars: (charge?.microDollars ?? 0) + owed, version: 'assumed' }
  }

  /** Model tokens that answers without a report may have been billed as input; undefined: none are under way. */
  get unreported(): number | undefined {
    return this.#ahead.unreported
  }

  #price(usage: Usage | undefined, answered: string | undefined): Charge | undefined {
    const { call, model } = this.#exchange
    return usage && this.#deps.prices.charge({ provider: call.provider, requested: model, answered, at: call.startedAtMs }, usage)
  }

  #needs(): Amounts {
    const { usage, model, settledUnits } = this.#unsettled()
    const ahead = this.#ahead.needs(settledUnits)
    if (this.#ahead.coversReported) return ahead
    return {
      microDollars: ahead.microDollars + (this.#price(usage, model)?.microDollars ?? 0),
      tokens: ahead.tokens + (usage ? usage.inputTokens + usage.outputTokens : 0),
    }
  }

  /** Holds what is needed, no less and no more. */
  #adjust(isCall: boolean): MaybePromise<SoakpError | undefined> {
    if (this.#hold.isOver) return undefined
    if (this.#raising) return this.#raising.then(() => this.#adjust(isCall))
    let needs: Amounts
    let raised: MaybePromise<void>
    try {
      needs = this.#needs()
      raised = this.#deps.limits.raise(this.#hold, needs)
    } catch (error) {
      return because(error, isCall)
    }
    if (!isPromise(raised)) {
      this.#hold.lower(needs)
      return undefined
    }
    const settled = raised.then(
      () => {
        this.#raising = undefined
        return undefined
      },
      error => {
        this.#raising = undefined
        return because(error, isCall)
      },
    )
    this.#raising = settled
    return settled
  }
}

/** Of a store that fails only a new call hears: what is under way is not refused for it. */
function because(error: unknown, isCall: boolean): SoakpError | undefined {
  if (isCall) return toSoakpError(error)
  if (!(error instanceof SoakpError) || error.code !== 'budget_exhausted') return undefined
  return new SoakpError('budget_exhausted', `The connection is closed here: ${error.detail}`, { isRetryable: false, cause: error })
}
