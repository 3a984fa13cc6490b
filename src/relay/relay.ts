import type { Logger } from 'pino'
import type { Access, LiveGrant } from '../access/access.js'
import type { Proofs } from '../access/dpop.js'
import type { Policy } from '../access/policy.js'
import { type Rules, rulesOf } from '../access/rules.js'
import { SoakpError } from '../errors.js'
import type { Ledger } from '../ledger/ledger.js'
import type { Tally } from '../ledger/tally.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { Outbound } from '../lib/outbound.js'
import type { Guessing } from '../limits/guessing.js'
import type { Limits } from '../limits/limits.js'
import type { Prices } from '../prices/prices.js'
import { findProvider, looksLikeProviderKey } from '../providers/index.js'
import type { GrantRecord, KeyRecord } from '../stores/records.js'
import type { Store } from '../stores/store.js'
import type { Vault } from '../vault/vault.js'
import { createAttempts } from './attempt.js'
import { createAuthenticator } from './authenticator.js'
import { authorize, goWith } from './authorize.js'
import { createBatches } from './batches/batches.js'
import { readBody } from './body/body.js'
import { BodyRoom } from './body/body-room.js'
import { inspectForm } from './body/form.js'
import { type BodyPlan, inspectBody, inspectTarget, inspectUnifiedForm, isRuledForm, planBody } from './body/inspect.js'
import { type Call, isWhole } from './call.js'
import { dialectOf, type Exchange, newExchange } from './exchange.js'
import { readHead } from './head.js'
import { createChooser } from './keys/choose.js'
import { createFailover } from './keys/failover.js'
import { createRests } from './keys/rests.js'
import type { Rivals } from './keys/rivals.js'
import { createTurnedAway } from './keys/turned-away.js'
import type { TellVerdict } from './keys/verdicts.js'
import { promptBytes } from './meter/meter.js'
import { createModelLists } from './models.js'
import { createKeeping } from './owned/keeping.js'
import { createLearned } from './owned/learned.js'
import { createOwnership, type OwnedStore } from './owned/ownership.js'
import { createBook } from './record.js'
import { originAllowed, refuseForeignPage, toSoakpError } from './refuse.js'
import { readUpgrade } from './sockets/head.js'
import { createSockets } from './sockets/sockets.js'
import { createAdmission } from './spending/admission.js'
import { createWatch } from './spending/watch.js'
import type { UnderWay } from './under-way.js'
import { addressUnified, openUnified, rulesFor, spokenBy, unifiedName } from './unified.js'

export interface Relay {
  /** Takes the call and answers it; never throws, never rejects. */
  handle(call: Call): void
  /** Calls whose reply is not finished or whose entry is not committed. */
  readonly openCalls: number
  underWay(): UnderWay
  /** How many keys of each provider are passed over at the moment, for any model. */
  restingKeys(): Promise<ReadonlyMap<string, number>>
  /** Origins that any live grant allows, for preflights. */
  allowsOrigin(origin: string): boolean | Promise<boolean>
  /** Lets open calls finish for `graceMs`, then cuts them; resolves when every entry is committed. */
  drain(graceMs: number): Promise<void>
}

export interface RelayDeps {
  readonly access: Pick<Access, 'authenticate'>
  readonly proofs: Pick<Proofs, 'checkUse' | 'nonce'>
  readonly policy: Policy
  readonly limits: Limits
  readonly prices: Prices
  readonly guessing: Guessing
  readonly vault: Pick<Vault, 'open'>
  readonly ledger: Ledger
  readonly tally: Pick<Tally, 'refuse'>
  readonly outbound: Outbound
  readonly tellVerdict: TellVerdict
  readonly store: Pick<Store, 'putRests' | 'listRests' | 'getKey' | 'keepBatch'> & OwnedStore
  readonly settings: {
    readonly corsOrigins: readonly string[]
    readonly maxInspectedBytes: number
    readonly maxInspectedTotalBytes: number
    /** Most milliseconds between two pieces of a request body, or that a client may leave its reply unread. */
    readonly clientTimeoutMs: number
    readonly idleTimeoutMs: number
    readonly headTimeoutMs: number
    /** How long a WebSocket may be silent before it is asked whether it is still there. */
    readonly websocketPingMs: number
  }
  readonly log: Pick<Logger, 'error' | 'warn' | 'debug'>
  readonly now: () => number
}

export function createRelay(deps: RelayDeps): Relay {
  const { access, policy, limits, prices, vault, ledger, outbound, settings } = deps
  const clock = () => performance.now()
  const room = new BodyRoom(settings.maxInspectedTotalBytes)
  const reading = { mostBytes: settings.maxInspectedBytes, room, patienceMs: settings.clientTimeoutMs, clock }
  const book = createBook({ ...deps, room, clock })
  const settingsAllow = (origin: string) => settings.corsOrigins.includes(origin) || settings.corsOrigins.includes('*')
  const admission = createAdmission({ limits, policy, prices })
  const rests = createRests({ ...deps, random: Math.random })
  const chooser = createChooser(rests)
  const ownership = createOwnership(deps.store)
  const batches = createBatches({ ...deps, ownership })
  const keeping = createKeeping({ ...deps, batches, learned: createLearned(deps.store, deps.log, deps.now) })
  const failover = createFailover({ access, policy, ledger, chooser, clock })
  const turnedAway = createTurnedAway({ ...deps, rests })
  const gate = { limits, prices, admission, ownership, keeping }
  const sockets = createSockets({ ...deps, gate, book, rests, failover, turnedAway, clock })
  const attempts = createAttempts({
    ownership,
    keeping,
    vault,
    outbound,
    book,
    rests,
    failover,
    turnedAway,
    admission,
    watch: createWatch(limits, prices),
    tellVerdict: deps.tellVerdict,
    patienceMs: settings.idleTimeoutMs,
    uploadPatienceMs: settings.clientTimeoutMs,
    clock,
  })

  const authenticate = createAuthenticator(deps)
  const models = createModelLists({ policy, vault, outbound, now: deps.now })

  let arrived: Exchange[] = []

  /**
   * Judges the calls whose heads came in one turn of the event loop, against one reading of the policy: it is read after the last of these heads, so no change
   * made before any of them is missed, and once for all of them.
   */
  function admit(): void {
    const exchanges = arrived
    arrived = []
    policy.together(() => {
      for (const exchange of exchanges) run(exchange).catch(error => turnAway(exchange, toSoakpError(error)))
    })
  }

  /** The path of a call. Everything is judged before anything is opened, and nothing waits that need not. */
  async function run(exchange: Exchange): Promise<void> {
    const { call } = exchange
    if (call.refusal) throw new SoakpError(call.refusal, undefined, { retryAfterSeconds: 5 })
    exchange.provider = findProvider(call.provider)
    const isUnified = exchange.provider === undefined && call.provider === unifiedName
    if (isUnified) exchange.provider = spokenBy(exchange)
    const head = call.upgrade ? readUpgrade(exchange, looksLikeProviderKey) : readHead(call.request, looksLikeProviderKey)
    exchange.head = head
    if (head.navigates) throw new SoakpError('navigation_refused')
    const grant = authenticate(exchange, head)
    exchange.grant = isPromise(grant) ? await grant : grant
    exchange.originAllowed = originAllowed(exchange, settingsAllow)
    if (call.upgrade) refuseForeignPage(exchange)
    // before anything that would leave a line: lines that cannot be written pile up
    if (!ledger.healthy) throw new SoakpError('store_unavailable', undefined, { retryAfterSeconds: 1 })
    if (isUnified && (await takeUnified(exchange, exchange.grant)) === 'answered') return
    const keys = policy.keys(exchange.grant.record.tenant, exchange.call.provider)
    const key = authorize(exchange, isPromise(keys) ? await keys : keys)
    exchange.key = key
    if (!exchange.hold) {
      const reserved = admission.reserve(exchange, exchange.grant.record)
      if (reserved) await reserved
    }
    if (exchange.stopped) throw new SoakpError('client_gone')
    if (!call.upgrade) await takeBody(exchange, exchange.grant)
    else sockets.look(exchange)
    const owned = exchange.endpoint?.owns && ownership.admit(exchange)
    if (owned) await owned
    // work that is done later is judged and held for as a whole
    const isLater = exchange.endpoint?.class === 'account' || exchange.way?.way.batch !== undefined || exchange.inspected?.putOff
    const planned = isLater && !call.upgrade && batches.admit(exchange)
    if (planned) await planned
    const chosenKey = exchange.rivals ? chosen(exchange, exchange.rivals) : exchange.key
    const admitted = call.upgrade && sockets.awaitsModel(exchange) ? undefined : admission.admit(exchange, chosenKey)
    if (admitted) await admitted
    if (call.upgrade) sockets.start(exchange, chosenKey)
    else attempts.start(exchange, chosenKey)
  }

  function chosen(exchange: Exchange, rivals: Rivals): KeyRecord {
    const key = chooser.first(exchange, rivals)
    goWith(exchange, key)
    return key
  }

  /** A call to the unified endpoint becomes one to the provider it names; a list of models is answered here. */
  async function takeUnified(exchange: Exchange, { record }: LiveGrant): Promise<'answered' | 'addressed'> {
    const route = openUnified(exchange)
    if (route.kind === 'call') {
      await admission.reserve(exchange, record)
      if (exchange.head?.expectsContinue) exchange.call.response.writeContinue()
      const body = exchange.head?.hasBody ? await read(exchange) : Buffer.alloc(0)
      await addressUnified(exchange, route.speaks, body, policy)
      // keys may have come and gone while the body did
      await policy.refresh()
      return 'addressed'
    }
    await admission.reserve(exchange, record)
    // providers are asked for it, so it uses the rate as any call does
    exchange.attempt = 1
    const document = route.kind === 'models' ? await models.all(exchange) : await models.one(exchange, route.id)
    book.answer(exchange, document)
    return 'answered'
  }

  function read(exchange: Exchange): MaybePromise<Buffer> {
    const { request } = exchange.call
    if (!isWhole(request)) return readBody(exchange, reading)
    exchange.bytesIn = request.whole.length
    return request.whole
  }

  /** A page has to be able to read why it was refused, also where it is not known yet who asks. */
  function turnAway(exchange: Exchange, error: SoakpError): void {
    const { origin } = exchange.call.request.headers
    if (exchange.grant || origin === undefined) {
      book.refuse(exchange, error)
      return
    }
    const allows = settingsAllow(origin) || anyGrantAllows(origin).catch(() => false)
    Promise.resolve(allows).then(allowed => {
      exchange.originAllowed = allowed
      book.refuse(exchange, error)
    })
  }

  async function anyGrantAllows(origin: string): Promise<boolean> {
    await policy.refresh()
    return (await policy.origins(deps.now())).has(origin)
  }

  /** Takes the body in as far as rules and metering need to see it. */
  function takeBody(exchange: Exchange, { record }: LiveGrant): void | Promise<void> {
    const { call, head, unified } = exchange
    const rules = rulesFor(exchange, rulesOf(record))
    const planned = planBody(exchange, rules, record)
    // a signature covers the body, so all of it has to be there
    const plan = exchange.provider?.signsBody && planned !== 'none' ? 'read' : planned
    if (unified) {
      if (unified.isForm && !isRuledForm(exchange, rules)) inspectUnifiedForm(exchange, rules, unified)
      else inspect(exchange, rules, record, unified.body)
      return
    }
    if (plan === 'none' || plan === 'stream') inspectTarget(exchange, rules)
    if (isWhole(call.request)) {
      if (plan !== 'none') takeWhole(exchange, plan, rules, record, call.request.whole)
      return
    }
    if (head?.expectsContinue && plan !== 'none') call.response.writeContinue()
    if (plan !== 'read') return
    return readBody(exchange, reading).then(body => inspect(exchange, rules, record, body))
  }

  /** A body that is here is not streamed, whether it is looked into or not. */
  function takeWhole(exchange: Exchange, plan: BodyPlan, rules: Rules, record: GrantRecord, body: Buffer): void {
    exchange.bytesIn = body.length
    if (plan === 'read' || plan === 'form') inspect(exchange, rules, record, body)
    else exchange.inspected = { body, original: body, injectedUsage: false }
  }

  function inspect(exchange: Exchange, rules: Rules, record: GrantRecord, body: Buffer): void {
    const { endpoint, head } = exchange
    const dialect = dialectOf(exchange)
    if (!dialect) return
    if (endpoint && head?.contentType.startsWith('multipart/form-data') && isRuledForm(exchange, rules)) {
      inspectForm(exchange, endpoint, rules, body)
      return
    }
    exchange.promptBytes = promptBytes(body)
    exchange.inspected = inspectBody(exchange, rules, record, dialect, body, attempts.mayAskUsage(exchange))
  }

  return {
    handle(call) {
      const exchange = newExchange(call, clock())
      book.open(exchange)
      arrived.push(exchange)
      if (arrived.length === 1) setImmediate(admit)
    },

    get openCalls() {
      return book.size
    },

    underWay: book.underWay,
    restingKeys: rests.byProvider,

    allowsOrigin: anyGrantAllows,

    async drain(graceMs) {
      await book.drain(graceMs)
      rests.close()
    },
  }
}
