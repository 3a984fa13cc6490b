import { refusedBy, SoakpClientError } from './error.js'
import { forgetKeyPair, keptKeyPair } from './key-store.js'
import { type HeldKey, heldKey, newKeyPair } from './proof.js'
import { createTokens, type HeldToken, type IssuedToken } from './tokens.js'

export type { IssuedToken }
export { SoakpClientError }

export interface ClientOptions {
  /** Where soakp is: `https://soakp.example.com`. */
  readonly url: string
  /** Asks the app's own backend for an access token, which asks soakp (`/auth/token`). */
  readonly token?: (ask: TokenAsk) => Promise<IssuedToken | string>
  /** Or: the JWT of a trusted issuer (Firebase, Auth0 …), which is exchanged at soakp. Asked for anew each time. */
  readonly issuerToken?: () => string | Promise<string>
  /** Binds every token to a key that cannot leave this browser. The app has to be made with `--dpop`, or accept it. */
  readonly dpop?: boolean
  /** `indexeddb`: the key outlives the page and is shared by its tabs. */
  readonly keepKey?: 'indexeddb' | 'memory'
}

export interface TokenAsk {
  /** With `dpop`: the thumbprint of the key, which the backend sends to `/auth/token` as `jkt`. */
  readonly jkt: string | undefined
}

export interface Client {
  readonly url: string
  /** For any SDK that takes a `fetch`. Puts in the access token, renews it in time, and calls nobody but soakp. */
  readonly fetch: typeof globalThis.fetch
  /** The access token, for what takes no `fetch`. Of no use by itself where it is bound to a key. */
  token(): Promise<string>
  /** What a WebSocket is opened with in the token's place; `path` is that of the socket, such as `/openai/v1/realtime`. With `dpop` good for one of them. */
  socketToken(path: string): Promise<string>
  /**
   * Puts `fetch` in place of the page's own for calls to soakp below `path`, for SDKs that take none; other calls go on as before. Returns how to undo it. Where the app's backend
   * has the same origin as soakp, `path` has to leave it out.
   */
  install(path?: string): () => void
  /** Ends the access token at soakp and forgets it. `all`: every token of the user. */
  logout(options?: { readonly all?: boolean }): Promise<void>
}

/** Headers in which SDKs put what they take for a provider's key. */
const keyHeaders = ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'xi-api-key', 'x-subscription-token', 'dpop']

/** A nonce is good for 5 minutes at least. */
const nonceMs = 240_000

/** A client of soakp for web pages. It needs nothing but the browser. */
export function createClient(options: ClientOptions): Client {
  const { origin } = new URL(options.url)
  const native = globalThis.fetch.bind(globalThis)
  const tokens = createTokens(first, held => post('/auth/refresh', {}, held))
  let key: Promise<HeldKey> | undefined
  let nonce: { readonly text: string; readonly at: number } | undefined
  let asking: Promise<void> | undefined
  /** Of soakp's clock beyond ours. */
  let skewMs = 0

  function keyOf(): Promise<HeldKey> | undefined {
    if (!options.dpop) return undefined
    key ??= (options.keepKey === 'memory' ? newKeyPair() : keptKeyPair(origin)).then(heldKey)
    return key
  }

  async function first(): Promise<IssuedToken | string> {
    if (options.token) return options.token({ jkt: (await keyOf())?.thumbprint })
    if (options.issuerToken) return post('/auth/exchange', { token: await options.issuerToken() })
    throw new SoakpClientError('createClient needs token or issuerToken, to have access tokens from')
  }

  /** Asks soakp about a token; with `held`, the one that it is about. */
  async function post<T>(path: string, body: object, held?: HeldToken): Promise<T> {
    const url = new URL(path, origin)
    for (let tries = 0; ; tries++) {
      const headers = await authorized(new Headers({ 'content-type': 'application/json' }), 'POST', url, held)
      const response = await native(url, { method: 'POST', headers, body: JSON.stringify(body), credentials: 'omit' })
      learn(response)
      if (response.ok) return (await response.json()) as T
      // a proof that was made before soakp's clock or nonce was known
      if (tries > 0 || !isAboutProof(response)) throw await refusedBy(response, `soakp refused ${path}`)
    }
  }

  async function authorized(headers: Headers, method: string, url: URL, held: HeldToken | undefined): Promise<Headers> {
    const proving = await keyOf()
    const token = held?.token
    if (token !== undefined) headers.set('authorization', `${proving ? 'DPoP' : 'Bearer'} ${token}`)
    if (!proving) return headers
    if (token !== undefined) await freshNonce()
    const proof = { method, url, atMs: Date.now() + skewMs, nonce: nonce?.text }
    headers.set('dpop', await proving.prove(token === undefined ? proof : { ...proof, token }))
    return headers
  }

  /** Asked for before a call rather than learnt from its refusal, which would send the body twice. `isNew`: whatever is known. */
  async function freshNonce(isNew = false): Promise<void> {
    if (!isNew && nonce !== undefined && Date.now() - nonce.at < nonceMs) return
    asking ??= native(new URL('/auth/nonce', origin), { credentials: 'omit' })
      .then(learn)
      // the call itself will say it better
      .catch(() => {})
      .finally(() => {
        asking = undefined
      })
    await asking
  }

  function learn(response: Response): void {
    const told = response.headers.get('dpop-nonce')
    if (told !== null) nonce = { text: told, at: Date.now() }
    const date = response.status === 204 || response.status === 401 ? response.headers.get('date') : null
    const off = date === null ? Number.NaN : Date.parse(date) - Date.now()
    if (!Number.isNaN(off)) skewMs = Math.abs(off) > 30_000 ? off : 0
  }

  async function call(input: Parameters<typeof native>[0], init: Parameters<typeof native>[1] = {}): Promise<Response> {
    const asked = input instanceof Request ? input : undefined
    const url = urlOf(input)
    if (url.origin !== origin) throw new SoakpClientError(`this fetch calls ${origin} alone, not ${url.origin}: is the SDK's base URL set?`)
    const method = (init.method ?? asked?.method ?? 'GET').toUpperCase()
    const signal = init.signal ?? asked?.signal
    // a stream can be sent once
    const isOnce = init.body instanceof ReadableStream
    const { taken } = tokens
    let renewed = false
    for (let tries = 0; ; tries++) {
      const headers = new Headers(init.headers ?? asked?.headers)
      for (const name of keyHeaders) headers.delete(name)
      const held = await unlessAborted(tokens.get(), signal)
      await unlessAborted(authorized(headers, method, url, held), signal)
      const response = await native(asked?.clone() ?? input, { ...init, headers, credentials: 'omit', redirect: 'error' })
      learn(response)
      if (response.status !== 401 || challengeOf(response) === undefined) return response
      const isOfToken = !isAboutProof(response)
      if (isOfToken) tokens.drop(held)
      if (isOnce || tries === 2 || (renewed && isOfToken) || tokens.taken > taken) return response
      renewed ||= isOfToken
      await response.body?.cancel()
    }
  }

  async function current(): Promise<HeldToken> {
    return tokens.get()
  }

  return {
    url: origin,
    fetch: call,

    async token() {
      return (await current()).token
    },

    async socketToken(path) {
      const { token } = await current()
      const proving = await keyOf()
      if (!proving) return token
      // why a socket is refused cannot be read in a page, so nothing could be learnt from it
      await freshNonce(true)
      const proof = await proving.prove({ method: 'GET', url: new URL(path, origin), atMs: Date.now() + skewMs, token, nonce: nonce?.text })
      return `${token}~${proof}`
    },

    install(path = '/') {
      const before = globalThis.fetch
      const installed: typeof globalThis.fetch = (input, init) => {
        const url = urlOf(input)
        return url.origin === origin && url.pathname.startsWith(path) ? call(input, init) : before(input, init)
      }
      globalThis.fetch = installed
      return () => {
        if (globalThis.fetch === installed) globalThis.fetch = before
      }
    },

    async logout({ all = false } = {}) {
      const held = await tokens.take()
      try {
        if (held) await post('/auth/logout', { all }, held)
      } finally {
        if (options.dpop && options.keepKey !== 'memory') await forgetKeyPair(origin)
        key = undefined
      }
    },
  }
}

function urlOf(input: Parameters<typeof globalThis.fetch>[0]): URL {
  const { location } = globalThis as { location?: { readonly href: string } }
  return new URL(input instanceof Request ? input.url : String(input), location?.href)
}

/** Of soakp's own refusals; a provider's 401 carries none. */
function challengeOf(response: Response): string | undefined {
  const challenge = response.headers.get('www-authenticate')
  return challenge?.includes('realm="soakp"') ? challenge : undefined
}

/** The token may be good; the proof of its key was not, or lacked the nonce that came with this reply. */
function isAboutProof(response: Response): boolean {
  return response.status === 401 && /"(?:use_dpop_nonce|invalid_dpop_proof)"/.test(challengeOf(response) ?? '')
}

/** Who leaves does not wait; what others wait for goes on. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason)
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}
