import { compileGlobs } from '../../lib/glob.js'
import { noUsage } from '../../providers/index.js'
import type { Usage } from '../../providers/provider.js'
import { type BatchHold, type BatchRecord, batchMethod, type Entry } from '../../stores/records.js'
import { assumedPrice } from '../spending/settle.js'
import type { BatchUse } from './results.js'

/** What a batch comes to: lines of the ledger, and what is used of each of its holds. */
export interface Settlement {
  readonly entries: readonly Entry[]
  readonly used: readonly number[]
}

/** Where nothing can be known any more of what a batch used: what was held for it is charged. */
export function settleUnread(batch: BatchRecord, at: number): Settlement {
  const cost = heldMoney(batch)
  return {
    used: batch.holds.map(({ amount }) => amount),
    entries: [
      entryOf(batch, 0, at, {
        model: batch.models.length === 1 ? (batch.models[0] ?? null) : null,
        outcome: 'failed',
        errorCode: 'batch_unread',
        status: 502,
        costMicroDollars: cost,
        price: cost === null ? null : assumedPrice,
      }),
    ],
  }
}

/** By what its results say. Those that say nothing are charged their part of what was held. */
export function settleRead(batch: BatchRecord, use: BatchUse, at: number): Settlement {
  const used = batch.holds.map(hold => usedOf(batch, hold, use))
  const isOver = batch.holds.some(({ amount }, index) => (used[index] ?? 0) > amount)
  const marked = isOver ? 'budget_overrun' : null
  const entries = use.models.map(({ model, usage, charge }, index) =>
    entryOf(batch, index, at, {
      model: model ?? (batch.models.length === 1 ? (batch.models[0] ?? null) : null),
      usage,
      errorCode: marked,
      costMicroDollars: charge?.microDollars ?? null,
      price: charge?.version ?? null,
    }),
  )
  const assumed = assumedFor(batch, use)
  if (use.unread > 0 || assumed > 0) {
    const isCharged = assumed > 0 ? { costMicroDollars: assumed, price: assumedPrice } : {}
    entries.push(
      entryOf(batch, entries.length, at, { model: null, outcome: 'failed', errorCode: 'batch_unread', status: 502, ...isCharged }),
    )
  }
  if (entries.length === 0) entries.push(entryOf(batch, 0, at, { model: null, costMicroDollars: null }))
  return { entries, used }
}

function heldMoney({ holds }: BatchRecord): number | null {
  const money = holds.filter(({ quantity }) => quantity === 'microDollars').map(({ amount }) => amount)
  return money.length === 0 ? null : Math.max(...money)
}

/** Of what is held, the part of those results that say nothing. */
function partOf(amount: number, { unread }: BatchUse, { requests }: BatchRecord): number {
  if (unread === 0) return 0
  return requests === null ? amount : Math.ceil((amount * Math.min(unread, requests)) / Math.max(1, requests))
}

/** What is charged beside what has a price. */
function assumedFor(batch: BatchRecord, use: BatchUse): number {
  const held = heldMoney(batch)
  if (held === null) return 0
  const known = use.models.reduce((sum, { charge }) => sum + (charge?.microDollars ?? 0), 0)
  if (use.models.some(({ charge }) => charge === undefined)) return Math.max(0, held - known)
  return Math.min(partOf(held, use, batch), Math.max(0, held - known))
}

function usedOf(batch: BatchRecord, { quantity, amount, model: glob }: BatchHold, use: BatchUse): number {
  const matches = glob === '' ? () => true : compileGlobs([glob])
  const own = use.models.filter(({ model }) => glob === '' || model === null || matches(model))
  const sum = own.reduce(
    (total, { usage, charge }) => total + (quantity === 'tokens' ? usage.inputTokens + usage.outputTokens : (charge?.microDollars ?? 0)),
    0,
  )
  const isUnpriced = quantity === 'microDollars' && own.some(({ charge }) => charge === undefined)
  if (isUnpriced) return Math.max(amount, sum)
  return sum + Math.min(partOf(amount, use, batch), Math.max(0, amount - sum))
}

type Told = Pick<Entry, 'model'> &
  Partial<Pick<Entry, 'outcome' | 'errorCode' | 'status' | 'costMicroDollars' | 'price'>> & { readonly usage?: Usage }

/** A further line of the call that made the batch. */
function entryOf(batch: BatchRecord, index: number, at: number, { usage = noUsage, ...told }: Told): Entry {
  const { callId, createdAtMs, tenant, grantId, tokenId, subject, app, keyId, provider, endpoint, address } = batch
  const { inputTokens, outputTokens, cachedInputTokens, cacheWriteInputTokens, reasoningTokens, audioInputTokens, audioOutputTokens } =
    usage
  return {
    id: callId,
    attempt: index + 2,
    final: false,
    startedAtMs: createdAtMs,
    ...{ tenant, grantId, tokenId, subject, app, keyId, provider, endpoint, address },
    method: batchMethod,
    status: 200,
    outcome: 'ok',
    errorCode: null,
    usageSource: usage === noUsage ? 'none' : 'provider',
    ...{ inputTokens, outputTokens, cachedInputTokens, cacheWriteInputTokens, reasoningTokens, audioInputTokens, audioOutputTokens },
    units: usage.units ?? 0,
    unit: usage.unit ?? null,
    costMicroDollars: null,
    price: null,
    bytesIn: 0,
    bytesOut: 0,
    durationMs: Math.max(0, at - createdAtMs),
    firstByteMs: null,
    upstreamRequestId: batch.id,
    ...told,
  }
}
