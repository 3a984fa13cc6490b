import type { Logger } from 'pino'
import { rulesOf } from '../access/rules.js'
import { SoakpError } from '../errors.js'
import { compilePointers, scanJson } from '../lib/json-scan.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { Limits } from '../limits/limits.js'
import { type Batch, plainId } from '../providers/index.js'
import type { BatchRecord, OwnedRecord } from '../stores/records.js'
import type { Store } from '../stores/store.js'
import type { PlannedBatch } from './batch-cost.js'
import { createBatchFile } from './batch-file.js'
import { judgeBatch } from './batch-rules.js'
import { type BatchSums, readSums, sumInline } from './batch-sums.js'
import type { Exchange } from './exchange.js'
import { rawContentType } from './form.js'
import type { Ownership } from './ownership.js'

/** Calls that make work which is done, and paid for, later. */
export interface Batches {
  /** What is known of the work that a call makes, before it leaves. Throws or rejects where a rule refuses one of its requests, or cannot be held against it. */
  admit(exchange: Exchange): MaybePromise<void>
  /** The provider has made it: writes down whose it is and what is held for it. Rejects as the store does; then the call holds it still. */
  keep(exchange: Exchange, planned: PlannedBatch, made: readonly OwnedRecord[]): MaybePromise<void>
}

export interface BatchesDeps {
  readonly store: Pick<Store, 'findOwned' | 'keepBatch'>
  readonly limits: Pick<Limits, 'park' | 'free'>
  readonly ownership: Pick<Ownership, 'admitForm'>
  readonly log: Pick<Logger, 'warn'>
  readonly now: () => number
}

/** When it is asked for the first time. */
const firstPollMs = 60_000

export function createBatches({ store, limits, ownership, log, now }: BatchesDeps): Batches {
  return {
    admit(exchange) {
      const { endpoint, head, grant, provider } = exchange
      if (!grant || !provider || !endpoint?.owns) return
      const rules = rulesOf(grant.record)
      if (exchange.way?.way.holdsBatch && head?.contentType.startsWith('multipart/form-data') && !head.encoded) {
        exchange.batchFile = createBatchFile(rawContentType(exchange), provider, rules)
        return
      }
      const batch = batchOf(exchange)
      if (!batch) return
      const sums = seen(exchange, batch)
      return isPromise(sums) ? sums.then(found => plan(exchange, batch, found)) : plan(exchange, batch, sums)
    },

    keep(exchange, planned, made) {
      const { grant, key, hold, call } = exchange
      const id = made.find(({ kind }) => kind === exchange.way?.kind)?.id
      if (!grant || !key || id === undefined) return
      if (!plainId.test(id)) {
        log.warn({ call: call.id }, 'the provider names a batch so that it cannot be asked for: what was held for it is charged')
        return
      }
      const parked = hold && limits.park(hold)
      const failed = (error: unknown): never => {
        parked?.done(false)
        throw error
      }
      const heard = (isNew: boolean) => {
        parked?.done(isNew)
        // the provider answers a repeated call with what it has made already: that is held for
        if (!isNew && hold) limits.free(hold)
      }
      const record = recordOf(exchange, planned, id, parked?.holds ?? [], now())
      try {
        const kept = store.keepBatch(record, parked?.from)
        return isPromise(kept) ? kept.then(heard, failed) : heard(kept)
      } catch (error) {
        failed(error)
      }
    },
  }

  function plan(exchange: Exchange, batch: Batch, sums: BatchSums | undefined): MaybePromise<void> {
    exchange.batch = { batch, sums }
    judgeBatch(exchange, sums)
    const names = sums?.names ?? []
    if (names.length === 0 || !exchange.grant || rulesOf(exchange.grant.record).reachesAll) return
    return ownership.admitForm(
      exchange,
      names.map(([kind, id]) => ({ kind, id, mostlyPublic: false })),
    )
  }

  /** What is known of its requests: they stand in the body, or were seen as their file passed. */
  function seen(exchange: Exchange, batch: Batch): MaybePromise<BatchSums | undefined> {
    const body = exchange.inspected?.unread ? undefined : exchange.inspected?.original
    if (body === undefined) return undefined
    const inline = sumInline(exchange, batch, body)
    if (inline) return inline
    const id = batch.file === undefined ? undefined : textAt(body, batch.file)
    const { grant, key, call } = exchange
    if (id === undefined || !grant || !key) return undefined
    const found = store.findOwned({ tenant: grant.record.tenant, provider: call.provider, kind: 'file', id })
    // one id names one file at each key
    const ofKey = (records: readonly OwnedRecord[]) => readSums(records.find(({ keyId }) => keyId === key.id)?.facts)
    return isPromise(found) ? found.then(ofKey) : ofKey(found)
  }
}

/** Undefined: the call makes none. Where it is not known what a path means, it is taken for one that does. */
function batchOf({ way, endpoint, call }: Exchange): Batch | undefined {
  if (way) return way.way.batch
  return call.request.method === 'POST' ? endpoint?.owns?.ways.find(({ batch }) => batch !== undefined)?.batch : undefined
}

function textAt(body: Buffer, pointer: string): string | undefined {
  const scan = scanJson(body, compilePointers([pointer]))
  const values = scan.ok ? scan.found.map(({ value }) => value) : []
  return values.length === 1 && typeof values[0] === 'string' ? values[0] : undefined
}

/** Of a text that a client chose, so much is written down. */
const longest = 200

function recordOf(exchange: Exchange, { sums }: PlannedBatch, id: string, holds: BatchRecord['holds'], at: number): BatchRecord {
  const { grant, key, call, endpoint } = exchange
  if (!grant || !key) throw new SoakpError('internal', 'a batch without a grant')
  const isKnown = sums !== undefined && sums.fault === undefined
  const models = isKnown ? Object.keys(sums.models).filter(model => model !== '') : []
  return {
    keyId: key.id,
    id,
    tenant: grant.record.tenant,
    provider: call.provider,
    callId: call.id,
    path: call.path,
    endpoint: endpoint?.pattern ?? call.path.slice(0, longest),
    grantId: grant.record.id,
    tokenId: grant.token.jti,
    subject: grant.record.subject,
    app: grant.record.app?.id ?? null,
    address: call.address,
    models: models.map(model => model.slice(0, longest)),
    requests: isKnown ? sums.requests : null,
    holds,
    createdAtMs: call.startedAtMs,
    nextPollAtMs: at + firstPollMs,
    polls: 0,
    misses: 0,
    settledAtMs: null,
  }
}
