import type { Spent } from '../../limits/limits.js'
import type { Charge } from '../../prices/prices.js'
import type { Ending, Exchange } from '../exchange.js'

/** The version of a price that nobody knows. */
export const assumedPrice = 'assumed'

const nothing: Spent = {}
const nothingAtAll: Spent = { microDollars: 0, tokens: 0 }

/**
 * What a call has spent of budgets. `cost`: by the price list, where that says. A call that went through and has no price is charged what was held for it; one that was refused or
 * failed is charged nothing but what it is known to have consumed.
 */
export function spentBy(exchange: Exchange, ending: Ending, cost: number | undefined): Spent {
  if (!exchange.hold?.hasBudgets) return nothing
  const { status, usage } = ending
  const tokens = usage ? usage.inputTokens + usage.outputTokens : undefined
  const isWork = usage !== undefined || status < 400 || mayBeMade(exchange, ending)
  return isWork ? { microDollars: cost, tokens } : nothingAtAll
}

/** What is charged for a call that no price is known for: what is held of money for it. Undefined: nothing is. */
export function heldMoney({ hold }: Exchange): Charge | undefined {
  const held = hold?.budgets.find(({ counter }) => counter.quantity === 'microDollars')
  return held && held.amount > 0 ? { microDollars: held.amount, version: assumedPrice } : undefined
}

/** The provider did not answer, or what it answered could not be written down: the batch may be there all the same, and nobody knows how it is called. */
const unheard: ReadonlySet<string> = new Set(['client_gone', 'provider_timeout', 'provider_broke_off', 'store_unavailable'])

/** Whether work may go on that will never be settled: then what is held for it is charged. */
export function mayBeMade({ batch, attempt }: Exchange, { outcome, errorCode }: Ending): boolean {
  return batch !== undefined && attempt > 0 && (outcome === 'client_gone' || outcome === 'cut' || unheard.has(errorCode ?? ''))
}
