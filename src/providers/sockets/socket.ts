import type { Endpoint, ErrorFacts, Provider, Usage } from '../provider.js'

/** Reads counts out of one message of the provider. Given and returned is what the whole connection has consumed so far; the same value where the message says nothing new. */
export type SocketReader = (message: unknown, total: Usage | undefined) => Usage | undefined

/** Reads along where a conversation stands. Counts are model tokens. */
export interface Conversation {
  /** Answers that were asked for or have begun, and are not reported yet. */
  readonly open: number
  /** What the next answer is billed for as input, of all that came before the last report. */
  readonly context: number
  /** Most output of one answer. */
  readonly mostOutput: number
  /** A message of the client's, by its type and the output it asks for. */
  asked(type: string | undefined, output: unknown): void
  /** The last of them did not go on. */
  withdrawn(): void
  /** A message of the provider's. `reported`: the counts of an answer came with it. */
  heard(message: unknown): 'reported' | 'changed' | 'nothing'
}

/** Where a message carries sound or pictures as base64. */
export interface MediaPlace {
  readonly at: string
  /** How few characters of it can be one model token. */
  readonly bytesPerToken?: number
  /** Each counts so much, whatever its size. */
  readonly tokens?: number
}

/** What bounds the cost of a connection ahead, so that a budget can hold it. */
export type SocketBound =
  /** Each message of one of the row's `workTypes` is a call of its own, bounded by what it says; messages of other types do not work. */
  | { readonly by: 'calls' }
  /** Answers, each billed with all that was said before it. */
  | {
      readonly by: 'answers'
      /** A new reader for each connection. */
      readonly conversation: () => Conversation
      /** One of these stands in each message of the provider that the reader has to see. */
      readonly signs: readonly string[]
      /** What can be said to it in a minute: the sound as the provider counts it, and some text. */
      readonly minuteTokens: number
      readonly media: readonly MediaPlace[]
      /** JSON pointers at which a message states the most output it wants. */
      readonly outputs: readonly string[]
      /** No answer has more model tokens, whatever is asked for. */
      readonly longest: number
    }
  /** The length of the sound sent, which is not longer than the connection is open; or the time it is open. */
  | { readonly by: 'audioSeconds' }
  /** The texts at `textPointers`. */
  | { readonly by: 'characters' }

/**
 * A path at which a provider takes WebSocket connections. Its `models` are the places of the upgrade request (path and query); those in messages stand in
 * `messageModels`.
 */
export interface SocketEndpoint extends Endpoint {
  readonly method: 'GET'
  /** Query parameters in which the access token may stand. None of them travels. */
  readonly tokenQuery: readonly string[]
  /** JSON pointers at which a message of the client names a model. */
  readonly messageModels: readonly string[]
  /** Messages of these `type`s start work of their own: under a rule about models each of them has to name one. */
  readonly workTypes: readonly string[]
  /** JSON pointers at which such a message states the most output it wants. Empty: nothing here can limit the output. */
  readonly maxOutputPointers: readonly string[]
  /** JSON pointers at which a message of the client may carry a credential. */
  readonly credentialPointers: readonly string[]
  /** JSON pointers of texts that are billed by their characters. */
  readonly textPointers: readonly string[]
  /** Binary messages of the client are media; else they are JSON, as text messages are. */
  readonly takesMedia: boolean
  /** How usage is told where the provider's counts have not come. */
  readonly estimates: 'tokens' | 'audioSeconds' | 'nothing'
  /** Names of the JSON members that announce counts in the provider's messages; one without any of them is not parsed. */
  readonly countMembers: readonly string[]
  /** A new reader for each connection. */
  readonly reader: () => SocketReader
  /** Undefined: nothing bounds what it costs. */
  readonly bound?: SocketBound
  /** An error as a message of the provider's, for SDKs to raise. Undefined where the provider has none, and only the close frame tells. */
  readonly errorMessage: (error: ErrorFacts) => unknown
}

type Row = Partial<Omit<SocketEndpoint, 'method' | 'pattern'>>

/** A row with everything that is usual. */
export function socket(pattern: string, row: Row): SocketEndpoint {
  return {
    method: 'GET',
    pattern,
    class: 'inference',
    models: [],
    tokenQuery: [],
    messageModels: [],
    workTypes: [],
    maxOutputPointers: [],
    credentialPointers: [],
    textPointers: [],
    takesMedia: false,
    estimates: 'nothing',
    countMembers: [],
    reader: () => (_, total) => total,
    errorMessage: () => undefined,
    ...row,
  }
}

const views = new WeakMap<Provider, Provider>()

/** The provider as an upgrade meets it: its sockets, and the paths that are closed whatever is asked there. */
export function asSocketProvider(provider: Provider): Provider {
  let view = views.get(provider)
  if (!view) {
    view = { ...provider, endpoints: [...(provider.sockets ?? []), ...provider.endpoints.filter(row => row.class !== 'inference')] }
    views.set(provider, view)
  }
  return view
}

export function isSocketEndpoint(endpoint: Endpoint | undefined): endpoint is SocketEndpoint {
  return endpoint !== undefined && 'messageModels' in endpoint
}
