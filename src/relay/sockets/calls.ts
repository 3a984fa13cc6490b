import { SoakpError } from '../../errors.js'
import type { AtMost, Price } from '../../prices/prices.js'
import { dialectOf, type Exchange } from '../exchange.js'
import { mostInputTokens } from '../spending/worst-input.js'
import type { Ahead, Amounts, Read, Worth } from './ahead.js'

interface OpenCall {
  readonly most: AtMost | undefined
  readonly amounts: Amounts
  readonly isPriced: boolean
  /** The provider has begun it. */
  hasBegun: boolean
}

const signs = ['"response.created"', 'response.completed"', 'response.incomplete"', 'response.failed"', '"error"'].map(text =>
  Buffer.from(text),
)

/** Replies that a later call may go on from, of which it is known how long they are. */
const remembered = 200

/** OpenAI's Responses over a socket: each `response.create` is a call, answered one after the other (https://platform.openai.com/docs/guides/websocket-mode). */
export class CallsAhead implements Ahead {
  readonly coversReported = false
  readonly #exchange: Exchange
  readonly #worth: Worth
  readonly #find: (model: string | null) => Price | undefined
  readonly #open: OpenCall[] = []
  /** Calls that the provider seemed to have refused: it does not say which call an error is about. */
  #dropped: OpenCall[] = []
  /** Model tokens of replies on this connection, their own input included. */
  readonly #replies = new Map<string, number>()
  #owed = 0

  constructor(exchange: Exchange, worth: Worth, find: (model: string | null) => Price | undefined) {
    this.#exchange = exchange
    this.#worth = worth
    this.#find = find
  }

  client({ message, works, outputs, model }: Read): boolean {
    if (!works) throw new SoakpError('cost_unbounded', 'It is not known what a message of this type does.')
    const named = model ?? this.#exchange.model
    const price = this.#find(named)
    const inputTokens = this.#input(message, price)
    const most = inputTokens === undefined ? undefined : { inputTokens, maxOutputTokens: outputOf(outputs) }
    this.#open.push({ most, amounts: this.#worth(most, named), isPriced: price !== undefined, hasBegun: false })
    return true
  }

  /** What the message brings in itself, and what the reply that it goes on from was: as much as the model can hold, where that is not known. */
  #input(message: Buffer, price: Price | undefined): number | undefined {
    const event = JSON.parse(message.toString('utf8'))
    let before = 0
    for (const body of [event, event.response]) {
      const id: unknown = body?.previous_response_id
      if (id === undefined || id === null) continue
      before += this.#replies.get(String(id)) ?? price?.contextTokens ?? Number.POSITIVE_INFINITY
      delete body.previous_response_id
    }
    const own = mostInputTokens(Buffer.from(JSON.stringify(event)), dialectOf(this.#exchange)?.name ?? '')
    const input = own === undefined ? Number.POSITIVE_INFINITY : Math.min(own + before, Math.max(own, price?.contextTokens ?? own + before))
    return Number.isFinite(input) ? input : undefined
  }

  takeBack(): void {
    this.#open.pop()
  }

  server(message: Buffer): boolean {
    if (!signs.some(sign => message.includes(sign))) return false
    const event = parse(message)
    switch (event?.type) {
      case 'response.created':
        this.#begin()
        return true
      case 'error':
        return this.#fail()
      case 'response.completed':
      case 'response.incomplete':
        this.#end(event.response, true)
        return true
      case 'response.failed':
        this.#end(event.response, false)
        return true
      default:
        return false
    }
  }

  #begin(): void {
    const call = this.#open.find(({ hasBegun }) => !hasBegun)
    if (call) call.hasBegun = true
    else {
      // the error was about something else
      const [dropped] = this.#dropped.splice(0, 1)
      if (dropped) this.#open.push({ ...dropped, hasBegun: true })
    }
  }

  #fail(): boolean {
    const at = this.#open.findIndex(({ hasBegun }) => !hasBegun)
    if (at < 0) return false
    this.#dropped = [...this.#dropped.slice(-9), ...this.#open.splice(at, 1)]
    return true
  }

  /** `isBilled`: whether or not its counts were told. */
  #end(response: unknown, isBilled: boolean): void {
    const at = this.#open.findIndex(({ hasBegun }) => hasBegun)
    const [call] = this.#open.splice(Math.max(0, at), 1)
    const { id, usage } = (response ?? {}) as { id?: unknown; usage?: { input_tokens?: unknown; output_tokens?: unknown } | null }
    const told = typeof usage?.input_tokens === 'number'
    if (call && isBilled && (!told || !call.isPriced)) this.#owed += call.amounts.microDollars
    if (typeof id !== 'string' || !told) return
    this.#replies.set(id, Number(usage?.input_tokens) + (Number(usage?.output_tokens) || 0))
    if (this.#replies.size <= remembered) return
    const [oldest] = this.#replies.keys()
    if (oldest !== undefined) this.#replies.delete(oldest)
  }

  tick(): boolean {
    return false
  }

  needs(): Amounts {
    let microDollars = this.#owed
    let tokens = 0
    for (const { amounts } of this.#open) {
      microDollars += amounts.microDollars
      tokens += amounts.tokens
    }
    return { microDollars, tokens }
  }

  get unreported(): number | undefined {
    const priced = this.#open.filter(({ isPriced }) => isPriced)
    return priced.length === 0 ? undefined : priced.reduce((sum, { most }) => sum + (most?.inputTokens ?? 0), 0)
  }

  takeOwed(isLast: boolean): number {
    const owed = this.#owed
    this.#owed = 0
    return isLast ? this.#open.reduce((sum, call) => (call.isPriced ? sum : sum + call.amounts.microDollars), owed) : owed
  }
}

/** The largest of what is stated, if all of it is plain counts; undefined: as long as the model can. */
function outputOf(outputs: readonly unknown[]): number | undefined {
  let most: number | undefined
  for (const value of outputs) {
    if (typeof value !== 'number' || !(value >= 1)) return undefined
    most = Math.max(most ?? 0, Math.ceil(value))
  }
  return most
}

interface Event {
  readonly type?: unknown
  readonly response?: unknown
}

function parse(message: Buffer): Event | undefined {
  try {
    const event: unknown = JSON.parse(message.toString('utf8'))
    return typeof event === 'object' && event !== null ? event : undefined
  } catch {
    return undefined
  }
}
