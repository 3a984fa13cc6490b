import { rulesOf } from '../access/rules.js'
import { SoakpError } from '../errors.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { Outbound } from '../lib/outbound.js'
import type { Secret } from '../lib/secret.js'
import type { KeyRecord } from '../stores/records.js'
import type { Vault } from '../vault/vault.js'
import { routeOf } from './authorize.js'
import { Delivery, type DeliveryDeps } from './delivery.js'
import type { Exchange } from './exchange.js'
import { createForm } from './form.js'
import type { ReplyHead } from './headers.js'
import { holdsKey } from './leaks.js'
import { forward } from './outgoing.js'
import type { Book } from './record.js'
import { toSoakpError } from './refuse.js'
import { createUpload } from './upload.js'

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
  readonly book: Pick<Book, 'record' | 'refuse'>
  /** The provider refused a key, or took it again. Must not throw. */
  readonly keyVerdict: (key: KeyRecord, refused: boolean) => void
  /** How long the client may leave its reply unread. */
  readonly patienceMs: number
  /** How long the client may take for its next piece of a body. */
  readonly uploadPatienceMs: number
  readonly clock: () => number
}

type UploadWait = Pick<AttemptsDeps, 'uploadPatienceMs' | 'clock'>

export function createAttempts({ vault, outbound, book, keyVerdict, patienceMs, uploadPatienceMs, clock }: AttemptsDeps): Attempts {
  const wait = { uploadPatienceMs, clock }
  /** Keys whose provider refused to be asked for usage, with the endpoint. */
  const neverAsk = new Set<string>()
  const deliveries: DeliveryDeps = {
    patienceMs,
    clock,
    judge,
    refuse(exchange, error) {
      // the provider never saw it, and nothing has been read of a streamed body: once more, on a connection of its own
      const untouched = exchange.inspected !== undefined || !exchange.head?.hasBody
      if (error.code === 'provider_unreachable' && exchange.attempt === 1 && untouched) again(exchange)
      else book.refuse(exchange, error)
    },
    record(exchange, ending, done) {
      const { key } = exchange
      if (key && key.rejectedAtMs !== null && ending.status < 400) keyVerdict(key, false)
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
    exchange.overheadMs = clock() - exchange.startedAt
    delivery.attach(forward(exchange, key, secret, bodyOf(exchange, delivery, wait), outbound, delivery))
  }

  function again(exchange: Exchange): void {
    try {
      start(exchange, exchange.key as KeyRecord)
    } catch (error) {
      book.refuse(exchange, toSoakpError(error))
    }
  }

  /** Whether an error reply may be shown to the client: not where it says that our key is refused, nor where it holds a part of the key. */
  function judge(exchange: Exchange, status: number, head: ReplyHead, body: Buffer): MaybePromise<SoakpError | 'again' | undefined> {
    const { inspected } = exchange
    const key = exchange.key as KeyRecord
    const text = body.toString('utf8')
    if (inspected?.injectedUsage && (status === 400 || status === 422) && text.includes('stream_options')) {
      exchange.inspected = { body: inspected.original, original: inspected.original, injectedUsage: false, refusedToTell: true }
      again(exchange)
      return 'again'
    }
    if (routeOf(key).provider.keyRefused(status, text)) {
      keyVerdict(key, true)
      return new SoakpError('provider_key_rejected')
    }
    // what cannot be read cannot be cleared of holding the key
    if (head.contentEncoding !== undefined && head.contentEncoding !== 'identity') return new SoakpError('provider_reply_withheld')
    const opened = vault.open(key)
    return isPromise(opened) ? opened.then(secret => echoes(secret, head, body)) : echoes(opened, head, body)
  }

  return {
    start,
    mayAskUsage: exchange => !neverAsk.has(askName(exchange)),
  }
}

function echoes(secret: Secret, head: ReplyHead, body: Buffer): SoakpError | undefined {
  const found = holdsKey(body, secret.bytes()) || holdsKey(Buffer.from(head.headers.join('\n'), 'latin1'), secret.bytes())
  secret.wipe()
  return found ? new SoakpError('provider_reply_withheld') : undefined
}

function askName(exchange: Exchange): string {
  return `${exchange.key?.id ?? ''} ${exchange.endpoint?.pattern ?? ''}`
}

/** The body as it leaves: what was read, or the client's own stream, under a rule about models through the gate for forms. */
function bodyOf(exchange: Exchange, delivery: Delivery, wait: UploadWait): Buffer | NodeJS.ReadableStream | undefined {
  const { head, endpoint, grant, inspected } = exchange
  if (inspected) return inspected.body
  if (!head?.hasBody || !grant) return undefined
  const rules = rulesOf(grant.record)
  const isForm = head.contentType.startsWith('multipart/form-data')
  const ruled = rules.limitsModels && isForm && endpoint?.models.some(place => place.in === 'multipart')
  const upload = createUpload(exchange, wait.uploadPatienceMs, wait.clock)
  return ruled && endpoint ? createForm(exchange, upload, endpoint, rules, error => delivery.fail(error)) : upload
}
