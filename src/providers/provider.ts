import type { MaybePromise } from '../lib/maybe.js'
import type { Secret } from '../lib/secret.js'
import type { Ownership } from './resources/resource.js'
import type { SocketEndpoint } from './sockets/socket.js'
import type { Usage, UsageCount, UsageUnit } from './usage-counts.js'

export { type ExtraCount, extraCounts, type ModelPart, type Usage, type UsageCount, type UsageUnit } from './usage-counts.js'

/**
 * How a provider's credential travels. `bearer`: `Authorization: Bearer KEY`; `basic`: `Authorization: Basic`, the key being `USER:PASSWORD`; `header`: the key in
 * the named header, bare or behind a word (`Authorization: Token KEY`); `query`: the key in the named query parameter, for services that know nothing else;
 * `none`: not at all, for services that ask for no key. On the CLI: `bearer`, `basic`, `header:NAME`, `header:NAME:WORD`, `query:NAME`, `none`.
 */
export type AuthScheme =
  | { readonly type: 'bearer' }
  | { readonly type: 'basic' }
  | { readonly type: 'header'; readonly name: string; readonly word?: string }
  | { readonly type: 'query'; readonly name: string }
  | { readonly type: 'none' }

/**
 * What kind of thing an endpoint does; decides whether a grant opens it by itself.
 * - `inference`: open by default
 * - `account`: reads or changes what belongs to the whole account at the provider (files, batches, histories); closed unless a grant names it
 * - `credential`: hands out real credentials; closed unless a grant names it
 * - `administration`: runs the account; closed unless a grant names it
 */
export type EndpointClass = 'inference' | 'account' | 'credential' | 'administration'

/**
 * Where the model of a call stands. `json`: a JSON pointer (RFC 6901) into the request body, in which a `*` segment stands for every member;
 * `path`: what `{model}` in the endpoint's pattern matched; `query`: a query parameter; `multipart`: a form field.
 */
export type ModelPlace =
  | { readonly in: 'json'; readonly pointer: string }
  | { readonly in: 'path' }
  | { readonly in: 'query'; readonly name: string }
  | { readonly in: 'multipart'; readonly field: string }

/**
 * A row of a provider's table. `pattern` is a path relative to the provider's origin, beginning with `/`: `*` stands for anything within one segment,
 * `{model}` likewise and is remembered, `{model+}` for one segment or more, a last segment `**` for the rest of the path and for nothing at all (`/v1/files/**` matches `/v1/files`).
 */
export interface Endpoint {
  /** Upper case, or `*` for any. */
  readonly method: string
  readonly pattern: string
  readonly class: EndpointClass
  /** Every place a model can stand; empty where the call has none. */
  readonly models: readonly ModelPlace[]
  /** The endpoint gives `stream_options` its OpenAI meaning, so that usage can be asked for in a stream. */
  readonly includeUsage?: boolean
  /** A call consumes model tokens, so that where the reply tells none they are estimated. `input`: of these only, as embeddings do. */
  readonly estimate?: true | 'input'
  /** Where the endpoint speaks another dialect than its provider. */
  readonly dialect?: Dialect
  /** What of the request is billed where the reply does not tell: the characters of the texts at these JSON pointers. Recorded as estimated. */
  readonly countsText?: readonly string[]
  /** Billed with nothing. */
  readonly free?: true
  /**
   * What its cost goes by besides or instead of the text in it, so that a budget looks for that in its body. `pictures`: how many are asked for, and how large and good; one that succeeds without a
   * word about it is recorded as so many pictures. `sound`: how long the sound in it is. `documents`: how many are ranked, and the question with each.
   */
  readonly bills?: 'pictures' | 'sound' | 'documents'
  /** JSON pointer of a list each text or list of which is answered by itself, as long as the most output; a list of numbers is one prompt. */
  readonly prompts?: string
  /** A call that succeeds is billed as one of these, where the reply does not tell. Recorded as estimated. */
  readonly perCall?: UsageUnit
  /** What its calls make, name and list of things that belong to somebody. An account row without it is not tracked. */
  readonly owns?: Ownership
}

/** What the body of an error reply is made from. `type` is a code of errors.ts. */
export interface ErrorFacts {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly requestId: string
}

/** A wire format that several providers may share: how its errors look and where its numbers stand. */
export interface Dialect {
  readonly name: string
  /** The JSON of an error in the shape the dialect's SDKs know. */
  errorBody(error: ErrorFacts): unknown
  /** Names of JSON members that announce usage; a reply or event without any of them is not parsed. */
  readonly usageMembers: readonly string[]
  /**
   * Reads usage out of a parsed JSON reply or stream event. Returns what is known after it: `soFar` unchanged when it says nothing new. Cumulative counts overlay,
   * they are never added and never taken back to nothing.
   */
  readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined
  /** Reply headers, lower case, that state usage; what the body says overlays it. */
  readonly usageHeaders?: Readonly<Record<string, UsageCount>>
  /** JSON pointers at which a request body states the most output it wants, in model tokens. */
  readonly maxOutputPointers: readonly string[]
  /** JSON pointers at which a request body states how many answers it wants; each of them may be as long as the most output. */
  readonly choicesPointers: readonly string[]
  /** JSON pointer of the request's stream switch, where the dialect has one. */
  readonly streamPointer?: string
  /** Names of the string members that hold generated text in a reply or stream event: what an estimate counts. */
  readonly textMembers: readonly string[]
  /** Streams hold their events wrapped in another: gives the inner one, or what it was given. Only for `application/vnd.amazon.eventstream`. */
  unwrap?(event: Buffer): Buffer
  /** Name of the member of a reply that says which model answered. */
  readonly modelMember: string
  /** What may stand before a model's name in a body without being a part of it. */
  readonly modelPrefix?: string
}

/** What a provider says about a key when asked. */
export interface KeyCheck {
  readonly method: string
  /** Relative to the origin. */
  readonly path: string
  /** Whom to ask, given the origin that the key's calls go to; without it, that one. Must answer with another host only where the given one is the provider's own. */
  origin?(origin: string): string
  readonly headers?: Readonly<Record<string, string>>
  /** JSON to send. */
  readonly body?: string
  /** Statuses that mean: the key works. One that stands in `refused` too is told by `keyRefused`. */
  readonly works: readonly number[]
  /** Statuses that mean: the provider knows the key, but it may not do this. */
  readonly restricted: readonly number[]
  /** Statuses that mean: the provider refuses the key. Any status in no list says nothing. */
  readonly refused: readonly number[]
}

/** A form of key that the provider issues (or that must not be stored). Only ever a hint: forms change. */
export interface KeyHint {
  readonly pattern: RegExp
  /** What a key of this form is, when it is one that should not be used here, such as an organisation's admin key. */
  readonly warn?: string
}

/** A further host of a provider: calls whose path begins with `prefix` (whole segments) go there. The endpoints' patterns hold the prefix. */
export interface Host {
  /** Begins with a slash and does not end with one. */
  readonly prefix: string
  /** Scheme, host and port, without a trailing slash. */
  readonly origin: string
  /** The prefix is ours, made up to tell the host, and is taken off before the call leaves. */
  readonly strips?: true
}

/** What a key's base URL looks like at a service that lives at a resource's, a region's or one's own address. */
export interface BaseUrlHint {
  /** With placeholders in capital letters: `https://RESOURCE.openai.azure.com`. */
  readonly example: string
  /** There is no address that could be used without one; `origin` then names a host that does not exist. */
  readonly required: boolean
  /** What stands for the placeholders and where it is found: one sentence. */
  readonly note: string
}

/** A call that is about to leave, for a row that signs its calls or trades its secret for a token. */
export interface CallToAuthorize {
  readonly method: string
  /** Where it goes: scheme, host and port. */
  readonly origin: string
  /** Path and query as they leave. */
  readonly path: string
  /** Names in lower case and values in turn, without any credential. */
  readonly headers: readonly string[]
  /** The whole body; undefined where there is none, or where it was not read because the row does not say `signsBody`. */
  readonly body: Buffer | undefined
  readonly nowMs: number
  /** Sends a form to somebody who issues tokens; the reply whole, up to 64 KB. Rejects with `provider_unreachable`, `base_url_refused`. */
  post(url: string, form: string): Promise<{ readonly status: number; readonly body: Buffer }>
}

/** What a call leaves with. */
export interface Authorization {
  /** Names in lower case and values in turn: nothing secret. */
  readonly headers: readonly string[]
  /** What is secret, header by header; the relay wipes it. */
  readonly credentials: readonly { readonly name: string; readonly word?: string; readonly secret: Secret }[]
  /** Whoever issues tokens took the key just now, or lately. */
  readonly proven?: true
}

/** Absolute URLs in replies that a client must call next. Those on the provider's own hosts are rewritten to ours, so that the next call comes here too. */
export interface CalledNext {
  /** Reply headers, lower case. */
  readonly headers: readonly string[]
  /** Names of string members of JSON replies, at any depth. */
  readonly members: readonly string[]
}

/** One AI service, as data. The relay decides timeouts, retries and aborts; a provider only knows its dialect. */
export interface Provider {
  readonly id: string
  /** Other names it is called by, in paths and on the CLI. */
  readonly aliases?: readonly string[]
  readonly title: string
  /** Scheme, host and port, without a trailing slash. A key's base URL replaces it. */
  readonly origin: string
  /** Further hosts. A key's base URL replaces these too: its key goes nowhere else. */
  readonly hosts?: readonly Host[]
  readonly baseUrl?: BaseUrlHint
  readonly auth: AuthScheme
  readonly dialect: Dialect
  readonly keyHints: readonly KeyHint[]
  readonly keyCheck: KeyCheck | undefined
  readonly endpoints: readonly Endpoint[]
  /** Where it takes WebSocket connections. */
  readonly sockets?: readonly SocketEndpoint[]
  /** Path prefix of the provider's OpenAI-compatible API, where it has one: `/v1`, `/openai/v1`. */
  readonly compatiblePath?: string
  /** Path prefix of the provider's Anthropic-compatible API, below which `/messages` is: `/v1`, `/anthropic/v1`. */
  readonly messagesPath?: string
  /** Sent when the client did not send them, names in lower case. */
  readonly defaultHeaders: Readonly<Record<string, string>>
  /** Request headers, lower case, that the global deny-list drops but this provider needs from the client. */
  readonly allowRequestHeaders: readonly string[]
  /** Request headers, lower case, dropped for this provider on top of the global deny-list; `*` at the end stands for any rest. */
  readonly dropRequestHeaders: readonly string[]
  /** A request header, lower case, whose value is a list (RFC 9110, section 5.6.1), and which of its members never travel. */
  readonly gatedHeader?: { readonly name: string; readonly drops: RegExp }
  /** Response headers, lower case, dropped on top of the global deny-list. */
  readonly dropResponseHeaders: readonly string[]
  /** Which header carries a key's organization and project, where the provider has such. */
  readonly organizationHeader?: string
  readonly projectHeader?: string
  /** A query parameter in which the client's access token may stand (on upgrades). */
  readonly tokenQuery?: string
  readonly calledNext?: CalledNext
  /** `authorize` needs the body: it is read into memory, whatever it is. */
  readonly signsBody?: true
  /**
   * Takes the place of `auth` where a key's own scheme was not said on the CLI. The secret is good until the promise settles, and is the caller's to wipe. Throws
   * `provider_key_rejected` where whoever issues tokens refuses the key, `provider_unreachable` where nobody can be asked, `key_unreadable` for what is no key.
   */
  authorize?(call: CallToAuthorize, secret: Secret): MaybePromise<Authorization>
  /** What `authorize` last had issued for this key, if it lives on: as secret as the key. A copy, for the caller to wipe. */
  issued?(secret: Secret): Secret | undefined
  /** Whether an error reply means that the provider refuses our key, not the call. `body` is its first 64 KB as text. */
  keyRefused(status: number, body: string): boolean
  /** What of this row is not from the provider's own pages, SDK or description of its API, as ends of the sentence "not verified: …". */
  readonly unverified?: readonly string[]
  /** Present on a provider that is answered inside the process. */
  readonly serve?: LocalUpstream
}

/** A request as it leaves for a provider. Header names are lower case, names and values in turn. */
export interface UpstreamRequest {
  readonly method: string
  /** Path and query, relative to the origin. */
  readonly path: string
  readonly headers: readonly string[]
  /** The whole body, or its stream, or nothing. */
  readonly body: Buffer | NodeJS.ReadableStream | undefined
}

/**
 * Receives a reply. `head` comes once, then `data` any number of times, then exactly one of `end` and `fail`; after `abort` nothing more comes.
 * `data` returns false when the receiver wants a pause, ended by `resume`.
 */
export interface UpstreamSink {
  head(status: number, rawHeaders: readonly Buffer[] | readonly string[]): void
  data(chunk: Buffer): boolean
  end(): void
  fail(error: Error): void
}

/** A reply under way. Both calls are harmless after its end. */
export interface UpstreamReply {
  /** False: the provider cannot have seen any of the request. */
  readonly isSent?: boolean
  abort(): void
  resume(): void
}

/** Answers a request without a network. Must not call the sink before it returns. */
export type LocalUpstream = (request: UpstreamRequest, sink: UpstreamSink) => UpstreamReply
