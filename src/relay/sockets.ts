import type { ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import { tokenOf } from '../access/authenticate.js'
import type { Policy } from '../access/policy.js'
import { rulesOf } from '../access/rules.js'
import { SoakpError } from '../errors.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { Outbound } from '../lib/outbound.js'
import type { Dialling, OpenSocket } from '../lib/outbound-socket.js'
import type { Secret } from '../lib/secret.js'
import { isSocketEndpoint } from '../providers/index.js'
import type { SocketEndpoint } from '../providers/socket.js'
import type { KeyRecord } from '../stores/records.js'
import type { Vault } from '../vault/vault.js'
import { routeOf } from './authorize.js'
import type { Exchange, Stoppable } from './exchange.js'
import { type ReplyHead, responseHeaders } from './headers.js'
import { modelsOfTarget } from './inspect.js'
import { echoes } from './leaks.js'
import type { Book } from './record.js'
import { ownHeaders, toSoakpError } from './refuse.js'
import { type ConnectionDeps, SocketConnection } from './socket-connection.js'
import { awaitsModel, type GateDeps } from './socket-gate.js'
import { dialRequest } from './socket-request.js'
import { createMessageJudge, type MessageJudge } from './socket-rules.js'
import type { TellVerdict } from './verdicts.js'

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

export function createSockets(deps: SocketsDeps): Sockets {
  const { vault, outbound, policy, book, settings, clock } = deps
  const open = new Set<SocketConnection>()
  let timer: NodeJS.Timeout | undefined
  let sweptGeneration: number | undefined
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
    sweptGeneration = undefined
    timer ??= setInterval(sweep, sweepMs).unref()
  }

  function sweep(): void {
    const now = clock()
    for (const connection of open) connection.tick(now)
    closeUnallowed().catch(error => deps.log.error({ err: error }, 'open WebSockets could not be checked against their grants'))
  }

  async function closeUnallowed(): Promise<void> {
    const generation = await policy.refresh()
    const isChanged = generation !== sweptGeneration
    sweptGeneration = generation
    const now = deps.now()
    for (const connection of open) {
      const { grant } = connection.exchange
      if (!grant) continue
      if (Math.min(grant.token.expiresAtMs, grant.record.app ? Number.POSITIVE_INFINITY : grant.record.expiresAtMs) <= now)
        connection.refuse(new SoakpError('token_expired'))
      else if (isChanged) {
        const why = await whyUnallowed(connection.exchange, now)
        if (why) connection.refuse(why)
      }
    }
  }

  /** What the grant, its token and the key have become since the upgrade. */
  async function whyUnallowed({ grant, key }: Exchange, now: number): Promise<SoakpError | undefined> {
    if (!grant || !key) return undefined
    const found = await policy.grant(grant.record.id)
    const token = found && tokenOf(grant.claims, grant.token, found)
    if (!found || !token || found.grant.revokedAtMs !== null || token.expiresAtMs <= now) return new SoakpError('token_revoked')
    if (!found.grant.app && found.grant.expiresAtMs <= now) return new SoakpError('token_expired')
    const keys = await policy.keys(key.tenant, key.provider)
    if (!rulesOf(found.grant).allowsProvider(key.provider) || !rulesOf(found.grant).allowsKey(key.id))
      return new SoakpError('provider_not_allowed')
    return keys.some(({ id, state }) => id === key.id && state === 'active')
      ? undefined
      : new SoakpError('no_key', 'It was removed or disabled.')
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
    exchange.attempt = 1
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
    const refuse = (error: SoakpError) => {
      credential.withdraw()
      exchange.under = undefined
      book.refuse(exchange, error)
    }
    let dialling: Dialling
    try {
      dialling = outbound.dial(origin, key.allowPrivate, request, {
        open: (socket, rawHeaders) => connect(exchange, judge, socket, rawHeaders),
        refused: (status, rawHeaders, body) => {
          const reply = responseHeaders(routeOf(key).provider, [...rawHeaders])
          exchange.upstreamRequestId = reply.upstreamRequestId
          Promise.resolve(judgeRefusal(key, status, reply, body))
            .then(error => (error ? refuse(error) : passOn(exchange, status, reply, body)))
            .catch(error => refuse(toSoakpError(error)))
        },
        fail: error => refuse(toSoakpError(error)),
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

  function connect(exchange: Exchange, judge: MessageJudge, upstream: OpenSocket, rawHeaders: readonly string[]): void {
    const { provider, call, key } = exchange
    if (!provider || !call.upgrade) throw new SoakpError('internal', 'a socket without a provider')
    exchange.upstreamRequestId = responseHeaders(provider, [...rawHeaders]).upstreamRequestId
    const row = rowOf(exchange)
    const protocol = row ? exchange.protocols[0] : upstream.protocol || undefined
    const client = call.upgrade.accept([...(protocol === undefined ? [] : ['sec-websocket-protocol', protocol]), ...ownHeaders(exchange)])
    if (!client) {
      upstream.terminate()
      book.refuse(exchange, new SoakpError('client_gone'))
      return
    }
    exchange.answered = true
    exchange.firstByteMs = Math.round(clock() - exchange.startedAt)
    if (key && key.rejectedAtMs !== null) deps.tellVerdict({ ...key, spentAtMs: null }, 'works')
    keep(new SocketConnection(exchange, row, judge, client, upstream, connectionDeps))
  }

  /** What the client is told when the provider does not answer 101. */
  function judgeRefusal(key: KeyRecord, status: number, reply: ReplyHead, body: Buffer): MaybePromise<SoakpError | undefined> {
    if (status >= 300 && status < 400) return new SoakpError('provider_redirected')
    if (status < 400 || status > 599) return new SoakpError('provider_refused_upgrade', `Its status is ${status}.`)
    const { provider } = routeOf(key)
    if (provider.keyRefused(status, body.toString('utf8'))) {
      deps.tellVerdict(key, 'refused')
      return new SoakpError('provider_key_rejected')
    }
    const opened = vault.open(key)
    return isPromise(opened) ? opened.then(secret => echoes(provider, secret, reply, body)) : echoes(provider, opened, reply, body)
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
