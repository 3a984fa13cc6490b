import type { Spent } from '../limits/limits.js'
import type { Charge } from '../prices/prices.js'
import type { Ending, Exchange } from './exchange.js'

/** The version of a price that nobody knows. */
const assumedPrice = 'assumed'

const nothing: Spent = {}
const nothingAtAll: Spent = { microDollars: 0, tokens: 0 }

/**
 * What a call has spent of budgets. `cost`: by the price list, where that says. A call that went through and has no price is charged what was held for it; one that was refused or
 * failed is charged nothing but what it is known to have consumed.
 */
export function spentBy({ hold }: Exchange, { status, usage }: Ending, cost: number | undefined): Spent {
  if (!hold?.hasBudgets) return nothing
  const tokens = usage ? usage.inputTokens + usage.outputTokens : undefined
  const isWork = usage !== undefined || status < 400
  return isWork ? { microDollars: cost, tokens } : nothingAtAll
}

/** What is charged for a call that no price is known for: what is held of money for it. Undefined: nothing is. */
export function heldMoney({ hold }: Exchange): Charge | undefined {
  const held = hold?.budgets.find(({ counter }) => counter.quantity === 'microDollars')
  return held && held.amount > 0 ? { microDollars: held.amount, version: assumedPrice } : undefined
}
