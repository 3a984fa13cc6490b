import { rulesOf } from '../access/rules.js'
import { SoakpError } from '../errors.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { Outbound } from '../lib/outbound.js'
import type { Secret } from '../lib/secret.js'
import type { KeyRecord } from '../stores/records.js'
import type { Vault } from '../vault/vault.js'
import { goWith, routeOf } from './authorize.js'
import { createForm } from './body/form.js'
import { isRuledForm } from './body/inspect.js'
import { createUpload } from './body/upload.js'
import { Delivery, type DeliveryDeps } from './delivery.js'
import type { Ending, Exchange } from './exchange.js'
import type { ReplyHead } from './headers.js'
import { restName } from './keys/choose.js'
import type { Failover } from './keys/failover.js'
import { Kept, mostKeptBytes } from './keys/keep.js'
import type { Rests } from './keys/rests.js'
import { keyRejected, type ReadTurnedAway } from './keys/turned-away.js'
import type { TellVerdict } from './keys/verdicts.js'
import { echoes } from './leaks.js'
import { forward } from './outgoing.js'
import type { Keeping } from './owned/keeping.js'
import type { Ownership } from './owned/ownership.js'
import type { Book } from './record.js'
import { toSoakpError } from './refuse.js'
import type { Admission } from './spending/admission.js'
import type { Watch } from './spending/watch.js'

/** Sends calls that were judged, once more where that is safe, and says which replies may be shown. */
export interface Attempts {
  /** Opens the key and sends the call; from there on its delivery has it. Throws `client_gone`, `key_unreadable`. */
  start(exchange: Exchange, key: KeyRecord): void
  /** False where this key's provider refused to be asked for usage in a stream. */
  mayAskUsage(exchange: Exchange): boolean
}

export interface AttemptsDeps {
  readonly vault: Pick<Vault, 'open'>
  readonly outbound: Outbound
  readonly book: Pick<Book, 'record' | 'recordAttempt' | 'refuse'>
  readonly rests: Rests
  readonly failover: Failover
  readonly admission: Pick<Admission, 'changeKey'>
  readonly watch: Watch
  readonly tellVerdict: TellVerdict
  readonly turnedAway: ReadTurnedAway
  readonly keeping: Keeping
  readonly ownership: Ownership
  /** How long the client may leave its reply unread. */
  readonly patienceMs: number
  /** How long the client may take for its next piece of a body. */
  readonly uploadPatienceMs: number
  /** A steady clock, in milliseconds. */
  readonly clock: () => number
}

type UploadWait = Pick<AttemptsDeps, 'uploadPatienceMs' | 'clock' | 'ownership'>

export function createAttempts(deps: AttemptsDeps): Attempts {
  const { vault, outbound, book, rests, failover, admission, watch, tellVerdict, turnedAway, patienceMs, uploadPatienceMs, clock } = deps
  const wait = { uploadPatienceMs, clock, ownership: deps.ownership }
  /** Keys whose provider refused to be asked for usage, with the endpoint. */
  const neverAsk = new Set<string>()
  const deliveries: DeliveryDeps = {
    patienceMs,
    clock,
    judge,
    keeping: deps.keeping,
    watch,
    refuse(exchange, error) {
      const next = nextAfter(exchange, error)
      if (isPromise(next)) next.then(key => goOn(exchange, key, error))
      else goOn(exchange, next, error)
    },
    record(exchange, ending, done) {
      const { key } = exchange
      if (key && ending.status < 400) {
        // what costs nothing says nothing of what may still be spent
        if (key.spentAtMs !== null && exchange.endpoint?.estimate !== undefined) tellVerdict(key, 'works')
        else if (key.rejectedAtMs !== null) tellVerdict({ ...key, spentAtMs: null }, 'works')
        if (!rests.isEmpty) rests.worked(key, restName(exchange), exchange.call.startedAtMs)
      }
      // only what then went well was refused for that: else any client could end the asking by what it sends
      if (ending.status < 400 && exchange.inspected?.refusedToTell) neverAsk.add(askName(exchange))
      book.record(exchange, ending, done)
    },
  }

  function start(exchange: Exchange, key: KeyRecord): void {
    if (exchange.stopped) throw new SoakpError('client_gone')
    exchange.attempt++
    const secret = vault.open(key)
    if (isPromise(secret)) secret.then(opened => leave(exchange, key, opened)).catch(error => book.refuse(exchange, toSoakpError(error)))
    else leave(exchange, key, secret)
  }

  function leave(exchange: Exchange, key: KeyRecord, secret: Secret): void {
    if (exchange.stopped) {
      secret.wipe()
      throw new SoakpError('client_gone')
    }
    const delivery = new Delivery(exchange, deliveries)
    exchange.sentAt = clock()
    // before a later attempt the time was the provider's
    if (exchange.attempt === 1) exchange.overheadMs = exchange.sentAt - exchange.startedAt
    delivery.attach(forward(exchange, key, secret, bodyOf(exchange, delivery, wait), outbound, delivery))
  }

  /** Sends the call once more. What came of it so far goes into the ledger as an attempt of its own. */
  function again(exchange: Exchange, key: KeyRecord, soFar: Ending): void {
    if (exchange.recorded) return
    book.recordAttempt(exchange, soFar)
    const left = exchange.key
    goWith(exchange, key)
    exchange.upstreamRequestId = null
    try {
      const admitted = admission.changeKey(exchange, left, key)
      if (admitted) admitted.then(() => start(exchange, key)).catch(error => book.refuse(exchange, toSoakpError(error)))
      else start(exchange, key)
    } catch (error) {
      book.refuse(exchange, toSoakpError(error))
    }
  }

  /** The key for another attempt after one that brought no reply. */
  function nextAfter(exchange: Exchange, error: SoakpError): MaybePromise<KeyRecord | undefined> {
    if (error.code === 'provider_unreachable') {
      // the provider never saw it: with a key that leads to another host, or once more on a connection of its own
      if (!exchange.rivals) return sameKeyAgain(exchange)
      if (exchange.key) rests.rest(exchange.key, '', 0, undefined)
      const next = failover.next(exchange, true)
      return isPromise(next) ? next.then(key => key ?? sameKeyAgain(exchange)) : (next ?? sameKeyAgain(exchange))
    }
    // whoever issues tokens for the key refused it
    if (error.code === 'provider_key_rejected' && exchange.key) {
      tellVerdict(exchange.key, 'refused')
      return exchange.rivals ? failover.next(exchange) : undefined
    }
    if (error.code !== 'provider_timeout' && error.code !== 'provider_broke_off') return undefined
    return exchange.grant?.record.retry5xx ? failover.next(exchange) : undefined
  }

  function goOn(exchange: Exchange, key: KeyRecord | undefined, error: SoakpError): void {
    if (key === undefined) book.refuse(exchange, error)
    else again(exchange, key, { status: error.status, outcome: 'failed', errorCode: error.code })
  }

  /** Whether an error reply may be shown to the client: not where it says that our key is refused, nor where it holds a part of the key. */
  function judge(exchange: Exchange, status: number, head: ReplyHead, body: Buffer): MaybePromise<SoakpError | 'again' | undefined> {
    const { inspected } = exchange
    const key = exchange.key as KeyRecord
    const text = body.toString('utf8')
    if (inspected?.injectedUsage && (status === 400 || status === 422) && text.includes('stream_options')) {
      exchange.inspected = { body: inspected.original, original: inspected.original, injectedUsage: false, refusedToTell: true }
      again(exchange, key, { status, outcome: 'ok', errorCode: null })
      return 'again'
    }
    const { isRefused, mayGoElsewhere } = turnedAway(exchange, key, status, head, text)
    const next = mayGoElsewhere && exchange.rivals ? failover.next(exchange) : undefined
    const go = (other: KeyRecord | undefined) => {
      if (other === undefined) return show(exchange, key, isRefused, head, body)
      again(exchange, other, { status, outcome: 'ok', errorCode: isRefused ? 'provider_key_rejected' : null })
      return 'again'
    }
    return isPromise(next) ? next.then(go) : go(next)
  }

  function show(exchange: Exchange, key: KeyRecord, refused: boolean, head: ReplyHead, body: Buffer): MaybePromise<SoakpError | undefined> {
    if (refused) return keyRejected(exchange)
    // what cannot be read cannot be cleared of holding the key
    if (head.contentEncoding !== undefined && head.contentEncoding !== 'identity') return new SoakpError('provider_reply_withheld')
    const { provider } = routeOf(key)
    const opened = vault.open(key)
    return isPromise(opened) ? opened.then(secret => echoes(provider, secret, head, body)) : echoes(provider, opened, head, body)
  }

  return {
    start,
    mayAskUsage: exchange => !neverAsk.has(askName(exchange)),
  }
}

/** Nothing has been read of a body that streams, and it has not been tried twice. */
function sameKeyAgain({ attempt, inspected, head, key }: Exchange): KeyRecord | undefined {
  return attempt === 1 && (inspected !== undefined || !head?.hasBody) ? key : undefined
}

function askName(exchange: Exchange): string {
  return `${exchange.key?.id ?? ''} ${exchange.endpoint?.pattern ?? ''}`
}

/** The body as it leaves: what was read or kept, or the client's own stream, under a rule about models through the gate for forms. */
function bodyOf(exchange: Exchange, delivery: Delivery, wait: UploadWait): Buffer | NodeJS.ReadableStream | undefined {
  const { head, endpoint, grant, inspected, rivals } = exchange
  if (inspected) {
    exchange.batchFile?.add(inspected.body)
    exchange.batchFile?.end()
    return inspected.body
  }
  if (!head?.hasBody || !grant) return undefined
  if (exchange.attempt > 1 && rivals?.kept?.body) return rivals.kept.body
  const kept = keepFor(exchange)
  const rules = rulesOf(grant.record)
  const isForm = head.contentType.startsWith('multipart/form-data')
  const ruled = isForm && isRuledForm(exchange, rules)
  const watchers = [ruled ? undefined : kept, exchange.batchFile].filter(watcher => watcher !== undefined)
  const upload = createUpload(exchange, wait.uploadPatienceMs, wait.clock, watchers)
  return ruled && endpoint
    ? createForm(exchange, upload, endpoint, { rules, ownership: wait.ownership, refused: error => delivery.fail(error), kept })
    : upload
}

/** Bodies that stream are kept only where there is another key to send them with, and where they are not known to be too large. */
function keepFor({ rivals, head }: Exchange): Kept | undefined {
  if (!rivals || rivals.pinned || (head?.contentLength ?? 0) > mostKeptBytes) return undefined
  rivals.kept = new Kept()
  return rivals.kept
}
