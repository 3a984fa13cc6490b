import { compilePointers, type Found, type Pointers, scanJson } from '../../lib/json-scan.js'
import { Lines } from '../../lib/lines.js'
import type { Charge, Prices } from '../../prices/prices.js'
import { type Batch, statedUsage, sumUsage } from '../../providers/index.js'
import type { Dialect, Usage } from '../../providers/provider.js'
import type { BatchRecord } from '../../stores/records.js'
import { parse } from '../meter/reading.js'
import { batchTier } from './cost.js'

/** What a batch used with one model. */
export interface ModelUse {
  /** As its requests named it, where that can be told; `null`: nobody said. */
  readonly model: string | null
  readonly usage: Usage
  /** Undefined: no price is known. */
  readonly charge: Charge | undefined
}

export interface BatchUse {
  readonly models: readonly ModelUse[]
  /** Results that could not be read, or that do not say what they used. */
  readonly unread: number
}

/** What is summed up before it is priced: results of one model, served in one way, of one tier of the price. */
interface Bucket {
  readonly requested: string | null
  readonly answered: string | undefined
  usage: Usage
  calls: number
  largestInput: number
}

/** A longer result is not read. */
const mostLineBytes = 32 * 1024 * 1024
const mostBuckets = 200
const longestName = 200

/** Reads results as they come, and keeps nothing of them but what they used. */
export class BatchResults {
  readonly #batch: Pick<BatchRecord, 'provider' | 'models' | 'createdAtMs'>
  readonly #prices: Pick<Prices, 'find' | 'charge'>
  readonly #dialect: Dialect
  readonly #reply: string
  readonly #isCall: boolean
  readonly #pointers: Pointers
  readonly #buckets = new Map<string, Bucket>()
  #lines = this.#newLines()
  #unread = 0

  constructor(
    record: Pick<BatchRecord, 'provider' | 'models' | 'createdAtMs'>,
    { reply, one }: Batch,
    dialect: Dialect,
    prices: Pick<Prices, 'find' | 'charge'>,
  ) {
    this.#batch = record
    this.#prices = prices
    this.#dialect = dialect
    this.#reply = reply
    this.#isCall = one !== undefined
    const names = [...dialect.usageMembers, dialect.modelMember, 'service_tier']
    this.#pointers = compilePointers([...new Set([reply, ...names.map(name => `${reply}/${name}`)])])
  }

  feed(bytes: Buffer): void {
    this.#lines.feed(bytes)
  }

  /** One file of results is over; another may follow. */
  endFile(): void {
    this.#lines.end()
    this.#lines = this.#newLines()
  }

  /** The head of a result that says there what it used. */
  takeHead(fields: readonly string[]): void {
    const usage = statedUsage(this.#dialect.usageHeaders ?? {}, fields)
    if (usage) this.#add(usage, undefined)
    else this.#unread++
  }

  #newLines(): Lines {
    return new Lines(mostLineBytes, {
      line: bytes => {
        if (bytes.some(byte => byte > 0x20)) this.#take(bytes)
      },
      tooLong: () => {
        this.#unread++
      },
    })
  }

  #take(line: Buffer): void {
    const scan = scanJson(line, this.#pointers)
    if (!scan.ok) {
      this.#unread++
      return
    }
    // what failed has no reply, and is billed with nothing
    if (!scan.found.some(({ pointer, value }) => pointer === this.#reply && value === undefined)) return
    const reply = this.#replyOf(scan.found, line)
    const usage = this.#dialect.readUsage(reply, undefined)
    const model = reply[this.#dialect.modelMember]
    if (usage) this.#add(usage, typeof model === 'string' ? model.slice(0, longestName) : undefined)
    else if (!('error' in reply)) this.#unread++
  }

  /** As much of the reply as says what it used. */
  #replyOf(found: readonly Found[], line: Buffer): Record<string, unknown> {
    const reply: Record<string, unknown> = {}
    for (const { pointer, value, start, end } of found) {
      if (pointer === this.#reply) continue
      reply[pointer.slice(this.#reply.length + 1)] = value === undefined ? parse(line.subarray(start, end)) : value
    }
    return reply
  }

  #add(usage: Usage, answered: string | undefined): void {
    const requested = requestedAs(answered, this.#batch.models)
    const tier = this.#isCall ? usage.tier : tierOf(usage)
    const largest = usage.largestInput ?? usage.inputTokens
    const bracket = this.#bracket(requested ?? answered ?? null, largest)
    const name = JSON.stringify([requested, answered, tier, bracket])
    const bucket = this.#buckets.get(name)
    if (bucket) {
      bucket.usage = servedAs(tier, sumUsage(bucket.usage, usage) ?? usage)
      bucket.calls++
      bucket.largestInput = Math.max(bucket.largestInput, largest)
    } else if (this.#buckets.size >= mostBuckets) this.#unread++
    else this.#buckets.set(name, { requested, answered, usage: servedAs(tier, usage), calls: 1, largestInput: largest })
  }

  /** Where the price goes by the size of the input: which size it is. */
  #bracket(model: string | null, inputTokens: number): number {
    const tiers = this.#prices.find(this.#batch.provider, model, this.#batch.createdAtMs)?.tiers ?? []
    return tiers.filter(({ above }) => inputTokens > above).length
  }

  /** Once all files have been read. */
  get use(): BatchUse {
    const models = new Map<string | null, ModelUse>()
    for (const bucket of this.#buckets.values()) {
      const model = bucket.requested ?? bucket.answered ?? null
      const known = models.get(model)
      const charge = this.#chargeOf(bucket)
      const usage = sumUsage(known?.usage, bucket.usage) ?? bucket.usage
      models.set(model, { model, usage, charge: known ? both(known.charge, charge) : charge })
    }
    return { models: [...models.values()], unread: this.#unread }
  }

  #chargeOf({ requested, answered, usage, calls, largestInput }: Bucket): Charge | undefined {
    const billed = { provider: this.#batch.provider, requested, answered, at: this.#batch.createdAtMs }
    const use = { ...usage, calls, largestInput }
    const { tier: _, ...usual } = use
    // where nobody knows what a provider takes off for batches, the usual price
    return this.#prices.charge(billed, use) ?? this.#prices.charge(billed, usual)
  }
}

function both(a: Charge | undefined, b: Charge | undefined): Charge | undefined {
  return a && b && { microDollars: a.microDollars + b.microDollars, version: a.version }
}

function servedAs(tier: string | undefined, { tier: _, ...usage }: Usage): Usage {
  return tier === undefined ? usage : { ...usage, tier }
}

/** All of a batch is served as one, whether each result says so or not. */
function tierOf({ tier }: Usage): string {
  const others = (tier ?? '').split('+').filter(part => part !== '' && part !== batchTier && part !== 'flex')
  return [...others, batchTier].join('+')
}

/** Providers answer with a model's full name: which of those asked for it is. */
function requestedAs(answered: string | undefined, models: readonly string[]): string | null {
  if (models.length === 1) return models[0] as string
  if (answered === undefined) return null
  if (models.includes(answered)) return answered
  const begun = models.filter(model => answered.startsWith(`${model}-`)).sort((a, b) => b.length - a.length)
  return begun[0] ?? null
}
