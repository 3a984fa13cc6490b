import type { Endpoint, ErrorFacts, Provider, Usage } from './provider.js'

/** Reads counts out of one message of the provider. Given and returned is what the whole connection has consumed so far; the same value where the message says nothing new. */
export type SocketReader = (message: unknown, total: Usage | undefined) => Usage | undefined

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
