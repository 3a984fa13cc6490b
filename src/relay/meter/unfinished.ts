import type { Exchange } from '../exchange.js'
import type { Metered } from './meter.js'

/**
 * So many model tokens a second an answer is taken to grow, by whoever writes it: about what the large services do. What is thought and not shown, and what was written before
 * anybody read it, is billed as what is read is.
 */
const tokensPerSecond = 100
/** Of an answer that may be of any length. */
const mostUnstated = 4096

/**
 * What a call consumed that its client left before the provider had said so: at least what the time it took makes likely, at most what it asked for. Else whoever leaves in time could have work
 * done for nothing. `at`: on the clock of `Exchange.sentAt`.
 */
export function unfinished(exchange: Exchange, metered: Metered, at: number): Metered {
  const { endpoint, inspected, sentAt } = exchange
  const { usage, source } = metered
  if (!usage || source !== 'estimated' || usage.units !== undefined || endpoint?.estimate !== true || !inspected) return metered
  const choices = Math.max(1, inspected.choices ?? 1)
  const likely = Math.ceil(((at - sentAt) / 1000) * tokensPerSecond)
  const outputTokens = Math.max(usage.outputTokens, Math.min(likely, inspected.maxOutput ?? mostUnstated) * choices)
  return { ...metered, usage: { ...usage, outputTokens } }
}
