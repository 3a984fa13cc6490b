import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { rootCertificates } from 'node:tls'
import { SoakpError } from '../../errors.js'
import { AcmeError, networkProblem, type Reply } from './problem.js'

/**
 * Asks a CA over HTTPS, once. Any status is an answer; throws `AcmeError` of type `network` where there is none, `cancelled` when the run is stopped.
 * Redirects are not followed and proxies in the environment not used: a CA's URLs are final.
 */
export interface Transport {
  send(url: string, method: 'GET' | 'HEAD' | 'POST', body: string | undefined, signal: AbortSignal, contentType?: string): Promise<Reply>
  /** Closes connections that are kept open. */
  close(): void
}

export interface TransportOptions {
  /** PEM file of certificates to trust beside the public ones: for a private CA. */
  readonly acmeCaFile?: string | undefined
  /** How long one answer may take, from the connection to its last byte. 30 s unless told. */
  readonly timeoutMs?: number
}

/** A certificate chain is a few kilobytes; whoever sends more is no CA. */
const maxBytes = 1_000_000
const defaultTimeoutMs = 30_000
/** While the DNS is waited for a CA may hang up: a connection is used again only when it was used just now. */
const idleMs = 10_000

/** Codes of OpenSSL and Node for a server whose certificate is not to be trusted. */
const untrusted = /^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|ERR_TLS_CERT_|INVALID_CA|HOSTNAME_MISMATCH)/

export function makeTransport(options: TransportOptions = {}): Transport {
  const { timeoutMs = defaultTimeoutMs } = options
  const trust = options.acmeCaFile === undefined ? {} : { ca: [...rootCertificates, readCa(options.acmeCaFile)] }
  const agent = new Agent({ keepAlive: true, maxSockets: 4, timeout: idleMs, ...trust })
  return {
    send: (url, method, body, signal, contentType = 'application/jose+json') =>
      send(agent, timeoutMs, url, method, body === undefined ? undefined : { text: body, contentType }, signal),
    close: () => agent.destroy(),
  }
}

/** The certificates in `SOAKP_ACME_CA_FILE`. */
function readCa(file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new SoakpError('file_refused', file, { cause, hint: 'SOAKP_ACME_CA_FILE names the certificate of a private CA.' })
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw new SoakpError('file_refused', `${file} holds no certificate in PEM.`, {
      hint: 'SOAKP_ACME_CA_FILE names the certificate of a private CA.',
    })
  }
  return text
}

function send(
  agent: Agent,
  timeoutMs: number,
  url: string,
  method: string,
  body: { readonly text: string; readonly contentType: string } | undefined,
  signal: AbortSignal,
): Promise<Reply> {
  if (!/^https:\/\//i.test(url) || !URL.canParse(url)) {
    throw new AcmeError(`${method} ${url.slice(0, 200)}`, networkProblem('a CA is reached by https only'))
  }
  if (signal.aborted) throw new SoakpError('cancelled')
  return new Promise((resolve, reject) => {
    const headers: Record<string, string | number> = { 'user-agent': 'soakp', accept: '*/*' }
    if (body !== undefined) {
      headers['content-type'] = body.contentType
      headers['content-length'] = Buffer.byteLength(body.text)
    }
    const asked = request(url, { agent, method, headers }, reply => read(reply).then(resolve, fail).finally(done))
    const timer = setTimeout(() => asked.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs)
    const stop = () => asked.destroy(new Error('stopped'))
    signal.addEventListener('abort', stop, { once: true })
    function done(): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
    }
    function fail(error: NodeJS.ErrnoException): void {
      done()
      reject(signal.aborted ? new SoakpError('cancelled') : unreachable(url, method, error))
    }
    asked.on('error', fail)
    asked.end(body?.text)
  })
}

async function read(reply: IncomingMessage): Promise<Reply> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of reply) {
    const bytes = part as Buffer
    size += bytes.length
    if (size > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`)
    parts.push(bytes)
  }
  const text = Buffer.concat(parts).toString()
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(reply.headers)) if (value !== undefined) headers[name] = String(value)
  return { status: reply.statusCode ?? 0, headers, data: parse(text, headers['content-type'] ?? '') }
}

/** JSON where it says so and is; text else. */
function parse(text: string, contentType: string): unknown {
  if (!/[/+]json\b/i.test(contentType)) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function unreachable(url: string, method: string, error: NodeJS.ErrnoException): AcmeError {
  const { host, pathname } = new URL(url)
  const code = error.code ?? ''
  const detail = code === '' || error.message.includes(code) ? error.message : `${error.message} (${code})`
  const hint = untrusted.test(code) ? { hint: 'For a private CA name its root certificate in SOAKP_ACME_CA_FILE.' } : {}
  return new AcmeError(`${method} ${host}${pathname}`, networkProblem(detail), { cause: error, ...hint })
}

/** Whether asking again at once cannot help: the server is there, but not to be trusted. */
export function isUntrusted(error: unknown): boolean {
  return error instanceof AcmeError && untrusted.test((error.cause as NodeJS.ErrnoException | undefined)?.code ?? '')
}
