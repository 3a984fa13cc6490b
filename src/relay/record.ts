import type { ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import type { Policy } from '../access/policy.js'
import { type ErrorCode, SoakpError } from '../errors.js'
import type { Ledger } from '../ledger/ledger.js'
import type { Tally } from '../ledger/tally.js'
import { Bag } from '../lib/bag.js'
import type { Charge, Prices } from '../prices/prices.js'
import type { BodyRoom } from './body/body-room.js'
import { isWhole, streamed, type WholeResponse } from './call.js'
import { type Ending, type Exchange, entryOf, type StopReason } from './exchange.js'
import { ownHeaders, type Refusal, refusalOf } from './refuse.js'
import { heldMoney, mayBeMade, spentBy } from './spending/settle.js'
import { type UnderWay, underWay } from './under-way.js'

/** Open calls: they are answered once, recorded once, and can be ended. */
export interface Book {
  open(exchange: Exchange): void
  /** Settles the hold and writes the ledger line, once; `done` when it is durable, or with the error that kept it from being so. Calls without a grant leave no line. */
  record(exchange: Exchange, ending: Ending, done: (error?: unknown) => void): void
  /** Writes the line of an attempt that another one follows, or of a part of a connection; the call goes on. */
  recordAttempt(exchange: Exchange, ending: Ending): void
  /** Answers with an error of ours, unless an answer is under way: then that is broken off. */
  refuse(exchange: Exchange, error: SoakpError): void
  /** Answers with a JSON document of our own making. */
  answer(exchange: Exchange, document: unknown): void
  readonly size: number
  underWay(): UnderWay
  drain(graceMs: number): Promise<void>
}

export interface BookDeps {
  readonly ledger: Ledger
  readonly tally: Pick<Tally, 'refuse'>
  readonly policy: Policy
  readonly prices: Pick<Prices, 'charge'>
  readonly room: BodyRoom
  readonly log: Pick<Logger, 'error' | 'warn' | 'debug'>
  /** A steady clock, in milliseconds. */
  readonly clock: () => number
}

const sweepMs = 500
const ledgerPatienceMs = 10_000

/** The store could not be written when these were decided, or the house was full: writing them down would feed what is wrong. Nothing left for them. */
const unwritten: ReadonlySet<ErrorCode> = new Set([
  'store_unavailable',
  'store_locked',
  'store_full',
  'store_damaged',
  'overloaded',
  'shutting_down',
])

/** The provider never saw these, although the call was on its way. */
const neverArrived: ReadonlySet<string> = new Set(['provider_unreachable', 'base_url_refused', 'key_unreadable', 'client_timeout'])

export function createBook({ ledger, tally, policy, prices, room, log, clock }: BookDeps): Book {
  const open = new Bag<Exchange>()
  let emptied: (() => void) | undefined
  let sweptGeneration: number | undefined
  const sweeper = setInterval(sweep, sweepMs)
  sweeper.unref()

  function close(exchange: Exchange): void {
    open.delete(exchange)
    if (exchange.roomTaken > 0) room.giveBack(exchange.roomTaken)
    exchange.roomTaken = 0
    if (open.size === 0) emptied?.()
  }

  function stop(exchange: Exchange, reason: StopReason): void {
    exchange.stopped ??= reason
    exchange.under?.stop(reason)
  }

  /** Ends what has waited too long for its client, and the streams of grants that were revoked with `--now`. */
  function sweep(): void {
    if (open.size === 0) return
    const now = clock()
    for (const exchange of open.toArray()) if (exchange.clientDeadlineAt !== 0 && exchange.clientDeadlineAt < now) stop(exchange, 'cut')
    cutRevoked().catch(error => log.error({ err: error }, 'open calls could not be checked against their grants'))
  }

  async function cutRevoked(): Promise<void> {
    const generation = await policy.refresh()
    if (generation === sweptGeneration) return
    sweptGeneration = generation
    for (const exchange of open.toArray()) {
      const id = exchange.grant?.record.id
      // a WebSocket is closed in its own way
      if (exchange.call.upgrade !== undefined && exchange.answered) continue
      const found = id === undefined ? undefined : await policy.grant(id)
      if (found?.grant.cutStreams && found.grant.revokedAtMs !== null) stop(exchange, 'cut')
    }
  }

  function settleHold(exchange: Exchange, ending: Ending, cost: number | undefined): void {
    const left = exchange.arrived || (exchange.attempt > 0 && !neverArrived.has(ending.errorCode ?? ''))
    // a client that resets its stream has used its rate, however early it did
    if (left || ending.outcome === 'client_gone') exchange.hold?.settle(spentBy(exchange, ending, cost))
    else exchange.hold?.release()
  }

  /** What it costs, where it consumed anything and that has a price; what has none costs, under a budget, what was held for it. */
  function chargeOf(exchange: Exchange, ending: Ending): Charge | undefined {
    const { usage, model: answered, status, final, charge: known } = ending
    if (known) return known
    const { call, model } = exchange
    const charge = usage && prices.charge({ provider: call.provider, requested: model, answered, at: call.startedAtMs }, usage)
    if (final === false) return charge
    return (
      charge ??
      (usage !== undefined || (status < 400 && exchange.attempt > 0) || mayBeMade(exchange, ending) ? heldMoney(exchange) : undefined)
    )
  }

  function recordAttempt(exchange: Exchange, ending: Ending): void {
    if (exchange.recorded || !exchange.grant) return
    if (!neverArrived.has(ending.errorCode ?? '')) exchange.arrived = true
    // what has no price is charged once, when the call is over
    const charge = chargeOf(exchange, { ...ending, final: false })
    exchange.hold?.spend(spentBy(exchange, ending, charge?.microDollars ?? 0))
    ledger.record(entryOf(exchange, exchange.grant, { ...ending, final: false }, charge, clock()), () => {})
  }

  function record(exchange: Exchange, ending: Ending, done: (error?: unknown) => void): void {
    if (exchange.recorded) return
    exchange.recorded = true
    exchange.under = undefined
    exchange.clientDeadlineAt = 0
    if (ending.outcome === 'refused' || ending.outcome === 'failed') tally.refuse(ending.errorCode)
    const charge = chargeOf(exchange, ending)
    exchange.charge = charge
    settleHold(exchange, ending, charge?.microDollars)
    if (!exchange.grant || unwritten.has(ending.errorCode as ErrorCode)) {
      close(exchange)
      done()
      return
    }
    ledger.record(entryOf(exchange, exchange.grant, ending, charge, clock()), error => {
      close(exchange)
      done(error)
    })
  }

  function refuse(exchange: Exchange, error: SoakpError): void {
    if (exchange.recorded) return
    note(exchange, error)
    const { response } = exchange.call
    const gone = exchange.stopped === 'client_gone' || error.code === 'client_gone' || response.destroyed
    if (gone || exchange.answered) {
      const ending = {
        status: gone ? 499 : error.status,
        outcome: gone ? 'client_gone' : 'failed',
        errorCode: gone ? 'client_gone' : error.code,
      } as const
      record(exchange, ending, () => response.destroy())
      return
    }
    exchange.answered = true
    const ending = { status: error.status, outcome: isOurs(error) ? 'refused' : 'failed', errorCode: error.code } as const
    record(exchange, ending, failure => {
      sendRefusal(exchange, failure === undefined ? error : new SoakpError('store_unavailable', undefined, { retryAfterSeconds: 1 }))
    })
  }

  function answerWith(exchange: Exchange, document: unknown): void {
    const { response } = exchange.call
    if (exchange.recorded || exchange.answered) return
    exchange.answered = true
    const body = Buffer.from(JSON.stringify(document))
    const headers = ['content-type', 'application/json', 'content-length', String(body.length), 'cache-control', 'no-store']
    exchange.bytesOut = body.length
    record(exchange, { status: 200, outcome: response.destroyed ? 'client_gone' : 'ok', errorCode: null }, failure => {
      if (failure === undefined) reply(exchange, { status: 200, headers: [...headers, ...ownHeaders(exchange)], body })
      else sendRefusal(exchange, new SoakpError('store_unavailable', undefined, { retryAfterSeconds: 1 }))
    })
  }

  function note(exchange: Exchange, error: SoakpError): void {
    const facts = { call: exchange.call.id, provider: exchange.call.provider.slice(0, 40), key: exchange.key?.id, code: error.code }
    if (error.code === 'internal') log.error({ ...facts, err: error }, 'a call failed inside soakp')
    else if (error.status >= 500) log.warn({ ...facts, cause: causeOf(error) }, error.message)
    else log.debug(facts, error.message)
  }

  return {
    open(exchange) {
      open.add(exchange)
      exchange.call.response.on('close', () => {
        if (!exchange.recorded) stop(exchange, 'client_gone')
      })
    },

    record,
    recordAttempt,
    refuse,
    answer: answerWith,

    get size() {
      return open.size
    },

    underWay: () => underWay(open.toArray()),

    async drain(graceMs) {
      const empty = new Promise<void>(resolve => {
        emptied = resolve
        if (open.size === 0) resolve()
      })
      const timer = setTimeout(() => {
        for (const exchange of open.toArray()) stop(exchange, 'cut')
      }, graceMs)
      // a call that is cut is over once its entry is committed; a store that fails for good must not keep the process
      const last = setTimeout(() => emptied?.(), graceMs + ledgerPatienceMs)
      await empty
      clearTimeout(timer)
      clearTimeout(last)
      clearInterval(sweeper)
      if (!(await ledger.settle(ledgerPatienceMs)))
        log.error({ entries: ledger.waiting }, 'the store stayed unwritable; these entries are lost with the process')
    },
  }
}

const failures: ReadonlySet<string> = new Set([
  'provider_unreachable',
  'provider_timeout',
  'provider_broke_off',
  'provider_redirected',
  'provider_key_rejected',
  'provider_reply_withheld',
  'provider_refused_upgrade',
  'internal',
])

function isOurs(error: SoakpError): boolean {
  return !failures.has(error.code)
}

function causeOf(error: SoakpError): string | undefined {
  const { cause } = error
  // the code of a socket or driver error; never its words, which may quote what was sent
  return cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.name) : undefined
}

/** So much of a body that nobody reads may still come in before the connection is closed. */
const drainedBytes = 1024 * 1024

function sendRefusal(exchange: Exchange, error: SoakpError): void {
  reply(exchange, refusalOf(exchange, error), error.code === 'client_timeout')
}

/** `gaveUp`: the rest of the body was waited for in vain. */
function reply(exchange: Exchange, { status, headers, body }: Refusal, gaveUp = false): void {
  const { request, response } = exchange.call
  if (response.destroyed) return
  if (isWhole(request)) {
    ;(response as WholeResponse).writeHead(status, headers).end(body)
    return
  }
  const unread = exchange.head?.hasBody !== false && !request.readableEnded
  const small =
    exchange.head?.contentLength !== undefined && exchange.head.contentLength <= drainedBytes && !exchange.head.expectsContinue && !gaveUp
  if ('stream' in response) {
    response.writeHead(status, headers as unknown as Record<string, string>)
    response.end(body, () => {
      if (unread) response.stream?.close()
    })
    return
  }
  // what is left of the body would be taken for the next request
  if (unread && !small) headers.push('connection', 'close')
  ;(response as ServerResponse).writeHead(status, headers)
  const last = request.method === 'HEAD' ? undefined : body
  const stillSends = unread && !small && !exchange.head?.expectsContinue && !gaveUp
  if (stillSends && last) lastWords(exchange, last)
  else response.end(last)
  if (unread && small) request.resume()
}

const lastWordsMs = 1000

/** Closing at once upon a client that is still sending would reset the connection, and the reply be lost on the way (RFC 9112, section 9.6). */
function lastWords({ call }: Exchange, body: Buffer): void {
  const request = streamed(call)
  const response = call.response as ServerResponse
  const end = () => {
    clearTimeout(timer)
    if (!response.writableEnded) response.end()
  }
  const timer = setTimeout(end, lastWordsMs)
  response.once('close', end)
  request.once('end', end)
  response.write(body)
  request.resume()
}
