import type { Logger } from 'pino'
import { rulesOf } from '../../access/rules.js'
import { SoakpError } from '../../errors.js'
import { isPromise, type MaybePromise } from '../../lib/maybe.js'
import type { Outbound } from '../../lib/outbound.js'
import type { List, Way } from '../../providers/resources/resource.js'
import type { KeyRecord, OwnedRecord } from '../../stores/records.js'
import type { Vault } from '../../vault/vault.js'
import { askWithKey } from '../ask-with-key.js'
import { routeOf } from '../authorize.js'
import type { Batches } from '../batches/batches.js'
import type { PlannedBatch } from '../batches/cost.js'
import type { Exchange } from '../exchange.js'
import { type ReplyHead, requestHeaders } from '../headers.js'
import { parse } from '../meter/reading.js'
import { accountHeaders } from '../outgoing.js'
import type { Learned } from './learned.js'
import { createStreamLearner, madeIn, ownedBy, type StreamLearner } from './made.js'
import { type Item, type Page, queryForNext, readPage, writePage } from './owned-list.js'
import type { OwnedStore } from './ownership.js'

/** What replies say of things that belong to somebody: what was made is written down before the client is told of it, lists are filtered, what was deleted is forgotten. */
export interface Keeping {
  /** The whole reply has to be here before any of it goes on. */
  holds(exchange: Exchange, reply: ReplyHead): boolean
  /** The reply as it goes on. `whole`: false where it is larger than `mostHeldBytes`. */
  settle(exchange: Exchange, reply: ReplyHead, body: Buffer, whole: boolean): MaybePromise<Buffer | SoakpError>
  /** For a stream that may tell of something new. */
  learner(exchange: Exchange): StreamLearner | undefined
  keep: Learned['keep']
}

export interface KeepingDeps {
  readonly store: OwnedStore
  readonly learned: Learned
  readonly batches: Pick<Batches, 'keep'>
  readonly vault: Pick<Vault, 'open'>
  readonly outbound: Outbound
  readonly log: Pick<Logger, 'error' | 'warn'>
  readonly now: () => number
}

/** A reply that is looked at as a whole is held up to here. */
export const mostHeldBytes = 32 * 1024 * 1024

/** A page that holds nothing of one's own is not the end; so many more are asked for before the list is given up. */
const mostPages = 100
const pagePatienceMs = 30_000

export function createKeeping({ store, learned, batches, vault, outbound, log, now }: KeepingDeps): Keeping {
  return {
    holds(exchange, { contentType }) {
      const { way } = exchange
      if (!way || exchange.call.request.method === 'HEAD') return false
      if (way.way.lists) return !reachesAll(exchange)
      return way.way.forgets === true || (way.way.makes !== undefined && !isStream(contentType) && isReadable(contentType))
    },

    learner(exchange) {
      const way = exchange.way?.way
      return way?.makes && !way.lists ? createStreamLearner(exchange, way, now) : undefined
    },

    keep: learned.keep,

    settle(exchange, reply, body, whole) {
      const { way } = exchange.way ?? {}
      if (!way) return body
      if (way.lists) {
        if (!whole) return new SoakpError('list_too_large')
        return filter(exchange, way, way.lists, body)
      }
      if (way.forgets) forget(exchange)
      if (!whole) log.warn({ call: exchange.call.id }, 'a reply is too large to be looked through for ids: what it made is nobody’s')
      const made = whole && way.makes ? madeIn(exchange, way, reply.headers, body, now()) : []
      if (made.length === 0) return body
      return exchange.batch && goesOn(exchange.batch, body)
        ? keptBatch(exchange, exchange.batch, made, body)
        : kept(withFacts(exchange, made), body)
    },
  }

  /** A batch is held for before anybody is told that it is there. */
  async function keptBatch(
    exchange: Exchange,
    batch: PlannedBatch,
    made: readonly OwnedRecord[],
    body: Buffer,
  ): Promise<Buffer | SoakpError> {
    try {
      await batches.keep(exchange, batch, made)
    } catch (cause) {
      return unwritten(cause)
    }
    return kept(made, body)
  }

  function kept(records: readonly OwnedRecord[], body: Buffer): Promise<Buffer | SoakpError> {
    return new Promise(resolve => {
      learned.keep(records, error => {
        if (error === undefined) resolve(body)
        else resolve(unwritten(error))
      })
    })
  }

  /** Where it fails the provider's own "not found" is what its owner gets from now on. */
  function forget({ grant, call, key, way }: Exchange): void {
    if (!grant || !key || way?.id === undefined) return
    const failed = (error: unknown) => log.error({ err: error }, 'what was deleted could not be forgotten')
    try {
      const done = store.forgetOwned({ tenant: grant.record.tenant, provider: call.provider, kind: way.kind, id: way.id, keyId: key.id })
      if (isPromise(done)) done.catch(failed)
    } catch (error) {
      failed(error)
    }
  }

  async function filter(exchange: Exchange, way: Way, list: List, body: Buffer): Promise<Buffer | SoakpError> {
    const whose = await whoseOf(exchange, list)
    const first = readPage(way, list, body)
    const found = first && (await nextWithOwn(exchange, way, list, { page: first, query: exchange.call.query }, whose))
    if (!found) return new SoakpError('provider_reply_withheld', 'It is not the list that it should be.')
    const { page, items } = found
    const more = await hasMore(exchange, way, list, found, whose)
    const told = items.flatMap(item => item.told.flatMap(({ made, value }) => ownedBy(exchange, made, value, now()) ?? []))
    const written = writePage(list, page, items, whose.total, more)
    return told.length === 0 ? written : kept(told, written)
  }

  /** From a page on, the first that holds something of one's own, or the last one. */
  async function nextWithOwn(exchange: Exchange, way: Way, list: List, from: Where, whose: Whose): Promise<FoundPage | undefined> {
    let { page, query } = from
    for (let pages = 0; ; pages++) {
      const items = page.items.filter(whose.isOwn)
      const next = items.length === 0 && whose.total > 0 ? queryForNext(list, query, page) : undefined
      if (next === undefined) return { page, query, items }
      if (pages === mostPages) throw new SoakpError('list_too_large')
      const fetched = await fetchPage(exchange, way, list, next)
      if (!fetched) return undefined
      page = fetched
      query = next
    }
  }

  /** Some SDKs take an empty last page for one with something on it; where only the provider knows what a page begins with, the next one is looked at. */
  async function hasMore(exchange: Exchange, way: Way, list: List, { page, query, items }: FoundPage, whose: Whose): Promise<boolean> {
    if (page.next === undefined || whose.total === 0 || !list.paging) return false
    const { after, before, byId } = list.paging
    const isFirst = ![after, before].some(name => name !== undefined && new URLSearchParams(exchange.call.query).has(name))
    if (isFirst && items.length === whose.total) return false
    const next = byId ? undefined : queryForNext(list, query, page)
    if (next === undefined) return true
    const behind = await fetchPage(exchange, way, list, next)
    const found = behind && (await nextWithOwn(exchange, way, list, { page: behind, query: next }, whose))
    return found !== undefined && found.items.length > 0
  }

  async function whoseOf({ grant, call, key, endpoint }: Exchange, { kind }: List): Promise<Whose> {
    const tenant = grant?.record.tenant ?? ''
    const grantId = grant?.record.id ?? ''
    const of = { tenant, provider: call.provider, kind, ...(key && { keyId: key.id }) }
    if (endpoint?.owns?.mostlyPublic) {
      const others = new Set((await store.listOwned(of)).flatMap(record => (record.grantId === grantId ? [] : [record.id])))
      return { isOwn: ({ id }: Item) => !others.has(id), total: Number.POSITIVE_INFINITY }
    }
    const own = new Set((await store.listOwned({ ...of, grantId })).map(({ id }) => id))
    return { isOwn: ({ id }: Item) => own.has(id), total: own.size }
  }

  async function fetchPage(exchange: Exchange, way: Way, list: List, query: string): Promise<Page | undefined> {
    const { call, head, key } = exchange
    if (!head || !key) return undefined
    const headers = Object.fromEntries(
      pairs([...requestHeaders(routeOf(key).provider, head, call.request.rawHeaders), ...accountHeaders(routeOf(key).provider, key)]),
    )
    const question = { method: 'GET' as const, path: call.path + query, headers, timeoutMs: pagePatienceMs, mostBytes: mostHeldBytes }
    const { status, body } = await askWithKey(key as KeyRecord, question, vault, outbound)
    return status === 200 ? readPage(way, list, Buffer.from(body)) : undefined
  }
}

/** A call that was to be put off may have been answered all the same. */
function goesOn({ isCall, batch }: PlannedBatch, body: Buffer): boolean {
  return !isCall || batch.state(parse(body)) === 'running'
}

interface Whose {
  readonly isOwn: (item: Item) => boolean
  /** How many there are in all. */
  readonly total: number
}

interface Where {
  readonly page: Page
  readonly query: string
}

interface FoundPage extends Where {
  readonly items: readonly Item[]
}

const unwritten = (cause: unknown) => new SoakpError('store_unavailable', undefined, { retryAfterSeconds: 1, cause })

/** A file of requests is kept with what they ask for. */
function withFacts({ batchFile }: Exchange, made: readonly OwnedRecord[]): readonly OwnedRecord[] {
  const sums = batchFile?.sums
  return sums ? made.map(record => (record.kind === 'file' ? { ...record, facts: JSON.stringify(sums) } : record)) : made
}

const reachesAll = ({ grant }: Exchange) => grant !== undefined && rulesOf(grant.record).reachesAll
const isStream = (contentType: string) => contentType.startsWith('text/event-stream')

/** JSON, or nothing that says what it is: a file's own content is not looked into. */
const isReadable = (contentType: string) => contentType === '' || /^[^;]*json\s*(?:;|$)/.test(contentType)

function* pairs(headers: readonly string[]): Generator<[string, string]> {
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string
    if (name !== 'accept' && name !== 'accept-encoding' && name !== 'content-type') yield [name, headers[at + 1] as string]
  }
}
