import type { Price } from '../../prices/prices.js'
import type { Conversation, SocketBound } from '../../providers/sockets/socket.js'
import type { Ahead, Amounts, Read, Worth } from './ahead.js'

type Answers = Extract<SocketBound, { by: 'answers' }>

/**
 * A conversation is billed by answers, each with all that came before it; the next one can begin whenever the provider thinks that it is time. So the hold always has room for it: what the
 * conversation was at its last report, what was sent since then and may be sent in the next minute, and an answer as long as any can be.
 */
export class AnswersAhead implements Ahead {
  readonly coversReported = false
  readonly #bound: Answers
  readonly #conversation: Conversation
  readonly #signs: readonly Buffer[]
  readonly #models: ReadonlySet<string>
  readonly #worth: Worth
  readonly #find: (model: string | null) => Price | undefined
  readonly #exchange: { readonly model: string | null }
  /** Model tokens that the client sent since the last report, and before that since the one before: an answer may have begun before they came. */
  #sent = 0
  #sentBefore = 0
  /** Of that, the last message. */
  #last = 0

  constructor(
    exchange: { readonly model: string | null },
    bound: Answers,
    models: readonly string[],
    worth: Worth,
    find: (model: string | null) => Price | undefined,
  ) {
    this.#exchange = exchange
    this.#bound = bound
    this.#conversation = bound.conversation()
    this.#signs = bound.signs.map(text => Buffer.from(text))
    this.#models = new Set(models)
    this.#worth = worth
    this.#find = find
  }

  client({ message, found, type }: Read): boolean {
    let tokens = message.length
    let output: unknown
    for (const { pointer, value, start, end } of found) {
      const media = this.#bound.media.find(({ at }) => at === pointer)
      if (media) tokens += (media.tokens ?? (end - start) / (media.bytesPerToken ?? 1)) - (end - start)
      else if (this.#bound.outputs.includes(pointer)) output = value
      else if (this.#models.has(pointer) && typeof value === 'string') this.#needTokenPrice(value)
    }
    this.#last = Math.max(0, tokens)
    this.#sent += this.#last
    this.#conversation.asked(type, output)
    return false
  }

  /** Another model that listens along is billed apart, and where that is by the second, nothing of it is in the price of the one that answers. Throws `cost_unbounded`. */
  #needTokenPrice(named: string): void {
    const model = named.replace(/^models\//, '')
    if (model !== this.#exchange.model) this.#worth({ inputTokens: 1, maxOutputTokens: 1 }, model)
  }

  takeBack(): void {
    this.#sent -= this.#last
    this.#conversation.withdrawn()
  }

  server(message: Buffer): boolean {
    if (!this.#signs.some(sign => message.includes(sign))) return false
    const heard = this.#conversation.heard(parse(message))
    if (heard === 'reported') {
      this.#sentBefore = this.#sent
      this.#sent = 0
    }
    return heard !== 'nothing'
  }

  tick(): boolean {
    return false
  }

  get #input(): number {
    const { minuteTokens } = this.#bound
    // in whole minutes, so that not every message asks for more
    const ahead = (Math.floor((this.#sent + this.#sentBefore) / minuteTokens) + 1) * minuteTokens
    return this.#atMost(this.#conversation.context + ahead)
  }

  /** Nothing is billed as input that the model cannot hold. */
  #atMost(tokens: number): number {
    return Math.min(Math.ceil(tokens), this.#find(this.#exchange.model)?.contextTokens ?? Number.POSITIVE_INFINITY)
  }

  needs(): Amounts {
    const one = this.#worth({ inputTokens: this.#input, maxOutputTokens: this.#conversation.mostOutput })
    const answers = Math.max(1, this.#conversation.open)
    // what a grant assumes is assumed of the connection
    const isPriced = this.#find(this.#exchange.model) !== undefined
    return { microDollars: one.microDollars * (isPriced ? answers : 1), tokens: one.tokens * answers }
  }

  get unreported(): number | undefined {
    const { open, context } = this.#conversation
    return open === 0 ? undefined : open * this.#atMost(context + this.#sent + this.#sentBefore)
  }

  takeOwed(): number {
    return 0
  }
}

function parse(message: Buffer): unknown {
  try {
    return JSON.parse(message.toString('utf8'))
  } catch {
    return undefined
  }
}
