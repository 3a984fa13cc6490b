import type { SoakpError } from '../errors.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { DeliveryDeps } from './delivery.js'
import type { Exchange } from './exchange.js'
import type { ReplyHead } from './headers.js'
import { mostHeldBytes } from './owned/keeping.js'

/** An error reply is held back and looked through up to here. */
const doubtfulBytes = 64 * 1024

/** Whether nothing of the reply may go on before it was looked at: errors, and what says of things that belong to somebody. */
export function isHeld({ keeping }: DeliveryDeps, exchange: Exchange, status: number, reply: ReplyHead): boolean {
  return status >= 400 || (exchange.way !== undefined && keeping.holds(exchange, reply))
}

/** So much of it is waited for. */
export function heldBytes(status: number): number {
  return status >= 400 ? doubtfulBytes : mostHeldBytes
}

/** What goes on in the place of what was held: the very same bytes, others, an error of ours, or nothing, because the call goes out again. */
export function settleHeld(
  { judge, keeping }: DeliveryDeps,
  exchange: Exchange,
  status: number,
  reply: ReplyHead,
  body: Buffer,
): MaybePromise<Buffer | SoakpError | 'again'> {
  if (status < 400) return keeping.settle(exchange, reply, body, body.length < mostHeldBytes)
  const verdict = judge(exchange, status, reply, body)
  return isPromise(verdict) ? verdict.then(settled => settled ?? body) : (verdict ?? body)
}
