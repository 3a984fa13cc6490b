import { createHash } from 'node:crypto'
import { SoakpError } from '../../errors.js'
import { patiently, type Run } from './patience.js'
import { AcmeError, clean, problemOf, protocolProblem, type Reply } from './problem.js'
import type { Transport } from './transport.js'
import { type Directory, readDirectory } from './wire.js'

/** An external account binding: RFC 8555 section 7.3.4. The HMAC key is a secret, base64url as CAs hand it out. */
export interface ExternalAccount {
  readonly kid: string
  readonly hmacKey: string
}

export interface SessionOptions {
  readonly directoryUrl: string
  /** PEM. */
  readonly accountKey: Buffer
  /** Absent: the key speaks for itself, as in newAccount and in a revocation by a certificate's own key. */
  readonly accountUrl?: string | undefined
  readonly externalAccount?: ExternalAccount | undefined
  readonly transport: Transport
  readonly run: Run
}

export interface PostOptions {
  /** Signs with the key itself in place of the account's URL. */
  readonly byKey?: boolean
  readonly bindExternalAccount?: boolean
  /** A lost answer is thrown at once: whoever asks has to find out first whether it was done. */
  readonly once?: boolean
}

/**
 * Signed requests to one CA under one key. acme-client signs, fetches nonces and repeats after `badNonce`; sockets, time limits, retries and errors are ours.
 * Every method throws `AcmeError`, or `cancelled`.
 */
export interface Session {
  readonly directoryUrl: string
  readonly accountUrl: string | undefined
  /** RFC 7638, of the account key. */
  readonly thumbprint: string
  directory(): Promise<Directory>
  /** `payload` null: POST-as-GET. `doing` begins the error: `new order`. */
  post(doing: string, url: string, payload: object | null, options?: PostOptions): Promise<Reply>
  /** Unsigned, and tried twice only, because nothing depends on it: renewalInfo. */
  get(doing: string, url: string): Promise<Reply>
  /** What this key signs about `payload` for `url`, without a nonce: the inner part of a key change. */
  sign(url: string, payload: object): unknown
  /** Public part of the key. */
  readonly jwk: object
  /** The same key, from now on under this account. */
  withAccount(accountUrl: string): Session
}

/** What is used of acme-client's `HttpClient`, which its types leave out. */
interface Signer {
  maxBadNonceRetries: number
  request(url: string, method: string, options?: { readonly data?: unknown }): Promise<Reply>
  getDirectory(): Promise<unknown>
  getJwk(): object
  createSignedBody(url: string, payload: object | null): unknown
  signedRequest(
    url: string,
    payload: object | null,
    options: { readonly kid: string | null; readonly nonce: string | null; readonly includeExternalAccountBinding: boolean },
  ): Promise<Reply>
}

/** A CA under load may refuse several nonces in a row. Of 40 in 100, this many in a row are never seen. */
const nonceRetries = 40

export async function openSession(options: SessionOptions): Promise<Session> {
  const { directoryUrl, accountKey, externalAccount, transport, run } = options
  // it brings an HTTP client of its own, which a daemon that renews twice a day need not carry from its start
  const { Client } = await import('acme-client')
  const client = new Client({
    directoryUrl,
    accountKey,
    ...(externalAccount === undefined ? {} : { externalAccountBinding: externalAccount }),
  })
  const signer = signerOf(client)
  signer.maxBadNonceRetries = nonceRetries
  signer.request = (url, method, { data } = {}) => ask(url, methodOf(method), data)

  async function ask(url: string, method: 'GET' | 'HEAD' | 'POST', data: unknown): Promise<Reply> {
    const reply = await transport.send(url, method, data === undefined ? undefined : JSON.stringify(data), run.signal)
    // acme-client looks at statuses of POST only, and it has to see badNonce
    if (reply.status >= 300 && method !== 'POST') throw new AcmeError(pathOf(url), problemOf(reply, run.now()))
    return reply
  }

  // each answer brings the nonce of the next request: acme-client would fetch one for every request
  const nonces: string[] = []
  function keepNonce(reply: Reply): void {
    const nonce = reply.headers['replay-nonce']
    if (nonce !== undefined && nonces.length < 8) nonces.push(nonce)
  }

  let directory: Promise<Directory> | undefined
  function readOnce(): Promise<Directory> {
    const work = () => named('directory', async () => readDirectory(await signer.getDirectory(), directoryUrl))
    directory ??= patiently(run, work).catch(error => {
      directory = undefined
      throw error
    })
    return directory
  }

  function under(accountUrl: string | undefined): Session {
    return {
      directoryUrl,
      accountUrl,
      thumbprint: createHash('sha256').update(JSON.stringify(signer.getJwk())).digest('base64url'),
      directory: readOnce,
      jwk: signer.getJwk(),
      sign: (url, payload) => signer.createSignedBody(url, payload),
      withAccount: under,
      get: (doing, url) => patiently(run, () => named(doing, () => ask(url, 'GET', undefined)), undefined, 2),
      async post(doing, url, payload, { byKey = false, bindExternalAccount = false, once = false } = {}) {
        await readOnce()
        const kid = byKey || accountUrl === undefined ? null : accountUrl
        const work = () =>
          named(doing, async () => {
            // a copy, because acme-client writes the binding into it
            const reply = await signer.signedRequest(url, payload === null ? null : { ...payload }, {
              kid,
              nonce: nonces.pop() ?? null,
              includeExternalAccountBinding: bindExternalAccount,
            })
            keepNonce(reply)
            if (reply.status >= 300) throw new AcmeError(pathOf(url), problemOf(reply, run.now()))
            return reply
          })
        return patiently(run, work, once ? error => error.problem.type !== 'network' && error.code !== 'acme_refused' : undefined)
      },
    }
  }
  return under(options.accountUrl)
}

/** Errors begin with what was being done. */
async function named<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AcmeError) {
      const hint = error.hint === undefined ? {} : { hint: error.hint }
      throw new AcmeError(doing, error.problem, { cause: error.cause ?? error, ...hint })
    }
    if (error instanceof SoakpError || !(error instanceof Error)) throw error
    // acme-client's own: no nonce came, the directory is empty
    throw new AcmeError(doing, protocolProblem(clean(error.message)), { cause: error })
  }
}

function methodOf(method: string): 'GET' | 'HEAD' | 'POST' {
  const upper = method.toUpperCase()
  return upper === 'HEAD' || upper === 'POST' ? upper : 'GET'
}

function pathOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url.slice(0, 200)
}

function signerOf(client: object): Signer {
  const http: unknown = Reflect.get(client, 'http')
  if (!isSigner(http)) throw new Error('acme-client is not the version that soakp was made for')
  return http
}

function isSigner(value: unknown): value is Signer {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['request', 'getDirectory', 'getJwk', 'createSignedBody', 'signedRequest'].every(
      name => typeof Reflect.get(value, name) === 'function',
    ) &&
    typeof Reflect.get(value, 'maxBadNonceRetries') === 'number'
  )
}
