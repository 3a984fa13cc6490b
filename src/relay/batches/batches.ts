import type { Logger } from 'pino'
import { type Rules, rulesOf } from '../../access/rules.js'
import { SoakpError } from '../../errors.js'
import { isPromise, type MaybePromise } from '../../lib/maybe.js'
import type { Limits } from '../../limits/limits.js'
import { type Batch, plainId } from '../../providers/index.js'
import type { Provider } from '../../providers/provider.js'
import type { BatchRecord, OwnedRecord } from '../../stores/records.js'
import type { Store } from '../../stores/store.js'
import { rawContentType } from '../body/form.js'
import type { Exchange } from '../exchange.js'
import type { Ownership } from '../owned/ownership.js'
import type { PlannedBatch } from './cost.js'
import { createBatchFile } from './file.js'
import { callOf, type ItemCall } from './item.js'
import { type BatchJob, readJob, sumOfAll, textsAt, withJob } from './job.js'
import { judgeBatch } from './rules.js'
import { type BatchSums, readSums, sumInline } from './sums.js'

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

/** When it is asked for the first time. A single call may have ended soon. */
const firstPollMs = 60_000
const firstPollOfCallMs = 10_000

export function createBatches({ store, limits, ownership, log, now }: BatchesDeps): Batches {
  return {
    admit(exchange) {
      const { endpoint, head, grant, provider } = exchange
      if (!grant || !provider || !endpoint?.owns) return
      const single = endpoint.owns.ways.find(way => way.batch?.one !== undefined)?.batch
      if (single) {
        if (exchange.inspected?.putOff || single.one?.by === undefined) exchange.batch = { batch: single, sums: undefined, isCall: true }
        return
      }
      const rules = rulesOf(grant.record)
      if (exchange.way?.way.holdsBatch && head?.contentType.startsWith('multipart/form-data') && !head.encoded) {
        exchange.batchFile = createBatchFile(rawContentType(exchange), provider, rules)
        return
      }
      const batch = batchOf(exchange)
      if (!batch) {
        // work that is added to a batch, in a way that is not known: what no rule depends on may go
        if (mayAddWork(exchange)) judgeBatch(exchange, undefined)
        return
      }
      const sums = seen(exchange, batch, provider, rules)
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

  /** What is known of its requests: they stand in the body, or were seen as their files passed. */
  function seen(exchange: Exchange, batch: Batch, provider: Provider, rules: Rules): MaybePromise<BatchSums | undefined> {
    const body = exchange.inspected?.unread ? undefined : exchange.inspected?.original
    if (body === undefined) return undefined
    const { path } = exchange.call
    const job = readJob(batch, provider, path, body)
    const files = textsAt(body, batch.file)
    const inline = batch.inline && sumInline(batch.inline, inlineCall(batch, job, provider, path), body, rules)
    // of which of both the provider would make it, nobody knows
    if (inline) return files.length > 0 ? undefined : withJob(inline, job)
    const found = files.map(id => seenFile(exchange, id))
    const ofAll = (all: readonly (readonly OwnedRecord[])[]) => {
      // one id names one file at each key
      const sums = sumOfAll(all.map(records => readSums(records.find(({ keyId }) => keyId === exchange.key?.id)?.facts)))
      return sums && withJob(sums, job)
    }
    if (found.some(isPromise)) return Promise.all(found).then(ofAll)
    return ofAll(found as (readonly OwnedRecord[])[])
  }

  function seenFile({ grant, call }: Exchange, id: string): MaybePromise<readonly OwnedRecord[]> {
    return store.findOwned({ tenant: grant?.record.tenant ?? '', provider: call.provider, kind: 'file', id })
  }
}

/** Which call each request in the body stands for. */
function inlineCall({ tail, inline }: Batch, job: BatchJob, provider: Provider, path: string): ItemCall {
  if (inline?.path !== undefined) return callOf(provider, 'POST', path.replace(tail, '') + inline.path)
  return job.endpoint ?? callOf(provider, 'POST', '')
}

/** Undefined: the call makes none. Where it is not known what a path means, it is taken for one that does. */
function batchOf({ way, endpoint, call }: Exchange): Batch | undefined {
  if (way) return way.way.batch
  return call.request.method === 'POST' ? endpoint?.owns?.ways.find(({ batch }) => batch !== undefined)?.batch : undefined
}

function mayAddWork({ way, endpoint, call }: Exchange): boolean {
  return call.request.method === 'POST' && way?.way.free !== true && endpoint?.owns?.ways.some(({ batch }) => batch !== undefined) === true
}

/** Services with dated versions are asked for the same one. */
function versionIn(query: string): string {
  const version = query === '' ? null : new URLSearchParams(query).get('api-version')
  return version === null ? '' : `?api-version=${encodeURIComponent(version.slice(0, 40))}`
}

/** Of a text that a client chose, so much is written down. */
const longest = 200

function recordOf(exchange: Exchange, { sums, isCall }: PlannedBatch, id: string, holds: BatchRecord['holds'], at: number): BatchRecord {
  const { grant, key, call, endpoint, model } = exchange
  if (!grant || !key) throw new SoakpError('internal', 'a batch without a grant')
  const isKnown = sums !== undefined && sums.fault === undefined
  const ofCall = isCall && model !== null ? [model] : []
  const models = isKnown ? Object.keys(sums.models).filter(model => model !== '') : ofCall
  return {
    keyId: key.id,
    id,
    tenant: grant.record.tenant,
    provider: call.provider,
    callId: call.id,
    path: call.path + versionIn(call.query),
    endpoint: endpoint?.pattern ?? call.path.slice(0, longest),
    grantId: grant.record.id,
    tokenId: grant.token.jti,
    subject: grant.record.subject,
    app: grant.record.app?.id ?? null,
    address: call.address,
    models: models.map(model => model.slice(0, longest)),
    requests: isKnown ? sums.requests : isCall ? 1 : null,
    holds,
    createdAtMs: call.startedAtMs,
    nextPollAtMs: at + (isCall ? firstPollOfCallMs : firstPollMs),
    polls: 0,
    misses: 0,
    settledAtMs: null,
  }
}
