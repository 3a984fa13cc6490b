import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import { SoakpError } from '../../errors.js'
import type { Outbound } from '../../lib/outbound.js'
import type { Limits } from '../../limits/limits.js'
import type { Prices } from '../../prices/prices.js'
import { type Batch, findBatch } from '../../providers/index.js'
import type { Dialect } from '../../providers/provider.js'
import type { BatchRecord, KeyRecord } from '../../stores/records.js'
import type { Store } from '../../stores/store.js'
import type { Vault } from '../../vault/vault.js'
import { askWithKey } from '../ask-with-key.js'
import { routeOf } from '../authorize.js'
import { parse } from '../meter/reading.js'
import { accountHeaders } from '../outgoing.js'
import { retryAfterMs } from '../retry-after.js'
import { BatchResults, type BatchUse } from './results.js'
import { type Settlement, settleRead, settleUnread } from './settle.js'

/** Asks providers how the batches stand that were made through soakp, and settles those that have ended: once, whoever reads their results, and whether anybody does. */
export interface BatchPoller {
  start(): void
  /** What is under way is left for whoever polls next. */
  stop(): Promise<void>
}

export interface BatchPollerDeps {
  readonly store: Pick<Store, 'leaseBatches' | 'putBatchOff' | 'settleBatch' | 'pruneBatches' | 'getKey'>
  readonly vault: Pick<Vault, 'open'>
  readonly outbound: Outbound
  readonly prices: Pick<Prices, 'find' | 'charge'>
  readonly limits: Pick<Limits, 'forget'>
  readonly log: Pick<Logger, 'info' | 'warn'>
  readonly now: () => number
}

/** Looking what is due costs one indexed read. */
const restMs = 2000
const atOnce = 4
/** Longer than a reading may take; after a crash of this process the next one does not wait for it. */
const leaseMs = 3_600_000
const askMs = 60_000
const readMs = 1_800_000
const mostStateBytes = 1024 * 1024
/** Where results stand in it. */
const mostRepliedBytes = 64 * 1024 * 1024
/** No provider works on a batch for longer, and none keeps results for much longer. */
const mostAgeMs = 32 * 86_400_000
/** A provider that says nothing of a batch is asked for so long; one that does not know it, so often. */
const mostSilenceMs = 7 * 86_400_000
const mostUnknown = 6
const keptMs = 70 * 86_400_000
const pruneEveryMs = 600_000

/** Minutes between two questions, growing with each: 1, 1.5, 2.25 … 15. */
function pollDelayMs(polls: number): number {
  return Math.min(900_000, Math.round(60_000 * 1.5 ** Math.min(polls, 20)))
}

/** What came of asking. `later`: it goes on, or could not be told; `unknown`: the provider does not know it. */
type Heard =
  | { readonly kind: 'ended'; readonly use: BatchUse }
  | { readonly kind: 'lost'; readonly why: string }
  | { readonly kind: 'later' | 'silent' | 'unknown'; readonly waitMs?: number | undefined; readonly why?: string }

export function createBatchPoller({ store, vault, outbound, prices, limits, log, now }: BatchPollerDeps): BatchPoller {
  const holder = randomBytes(12).toString('base64url')
  const ending = new AbortController()
  const open = new Set<Promise<void>>()
  let timer: NodeJS.Timeout | undefined
  let looking: Promise<void> | undefined
  let isStarted = false
  let prunedAtMs = 0
  let hasFailed = false

  async function look(): Promise<void> {
    try {
      const at = now()
      if (open.size < atOnce) for (const batch of await store.leaseBatches(holder, at, at + leaseMs, atOnce - open.size)) work(batch)
      if (at - prunedAtMs >= pruneEveryMs) {
        prunedAtMs = at
        await store.pruneBatches(at - keptMs, 1000)
      }
      hasFailed = false
    } catch (error) {
      if (!hasFailed) log.warn({ err: error }, 'batches could not be looked after; it is tried again')
      hasFailed = true
    }
    schedule()
  }

  function schedule(): void {
    if (ending.signal.aborted) return
    timer = setTimeout(() => {
      looking = look()
    }, restMs)
    timer.unref()
  }

  function work(batch: BatchRecord): void {
    const done = handle(batch)
      .catch(async error => {
        log.warn({ err: error, batch: batch.id }, 'a batch could not be looked after; it is tried again')
        await store.putBatchOff(batch, holder, { ...batch, nextPollAtMs: now() + pollDelayMs(0) })
      })
      // then the lease has to end first
      .catch(() => {})
      .finally(() => open.delete(done))
    open.add(done)
  }

  async function handle(batch: BatchRecord): Promise<void> {
    const heard = await ask(batch)
    if (ending.signal.aborted) {
      await store.putBatchOff(batch, holder, batch)
      return
    }
    if (heard.kind === 'ended') return settle(batch, settleRead(batch, heard.use, now()))
    if (heard.kind === 'lost' || isGivenUp(batch, heard.kind, now())) {
      log.warn(
        { batch: batch.id, call: batch.callId, why: heard.why },
        'what a batch used cannot be known: what was held for it is charged',
      )
      return settle(batch, settleUnread(batch, now()))
    }
    const polls = batch.polls + 1
    const misses = heard.kind === 'later' ? 0 : batch.misses + 1
    const waitMs = Math.max(pollDelayMs(polls), heard.waitMs ?? 0)
    await store.putBatchOff(batch, holder, { nextPollAtMs: now() + waitMs, polls, misses })
  }

  async function settle(batch: BatchRecord, { entries, used }: Settlement): Promise<void> {
    const isSettled = await store.settleBatch(batch, holder, entries, used, now())
    limits.forget(batch.holds.map(({ counter }) => counter))
    if (isSettled) log.info({ batch: batch.id, call: batch.callId }, 'a batch is settled')
  }

  async function ask(batch: BatchRecord): Promise<Heard> {
    const key = await store.getKey(batch.keyId)
    if (!key) return { kind: 'lost', why: 'its key was removed' }
    if (key.state !== 'active') return { kind: 'silent', why: 'its key is disabled' }
    const found = findBatch(routeOf(key).provider, batch.path.split('?', 1)[0] ?? '')
    if (!found) return { kind: 'lost', why: 'nothing is known of such batches' }
    try {
      return await read(batch, key, found.batch, found.dialect)
    } catch (error) {
      const code = error instanceof SoakpError ? error.code : ((error as NodeJS.ErrnoException).code ?? (error as Error).name)
      return { kind: 'silent', why: code }
    }
  }

  async function read(record: BatchRecord, key: KeyRecord, batch: Batch, dialect: Dialect): Promise<Heard> {
    const [where = '', version] = record.path.split('?')
    const prefix = where.replace(batch.tail, '')
    const query = version === undefined ? '' : `?${version}`
    const headers = Object.fromEntries(pairs(accountHeaders(routeOf(key).provider, key)))
    const get = (path: string, timeoutMs: number, take?: (piece: Buffer) => void) =>
      askWithKey(
        key,
        {
          ...{ method: 'GET', path: path + query, headers, timeoutMs, signal: ending.signal },
          ...(take ? { take, mostBytes: Number.POSITIVE_INFINITY } : { mostBytes: batch.inReply ? mostRepliedBytes : mostStateBytes }),
        },
        vault,
        outbound,
      )
    const state = await get(prefix + batch.ask(record.id), askMs)
    // some say 202 of what goes on
    if (state.status !== 200 && state.status !== 202) return turnedAway(state)
    const reply = parse(state.body)
    const stands = batch.state(reply)
    if (stands !== 'ended') return stands === 'running' ? { kind: 'later' } : { kind: 'silent', why: 'its reply is no such state' }
    const results = new BatchResults(record, batch, dialect, prices)
    for (const path of batch.results(record.id, reply, prefix)) {
      const answer = await get(path, readMs, piece => batch.inHead || results.feed(piece))
      if (answer.status !== 200) return turnedAway(answer)
      if (batch.inHead) results.takeHead(answer.fields)
      else results.endFile()
    }
    for (const result of batch.inReply?.(reply) ?? []) results.feed(Buffer.from(`${JSON.stringify(result)}\n`))
    return { kind: 'ended', use: results.use }
  }

  function turnedAway({ status, retryAfter }: { readonly status: number; readonly retryAfter: string }): Heard {
    const waitMs = retryAfterMs(['retry-after', retryAfter], now())
    return { kind: status === 404 || status === 410 ? 'unknown' : 'silent', waitMs, why: `the provider answered ${status}` }
  }

  return {
    start() {
      if (isStarted) return
      isStarted = true
      schedule()
    },
    async stop() {
      ending.abort()
      clearTimeout(timer)
      await looking
      await Promise.all(open)
    },
  }
}

function isGivenUp({ createdAtMs, misses }: BatchRecord, kind: 'later' | 'silent' | 'unknown', at: number): boolean {
  const age = at - createdAtMs
  if (kind === 'unknown') return misses + 1 >= mostUnknown
  return age > mostAgeMs || (kind === 'silent' && misses > 0 && age > mostSilenceMs)
}

function* pairs(headers: readonly string[]): Generator<[string, string]> {
  for (let at = 0; at < headers.length; at += 2) yield [headers[at] as string, headers[at + 1] as string]
}
