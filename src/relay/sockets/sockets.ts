import type { ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import type { Policy } from '../../access/policy.js'
import { rulesOf } from '../../access/rules.js'
import { SoakpError } from '../../errors.js'
import { isPromise } from '../../lib/maybe.js'
import type { Outbound } from '../../lib/outbound.js'
import type { Dialling, OpenSocket } from '../../lib/outbound-socket.js'
import type { Secret } from '../../lib/secret.js'
import { isSocketEndpoint } from '../../providers/index.js'
import type { SocketEndpoint } from '../../providers/sockets/socket.js'
import type { KeyRecord } from '../../stores/records.js'
import type { Vault } from '../../vault/vault.js'
import { goWith, routeOf } from '../authorize.js'
import { modelsOfTarget } from '../body/inspect.js'
import type { Ending, Exchange, Stoppable } from '../exchange.js'
import { type ReplyHead, responseHeaders } from '../headers.js'
import { restName } from '../keys/choose.js'
import type { Failover } from '../keys/failover.js'
import type { Rests } from '../keys/rests.js'
import { keyRejected, type ReadTurnedAway } from '../keys/turned-away.js'
import type { TellVerdict } from '../keys/verdicts.js'
import { echoes } from '../leaks.js'
import type { Book } from '../record.js'
import { ownHeaders, toSoakpError } from '../refuse.js'
import { type ConnectionDeps, SocketConnection } from './connection.js'
import { awaitsModel, type GateDeps } from './gate.js'
import { createGrantWatch } from './grant-watch.js'
import { dialRequest } from './request.js'
import { createMessageJudge, type MessageJudge } from './rules.js'

/** Upgrades that were judged: opens the provider's socket, then answers the client, and keeps both. */
export interface Sockets {
  /** Notes the model that the path or the query names. */
  look(exchange: Exchange): void
  /** Limits have to wait for a message that says which model it is. */
  awaitsModel(exchange: Exchange): boolean
  /** Throws what keeps this upgrade from leaving; later failures are answered. */
  start(exchange: Exchange, key: KeyRecord): void
}

export interface SocketsDeps {
  readonly vault: Pick<Vault, 'open'>
  readonly outbound: Outbound
  readonly policy: Policy
  readonly book: Pick<Book, 'record' | 'recordAttempt' | 'refuse'>
  readonly rests: Pick<Rests, 'rest' | 'worked' | 'isEmpty'>
  readonly failover: Failover
  readonly turnedAway: ReadTurnedAway
  readonly gate: GateDeps
  readonly tellVerdict: TellVerdict
  readonly settings: { readonly websocketPingMs: number; readonly headTimeoutMs: number }
  readonly log: Pick<Logger, 'error'>
  readonly clock: () => number
  /** Epoch milliseconds. */
  readonly now: () => number
}

/** In either direction; larger than any provider takes. */
const maxMessageBytes = 16 * 1024 * 1024

/** A connection whose grant was revoked is closed within a second. */
const sweepMs = 250

function rowOf({ endpoint }: Exchange): SocketEndpoint | undefined {
  return isSocketEndpoint(endpoint) ? endpoint : undefined
}

/** What an upgrade was answered instead of 101. */
interface UpgradeRefusal {
  readonly status: number
  readonly reply: ReplyHead
  readonly body: Buffer
}

export function createSockets(deps: SocketsDeps): Sockets {
  const { vault, outbound, policy, book, settings, clock } = deps
  const open = new Set<SocketConnection>()
  let timer: NodeJS.Timeout | undefined
  /** It was told that the policy cannot be read. */
  let isBlind = false
  const watch = createGrantWatch(policy, deps.now)
  const connectionDeps: ConnectionDeps = {
    ...deps.gate,
    clock,
    pingMs: settings.websocketPingMs,
    record: book.record,
    recordPart: book.recordAttempt,
    closed(connection) {
      open.delete(connection)
      if (open.size > 0) return
      clearInterval(timer)
      timer = undefined
    },
  }

  function keep(connection: SocketConnection): void {
    open.add(connection)
    connection.exchange.under = connection
    // the grant may have been revoked while the provider was asked
    watch.anew()
    timer ??= setInterval(sweep, sweepMs).unref()
  }

  function sweep(): void {
    const now = clock()
    for (const connection of open) connection.tick(now)
    watch.closeUnallowed(open).then(
      () => {
        isBlind = false
      },
      error => {
        if (!isBlind) deps.log.error({ err: error }, 'open WebSockets cannot be checked against their grants')
        isBlind = true
      },
    )
  }

  function start(exchange: Exchange, key: KeyRecord): void {
    const { grant } = exchange
    if (!grant) throw new SoakpError('internal', 'a socket before authenticate')
    const row = rowOf(exchange)
    const rules = rulesOf(grant.record)
    const isCosted = exchange.asks?.cost === true || exchange.asks?.model === true
    const judge = createMessageJudge(exchange, row, rules, grant.record, {
      isCosted,
      isOwned: row?.owns !== undefined && !rules.reachesAll,
    })
    if (routeOf(key).provider.serve) throw new SoakpError('upgrade_refused', 'This provider speaks no WebSocket.')
    ask(exchange, key, judge)
  }

  function ask(exchange: Exchange, key: KeyRecord, judge: MessageJudge): void {
    exchange.attempt++
    const secret = vault.open(key)
    if (isPromise(secret))
      secret.then(opened => dial(exchange, key, judge, opened)).catch(error => book.refuse(exchange, toSoakpError(error)))
    else dial(exchange, key, judge, secret)
  }

  function dial(exchange: Exchange, key: KeyRecord, judge: MessageJudge, secret: Secret): void {
    if (exchange.stopped) {
      secret.wipe()
      throw new SoakpError('client_gone')
    }
    const { origin, request, credential } = dialRequest(exchange, key, secret, { maxMessageBytes, headTimeoutMs: settings.headTimeoutMs })
    const over = () => {
      credential.withdraw()
      exchange.under = undefined
    }
    const refuse = (error: SoakpError) => {
      over()
      book.refuse(exchange, error)
    }
    let dialling: Dialling
    try {
      dialling = outbound.dial(origin, key.allowPrivate, request, {
        open: (upstream, rawHeaders) => connect(exchange, judge, upstream, rawHeaders),
        refused(status, rawHeaders, body) {
          over()
          const reply = responseHeaders(routeOf(key).provider, [...rawHeaders])
          exchange.upstreamRequestId = reply.upstreamRequestId
          answerRefusal(exchange, key, judge, { status, reply, body }).catch(error => book.refuse(exchange, toSoakpError(error)))
        },
        fail(error) {
          over()
          unreached(exchange, key, judge, toSoakpError(error)).catch(cause => book.refuse(exchange, toSoakpError(cause)))
        },
      })
    } catch (error) {
      credential.withdraw()
      throw error
    }
    exchange.under = {
      stop(reason) {
        dialling.abort()
        refuse(new SoakpError(reason === 'client_gone' ? 'client_gone' : 'shutting_down'))
      },
    } satisfies Stoppable
  }

  /** Asks once more, with another key. What came of it so far goes into the ledger as an attempt of its own. */
  async function again(exchange: Exchange, key: KeyRecord, judge: MessageJudge, soFar: Ending): Promise<void> {
    if (exchange.recorded) return
    book.recordAttempt(exchange, soFar)
    const left = exchange.key
    goWith(exchange, key)
    exchange.upstreamRequestId = null
    await deps.gate.admission.changeKey(exchange, left, key)
    ask(exchange, key, judge)
  }

  /** The provider heard nothing: another host may. */
  async function unreached(exchange: Exchange, key: KeyRecord, judge: MessageJudge, error: SoakpError): Promise<void> {
    const isUnreachable = error.code === 'provider_unreachable' && exchange.rivals !== undefined
    if (isUnreachable) deps.rests.rest(key, '', 0, undefined)
    const next = isUnreachable ? await deps.failover.next(exchange, true) : undefined
    if (next) await again(exchange, next, judge, { status: error.status, outcome: 'failed', errorCode: error.code })
    else book.refuse(exchange, error)
  }

  function connect(exchange: Exchange, judge: MessageJudge, upstream: OpenSocket, rawHeaders: readonly string[]): void {
    const { provider, call, key } = exchange
    if (!provider || !call.upgrade) throw new SoakpError('internal', 'a socket without a provider')
    exchange.upstreamRequestId = responseHeaders(provider, [...rawHeaders]).upstreamRequestId
    const row = rowOf(exchange)
    const protocol = row ? exchange.protocols[0] : upstream.socket.protocol || undefined
    const client = call.upgrade.accept([...(protocol === undefined ? [] : ['sec-websocket-protocol', protocol]), ...ownHeaders(exchange)])
    if (!client) {
      upstream.socket.terminate()
      book.refuse(exchange, new SoakpError('client_gone'))
      return
    }
    exchange.answered = true
    exchange.firstByteMs = Math.round(clock() - exchange.startedAt)
    if (key && key.rejectedAtMs !== null) deps.tellVerdict({ ...key, spentAtMs: null }, 'works')
    if (key && !deps.rests.isEmpty) deps.rests.worked(key, restName(exchange), call.startedAtMs)
    // what is named from here on has to be this key's
    exchange.rivals = undefined
    keep(new SocketConnection(exchange, row, judge, client, upstream, connectionDeps))
  }

  /** What becomes of an upgrade that the provider did not answer with 101: another key is tried, or the client told. */
  async function answerRefusal(exchange: Exchange, key: KeyRecord, judge: MessageJudge, refusal: UpgradeRefusal): Promise<void> {
    const { status, reply, body } = refusal
    if (status >= 300 && status < 400) throw new SoakpError('provider_redirected')
    if (status < 400 || status > 599) throw new SoakpError('provider_refused_upgrade', `Its status is ${status}.`)
    const { isRefused, mayGoElsewhere } = deps.turnedAway(exchange, key, status, reply, body.toString('utf8'))
    const next = mayGoElsewhere && exchange.rivals ? await deps.failover.next(exchange) : undefined
    if (next) {
      await again(exchange, next, judge, { status, outcome: 'ok', errorCode: isRefused ? 'provider_key_rejected' : null })
      return
    }
    if (isRefused) throw keyRejected(exchange)
    const withheld = echoes(routeOf(key).provider, await vault.open(key), reply, body)
    if (withheld) throw withheld
    passOn(exchange, status, reply, body)
  }

  /** An error of the provider's, in its own words, as of any call. */
  function passOn(exchange: Exchange, status: number, reply: ReplyHead, body: Buffer): void {
    exchange.under = undefined
    exchange.answered = true
    exchange.bytesOut = body.length
    const headers = [...reply.headers, ...ownHeaders(exchange), 'content-length', String(body.length)]
    book.record(exchange, { status, outcome: 'ok', errorCode: null }, failure => {
      const response = exchange.call.response as ServerResponse
      if (failure !== undefined) response.destroy()
      else response.writeHead(status, headers).end(body)
    })
  }

  return {
    look(exchange) {
      if (exchange.grant) exchange.model = modelsOfTarget(exchange, rulesOf(exchange.grant.record))[0] ?? null
    },
    awaitsModel: exchange => awaitsModel(exchange, rowOf(exchange)),
    start,
  }
}
