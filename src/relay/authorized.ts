import { SoakpError } from '../errors.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import { askBytes, type Outbound } from '../lib/outbound.js'
import type { Secret } from '../lib/secret.js'
import { type StandIn, standIn } from '../lib/stand-in.js'
import type { Authorization, CallToAuthorize, Provider, UpstreamReply, UpstreamSink } from '../providers/provider.js'
import { toSoakpError } from './refuse.js'

/** What a row needs to know of a call, but for what only the relay can do. */
export type Unauthorized = Pick<CallToAuthorize, 'method' | 'origin' | 'path' | 'headers' | 'body'>

/** Headers as they leave, with a stand-in in each secret's place. */
export interface Authorized {
  readonly headers: readonly string[]
  readonly credential: Pick<StandIn, 'withdraw'>
  readonly proven: boolean
}

const issuerPatienceMs = 15_000

/** Lets the row sign a call, or fetch a token for it. Wipes the secret. Throws or rejects as `Provider.authorize` does. */
export function authorizeCall(
  provider: Provider,
  call: Unauthorized,
  secret: Secret,
  outbound: Outbound,
  allowPrivate: boolean,
): MaybePromise<Authorized> {
  if (!provider.authorize) throw new SoakpError('internal', `${provider.id} does not sign`)
  const post = (url: string, form: string) => postForm(outbound, allowPrivate, url, form)
  try {
    const authorization = provider.authorize({ ...call, nowMs: Date.now(), post }, secret)
    if (isPromise(authorization)) return authorization.then(given => withStandIns(call.headers, given)).finally(() => secret.wipe())
    secret.wipe()
    return withStandIns(call.headers, authorization)
  } catch (error) {
    secret.wipe()
    throw error
  }
}

function withStandIns(before: readonly string[], { headers, credentials, proven }: Authorization): Authorized {
  const out = [...before, ...headers]
  const standIns: StandIn[] = []
  const withdraw = () => {
    for (const each of standIns) each.withdraw()
  }
  try {
    for (const { name, word, secret } of credentials) {
      const credential = standIn(secret, 'header')
      standIns.push(credential)
      out.push(name, word === undefined ? credential.text : `${word} ${credential.text}`)
    }
  } catch (error) {
    withdraw()
    throw error
  } finally {
    for (const { secret } of credentials) secret.wipe()
  }
  return { headers: out, credential: { withdraw }, proven: proven === true }
}

async function postForm(outbound: Outbound, allowPrivate: boolean, url: string, form: string): Promise<{ status: number; body: Buffer }> {
  const { origin, pathname, search } = new URL(url)
  const headers = ['content-type', 'application/x-www-form-urlencoded', 'accept', 'application/json', 'accept-encoding', 'identity']
  try {
    const pool = outbound.pool(origin, allowPrivate)
    return await askBytes(pool, { method: 'POST', path: pathname + search, headers, body: form, timeoutMs: issuerPatienceMs })
  } catch (cause) {
    if (cause instanceof SoakpError) throw cause
    throw new SoakpError('provider_unreachable', 'Who issues its tokens cannot be reached.', { cause })
  }
}

/** A reply to a call that leaves only when its authorization has come. */
export class Awaited implements UpstreamReply {
  readonly #sink: UpstreamSink
  #reply: UpstreamReply | undefined
  #over = false

  /** `send` is called once, unless the reply was aborted before. */
  constructor(authorized: Promise<Authorized>, sink: UpstreamSink, send: (authorized: Authorized) => UpstreamReply) {
    this.#sink = sink
    authorized.then(
      given => this.#leave(given, send),
      error => this.#fail(error),
    )
  }

  get isSent(): boolean {
    return this.#reply !== undefined && this.#reply.isSent !== false
  }

  #leave(given: Authorized, send: (authorized: Authorized) => UpstreamReply): void {
    if (this.#over) {
      given.credential.withdraw()
      return
    }
    try {
      this.#reply = send(given)
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#over = true
    this.#sink.fail(toSoakpError(error))
  }

  abort(): void {
    this.#over = true
    this.#reply?.abort()
  }

  resume(): void {
    this.#reply?.resume()
  }
}
