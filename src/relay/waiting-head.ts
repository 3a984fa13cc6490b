import type { ServerResponse } from 'node:http'
import { formatDollars } from '../lib/money.js'
import type { UsageSource } from '../stores/records.js'
import { isWhole } from './call.js'
import type { Exchange } from './exchange.js'
import { assumedPrice } from './spending/settle.js'

/** What the call cost, in dollars as people write them: in the head of a reply that comes in one piece, else in the trailer section of one whose length is not known beforehand. */
const costHeader = 'x-soakp-cost-usd'

/** The head of a reply, kept back for the moment in which its body may come whole: then it can tell what only the whole tells. */
export class WaitingHead {
  readonly #exchange: Exchange
  readonly #status: number
  readonly #headers: string[]
  #isSent = false
  #announced = false

  /** `headers`: names and values in turn. */
  constructor(exchange: Exchange, status: number, headers: string[]) {
    this.#exchange = exchange
    this.#status = status
    this.#headers = headers
  }

  get isSent(): boolean {
    return this.#isSent
  }

  /** The body is late, or goes on. `isOpenEnded`: its length is not known. */
  send(isOpenEnded: boolean): void {
    if (this.#isSent) return
    if (isOpenEnded && takesTrailers(this.#exchange, this.#status)) {
      this.#headers.push('trailer', costHeader)
      this.#announced = true
    }
    this.#write()
  }

  /** The body has come and the call is recorded: says what it cost, if there is still a place for it. Only the last piece of the body may follow. */
  conclude(source: UsageSource): void {
    if (this.#isSent && !this.#announced) return
    const cost = statedCost(this.#exchange, source)
    if (!this.#isSent) {
      if (cost !== undefined) this.#headers.push(costHeader, cost)
      this.#write()
    } else if (cost !== undefined) this.#response.addTrailers({ [costHeader]: cost })
  }

  get #response(): ServerResponse {
    return this.#exchange.call.response as ServerResponse
  }

  #write(): void {
    this.#isSent = true
    this.#response.writeHead(this.#status, this.#headers)
  }
}

/** Undefined: the provider did not say what was consumed, or nobody knows what that costs. */
function statedCost({ charge }: Exchange, source: UsageSource): string | undefined {
  return charge === undefined || charge.version === assumedPrice || source !== 'provider' ? undefined : formatDollars(charge.microDollars)
}

/** Whether the client says that it reads trailers (RFC 9110, section 10.1.4), and its reply can have some. */
function takesTrailers({ call: { request } }: Exchange, status: number): boolean {
  // what came in one piece had no `TE`
  if (isWhole(request)) return false
  const { te } = request.headers
  if (typeof te !== 'string' || request.method === 'HEAD' || status === 204 || status === 304 || request.httpVersion === '1.0') return false
  return te.split(',').some(coding => coding.trim().toLowerCase() === 'trailers')
}
