import type { LiveGrant } from '../access/access.js'
import type { ErrorCode } from '../errors.js'
import type { BagMember } from '../lib/bag.js'
import type { FormReading } from '../lib/form-scan.js'
import type { ModelTokens } from '../lib/model-tokens.js'
import type { Hold } from '../limits/limits.js'
import type { Charge } from '../prices/prices.js'
import type { Dialect, Endpoint, Provider, Usage } from '../providers/provider.js'
import type { Entry, KeyRecord, Outcome, UsageSource } from '../stores/records.js'
import type { PlannedBatch } from './batches/cost.js'
import type { BatchFile } from './batches/file.js'
import type { Call } from './call.js'
import type { Head } from './head.js'
import type { Rivals } from './keys/rivals.js'
import type { Named, OwnedWay } from './owned/owned.js'

/** What the body of a call said, as far as rules and metering ask. */
export interface Inspected {
  /** The body to send: as it came, but for a question for usage that was put in. */
  readonly body: Buffer
  /** As it came. */
  readonly original: Buffer
  /** The question for usage is ours: its answer is taken out again. */
  readonly injectedUsage: boolean
  /** Most output it asks for, of each of `choices`; undefined where it does not say, or not as a plain count. */
  readonly maxOutput?: number | undefined
  readonly choices?: number
  /** It names several models, any of which may answer. */
  readonly severalModels?: boolean
  /** How many characters of it are billed, where the reply will not tell. */
  readonly characters?: number | undefined
  /** Of a form that limits ask about: its fields, and where its parts lie. */
  readonly form?: Pick<FormReading, 'fields' | 'parts'>
  /** It is not answered now: the work goes on by itself. */
  readonly putOff?: true
  /** It could not be looked into. */
  readonly unread?: true
  /** The question was put and refused; this is the call without it. */
  readonly refusedToTell?: true
}

/** A call to the unified endpoint, once it is known for which provider it is. */
export interface UnifiedCall {
  /** What its client speaks, whoever answers: its errors are worded so. */
  readonly speaks: 'openai' | 'anthropic'
  /** The body with the provider's own name of the model in it. */
  readonly body: Buffer
  /** That name. */
  readonly model: string
  /** The alias the client said instead. */
  readonly alias: string | undefined
  readonly isForm: boolean
}

/** Something under way for a call: the reading of its body, the request upstream. */
export interface Stoppable {
  /** Ends it; it takes care of the call's own end. */
  stop(reason: StopReason): void
}

export type StopReason = 'client_gone' | 'cut'

/** What one call has become so far. Each stage fills in its part; nothing of a key's plaintext is ever in here. */
export interface Exchange extends BagMember {
  /** On the unified endpoint first as it came, then as the call to the provider that it stands for. */
  call: Call
  /** Of a steady clock, in milliseconds: for durations only. */
  readonly startedAt: number
  head: Head | undefined
  grant: LiveGrant | undefined
  provider: Provider | undefined
  /** The row the call falls under; undefined before that is known and for calls that no row knows. */
  endpoint: Endpoint | undefined
  model: string | null
  hold: Hold | undefined
  /** What limits will ask of its body. */
  asks: { readonly model: boolean; readonly cost: boolean } | undefined
  key: KeyRecord | undefined
  /** What a call to the unified endpoint was found to be. */
  unified: UnifiedCall | undefined
  /** Where several keys could answer the call; else undefined. */
  rivals: Rivals | undefined
  /** The body, where it was read. */
  inspected: Inspected | undefined
  /** What the request names of things that belong to somebody, or that only one account knows; undefined: nothing. */
  named: Named[] | undefined
  /** What the call does with such things, where the reply has to be looked at for it. */
  way: OwnedWay | undefined
  /** Work that the call makes, to be done and paid for later. */
  batch: PlannedBatch | undefined
  /** Reads along what is uploaded, where it may hold such work. */
  batchFile: BatchFile | undefined
  /** 1 with the first request that leaves. */
  attempt: number
  /** When that one left, on the clock of `startedAt`. */
  sentAt: number
  /** An earlier attempt reached a provider. */
  arrived: boolean
  bytesIn: number
  /** Of the room for bodies in memory, until the call is over. */
  roomTaken: number
  /** How much of the body is prompt, for an estimate. */
  promptBytes: number
  bytesOut: number
  firstByteMs: number | null
  /** Time spent in soakp itself before the request left and before the reply's head went on, in milliseconds. */
  overheadMs: number
  upstreamRequestId: string | null
  /** What it costs, once it is recorded and where that is known. */
  charge: Charge | undefined
  /** The client is being answered, or has gone: no stage may start an answer of its own. */
  answered: boolean
  /** The entry is on its way to the ledger. */
  recorded: boolean
  /** For the client's next proof, where its token is bound to a key. */
  dpopNonce: string | undefined
  /** A page of the call's `Origin` may read the reply. */
  originAllowed: boolean
  /** Of an upgrade: subprotocols that are no secret, and the query without the token. */
  protocols: readonly string[]
  socketQuery: string
  /** What is under way for this call, to be ended with it. */
  under: Stoppable | undefined
  /** When the client has to have sent or taken its next piece, on the steady clock; 0 while nothing is awaited of it. */
  clientDeadlineAt: number
  /** The client went away, or the call was cut, before there was anything to stop. */
  stopped: StopReason | undefined
}

const none: readonly string[] = []

export function newExchange(call: Call, startedAt: number): Exchange {
  return {
    call,
    startedAt,
    head: undefined,
    grant: undefined,
    provider: undefined,
    endpoint: undefined,
    model: null,
    hold: undefined,
    asks: undefined,
    key: undefined,
    unified: undefined,
    rivals: undefined,
    inspected: undefined,
    named: undefined,
    way: undefined,
    batch: undefined,
    batchFile: undefined,
    attempt: 0,
    sentAt: startedAt,
    arrived: false,
    bytesIn: 0,
    roomTaken: 0,
    promptBytes: 0,
    bytesOut: 0,
    firstByteMs: null,
    overheadMs: 0,
    upstreamRequestId: null,
    charge: undefined,
    answered: false,
    recorded: false,
    dpopNonce: undefined,
    originAllowed: false,
    protocols: none,
    socketQuery: '',
    under: undefined,
    clientDeadlineAt: 0,
    stopped: undefined,
    bagIndex: -1,
  }
}

export interface Ending {
  /** False for an attempt that another one follows. */
  readonly final?: false
  readonly status: number
  readonly outcome: Outcome
  readonly errorCode: string | null
  readonly usage?: Usage | undefined
  readonly usageSource?: UsageSource
  readonly model?: string | undefined
  /** Instead of what the usage costs. */
  readonly charge?: Charge | undefined
}

/** The line that the ledger keeps of a call. Only for calls whose grant is known: what never got that far is nobody's. */
export function entryOf(exchange: Exchange, grant: LiveGrant, ending: Ending, charge: Charge | undefined, at: number): Entry {
  const { call, endpoint } = exchange
  const usage = ending.usage
  const parts = partsOf(usage)
  return {
    id: call.id,
    attempt: Math.max(1, exchange.attempt),
    final: ending.final ?? true,
    startedAtMs: call.startedAtMs,
    tenant: grant.record.tenant,
    grantId: grant.record.id,
    tokenId: grant.token.jti,
    subject: grant.record.subject,
    app: grant.record.app?.id ?? null,
    keyId: exchange.key?.id ?? null,
    provider: call.provider.slice(0, longest),
    method: (call.request.method ?? '').slice(0, longest),
    endpoint: endpoint?.pattern ?? call.path.slice(0, longest),
    model: (exchange.model ?? ending.model ?? null)?.slice(0, longest) ?? null,
    status: ending.status,
    outcome: ending.outcome,
    errorCode: ending.errorCode ?? marked(exchange),
    usageSource: ending.usageSource ?? 'none',
    inputTokens: usage?.inputTokens ?? 0,
    outputTokens: usage?.outputTokens ?? 0,
    cachedInputTokens: parts.cachedInputTokens,
    cacheWriteInputTokens: parts.cacheWriteInputTokens,
    reasoningTokens: parts.reasoningTokens,
    audioInputTokens: parts.audioInputTokens,
    audioOutputTokens: parts.audioOutputTokens,
    units: usage?.units ?? 0,
    unit: usage?.unit ?? null,
    costMicroDollars: charge?.microDollars ?? null,
    price: charge?.version ?? null,
    bytesIn: exchange.bytesIn,
    bytesOut: exchange.bytesOut,
    durationMs: Math.round(at - exchange.startedAt),
    firstByteMs: exchange.firstByteMs,
    address: call.address,
    upstreamRequestId: exchange.upstreamRequestId,
  }
}

type Parts = Omit<ModelTokens, 'inputTokens' | 'outputTokens'>

const noParts: Parts = { cachedInputTokens: 0, cacheWriteInputTokens: 0, reasoningTokens: 0, audioInputTokens: 0, audioOutputTokens: 0 }

/** Never more than what they are parts of, whatever a provider says: who adds up lines has to come out with something that can be. */
function partsOf(usage: Usage | undefined): Parts {
  if (!usage) return noParts
  const { inputTokens, outputTokens } = usage
  const cachedInputTokens = Math.min(usage.cachedInputTokens, inputTokens)
  return {
    cachedInputTokens,
    cacheWriteInputTokens: Math.min(usage.cacheWriteInputTokens, inputTokens - cachedInputTokens),
    reasoningTokens: Math.min(usage.reasoningTokens, outputTokens),
    audioInputTokens: Math.min(usage.audioInputTokens, inputTokens),
    audioOutputTokens: Math.min(usage.audioOutputTokens, outputTokens),
  }
}

/** A call that went through although a limit that is only watched would have refused it, or that took more than was held for it. */
function marked({ hold }: Exchange): ErrorCode | null {
  if (!hold) return null
  // where nothing was held, more than that was taken
  return hold.isOverrun && hold.wouldRefuse !== 'cost_unbounded' ? 'budget_overrun' : hold.wouldRefuse
}

/** Of a text that a client chose, so much is written down. */
const longest = 200

/** What is spoken where the call goes; undefined until that is known. */
export function dialectOf({ endpoint, provider }: Pick<Exchange, 'endpoint' | 'provider'>): Dialect | undefined {
  return endpoint?.dialect ?? provider?.dialect
}

/** What the request says of the bill, for replies that do not. */
export function assumedBy({ endpoint, inspected }: Exchange): Pick<Usage, 'units' | 'unit'> | undefined {
  if (inspected?.characters) return { units: inspected.characters, unit: 'characters' }
  if (endpoint?.bills === 'pictures') return { units: picturesOf(inspected), unit: 'images' }
  return endpoint?.perCall && { units: 1, unit: endpoint.perCall }
}

function picturesOf(inspected: Inspected | undefined): number {
  const many = Math.ceil(inspected?.choices ?? 1)
  return many >= 1 ? many : 1
}
