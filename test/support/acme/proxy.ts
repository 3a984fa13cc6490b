import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { Agent, createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import * as x509 from '@peculiar/x509'
import type { Pebble } from './pebble.js'

/** What goes wrong with the next requests whose path holds `match`. */
export interface Fault {
  readonly match: string
  /** How many requests it hits; 1 unless told. */
  readonly times?: number
  /** Answered in place of the CA, as a problem document of this type (`rateLimited`, `serverInternal` … by status unless told). */
  readonly status?: number
  readonly type?: string
  readonly detail?: string
  readonly subproblems?: unknown
  /** Seconds, or a date as HTTP writes it. */
  readonly retryAfter?: string | number
  /** An answer that is no problem document: HTML, say. Needs `status`. */
  readonly body?: string
  /** The socket is torn down before the CA sees anything, or when it has answered. */
  readonly drop?: 'before' | 'after'
  readonly delayMs?: number
}

export interface RenewalInfo {
  readonly start?: string
  readonly end?: string
  readonly explanationURL?: string
  readonly retryAfter?: string | number
  /** An error in place of an answer. */
  readonly status?: number
  readonly delayMs?: number
}

/** Stands before a Pebble and adds what 2.4.0 lacks: ARI, profiles, `replaces`, unknown kinds of challenge, rate limits, faults. What is signed passes unaltered. */
export interface AcmeProxy {
  readonly directoryUrl: string
  readonly port: number
  /** `METHOD PATH` of every request. */
  readonly requests: readonly string[]
  /** Payloads of every newOrder, but for those that Pebble refused for their nonce. */
  readonly orders: readonly Order[]
  fault(fault: Fault): void
  clearFaults(): void
  /** What renewalInfo says from now on, for one certificate or for all; `undefined`: what follows from the certificate's dates. */
  renewalInfo(info: RenewalInfo | undefined, certId?: string): void
  /** Replaces fields of the directory's `meta`. */
  meta: Record<string, unknown>
  /** Called with `METHOD PATH` when the CA has answered, before the client sees it; not where it refused the nonce, because then nothing was done yet. */
  onAnswer: ((line: string) => void | Promise<void>) | undefined
  close(): Promise<void>
}

interface Order extends Record<string, unknown> {
  readonly profile?: string
  readonly replaces?: string
}

interface Issued {
  readonly fromMs: number
  readonly untilMs: number
}

const profiles = ['classic', 'tlsserver', 'shortlived']

/** RFC 9773 section 4.1, taken from the certificate's DER by a library: the engine has its own way, and the two must agree. */
export function certIdOf(pem: string): string {
  const leaf = new x509.X509Certificate(pem)
  const key = leaf.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId ?? ''
  const digits = new X509Certificate(pem).serialNumber
  const even = digits.length % 2 === 1 ? `0${digits}` : digits
  const serial = Number.parseInt(even.slice(0, 2), 16) >= 0x80 ? `00${even}` : even
  return `${Buffer.from(key, 'hex').toString('base64url')}.${Buffer.from(serial, 'hex').toString('base64url')}`
}

export async function startProxy(pebble: Pebble): Promise<AcmeProxy> {
  const faults: (Fault & { left: number })[] = []
  const issued = new Map<string, Issued>()
  const replaced = new Set<string>()
  const infos = new Map<string | undefined, RenewalInfo>()
  const requests: string[] = []
  const orders: Order[] = []
  const agent = new Agent({ ca: readFileSync(pebble.caFile), keepAlive: true })
  const server = createServer({ cert: readFileSync(pebble.certFile), key: readFileSync(pebble.keyFile) }, (incoming, reply) => {
    serve(incoming, reply).catch(error => problem(reply, 502, 'serverInternal', String(error)))
  })

  const proxy: AcmeProxy = {
    directoryUrl: '',
    port: 0,
    requests,
    orders,
    fault: fault => void faults.push({ ...fault, left: fault.times ?? 1 }),
    clearFaults: () => void faults.splice(0),
    renewalInfo: (info, certId) => void (info === undefined ? infos.delete(certId) : infos.set(certId, info)),
    meta: {
      profiles: Object.fromEntries(profiles.map(name => [name, `https://ca.example.test/${name}`])),
      caaIdentities: ['ca.example.test'],
    },
    onAnswer: undefined,
    async close() {
      agent.destroy()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }

  async function serve(incoming: IncomingMessage, reply: ServerResponse): Promise<void> {
    const body = await read(incoming)
    const path = incoming.url ?? ''
    requests.push(`${incoming.method} ${path}`)
    const fault = faults.find(each => each.left > 0 && path.includes(each.match))
    if (fault !== undefined) {
      fault.left--
      if (fault.delayMs !== undefined) await delay(fault.delayMs, undefined, { ref: false })
      if (fault.drop === 'before') return void incoming.socket.destroy()
      if (fault.status !== undefined) return answerFault(reply, fault, fault.status)
    }
    if (path.startsWith('/renewal-info/')) return answerRenewalInfo(reply, path.slice('/renewal-info/'.length))
    const order = path === '/order-plz' ? readOrder(body) : undefined
    if (order !== undefined && refuseOrder(order, reply)) return void orders.push(order)
    const answer = await forward(incoming, body)
    const done = !answer.body.includes('error:badNonce')
    if (order !== undefined && done) orders.push(order)
    let content = answer.body
    if (path.startsWith('/authZ/') && answer.status === 200) content = withNews(content)
    if (path === '/dir') content = directory(content, incoming.headers.host ?? '')
    if (order?.replaces !== undefined && answer.status === 201) replaced.add(order.replaces)
    if (/certificate-chain/.test(answer.headers['content-type'] ?? '')) note(content.toString())
    if (done) await proxy.onAnswer?.(`${incoming.method} ${path}`)
    if (fault?.drop === 'after') return void incoming.socket.destroy()
    const headers: Record<string, string> = { ...answer.headers, 'content-length': String(content.length) }
    delete headers['transfer-encoding']
    reply.writeHead(answer.status, headers)
    reply.end(incoming.method === 'HEAD' ? undefined : content)
  }

  /** Whether something is wrong with an order's `profile` or `replaces`; then it is answered. */
  function refuseOrder({ profile, replaces }: Order, reply: ServerResponse): boolean {
    if (profile !== undefined && !profiles.includes(profile)) {
      problem(reply, 400, 'invalidProfile', `profile "${profile}" not recognized`)
    } else if (replaces !== undefined && replaced.has(replaces)) {
      problem(reply, 409, 'alreadyReplaced', `certificate ${replaces} already has a replacement order`)
    } else if (replaces !== undefined && !issued.has(replaces)) {
      problem(reply, 404, 'malformed', `replaces: unknown certificate ${replaces}`)
    }
    return reply.writableEnded
  }

  async function answerRenewalInfo(reply: ServerResponse, id: string): Promise<void> {
    const info = infos.get(id) ?? infos.get(undefined)
    const certificate = issued.get(id)
    if (info?.delayMs !== undefined) await delay(info.delayMs, undefined, { ref: false })
    if (info?.status !== undefined) return problem(reply, info.status, 'serverInternal', 'injected')
    if (info === undefined && certificate === undefined) return problem(reply, 404, 'malformed', 'no such certificate')
    const at = (share: number) =>
      certificate === undefined ? '' : new Date(certificate.fromMs + (certificate.untilMs - certificate.fromMs) * share).toISOString()
    const suggestedWindow = { start: info?.start ?? at(0.64), end: info?.end ?? at(0.68) }
    const explained = info?.explanationURL === undefined ? {} : { explanationURL: info.explanationURL }
    json(reply, 200, { suggestedWindow, ...explained }, { 'retry-after': String(info?.retryAfter ?? 21_600) })
  }

  function directory(content: Buffer, host: string): Buffer {
    const { meta, ...rest } = JSON.parse(content.toString()) as Record<string, unknown>
    const merged = { ...(meta as object), ...proxy.meta }
    return Buffer.from(JSON.stringify({ ...rest, renewalInfo: `https://${host}/renewal-info`, meta: merged }))
  }

  function note(pem: string): void {
    const leaf = new X509Certificate(pem)
    issued.set(certIdOf(pem), { fromMs: Date.parse(leaf.validFrom), untilMs: Date.parse(leaf.validTo) })
  }

  /** The Host header is passed on, so that Pebble builds its URLs, and checks the signed ones, for this port. */
  function forward(incoming: IncomingMessage, body: Buffer): Promise<{ status: number; headers: Record<string, string>; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const { method = 'GET', url: path = '/', headers } = incoming
      const asked = request({ host: '127.0.0.1', port: pebble.port, agent, method, path, headers }, async answer => {
        resolve({ status: answer.statusCode ?? 502, headers: flat(answer.headers), body: await read(answer) })
      })
      asked.on('error', reject)
      asked.end(body)
    })
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return Object.assign(proxy, { port, directoryUrl: `https://127.0.0.1:${port}/dir` })
}

function readOrder(body: Buffer): Order {
  const { payload } = JSON.parse(body.toString()) as { payload: string }
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Order
}

async function read(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** Authorizations offer first what only newer CAs do: one kind without a token, and one that nobody has heard of. */
function withNews(content: Buffer): Buffer {
  const authorization = JSON.parse(content.toString()) as { challenges?: unknown[] }
  const persistent = { type: 'dns-persist-01', url: 'https://127.0.0.1:1/x', status: 'pending', 'issuer-domain-names': ['ca.example.test'] }
  const unheard = { type: 'moon-phase-01', url: 'https://127.0.0.1:1/y', status: 'pending', token: 5 }
  return Buffer.from(JSON.stringify({ ...authorization, challenges: [persistent, unheard, ...(authorization.challenges ?? [])] }))
}

/** Several `Link` headers become one. */
function flat(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])))
}

function answerFault(reply: ServerResponse, fault: Fault, status: number): void {
  const headers: Record<string, string> = fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) }
  if (fault.body !== undefined) {
    reply.writeHead(status, { 'content-type': 'text/html', ...headers })
    reply.end(fault.body)
    return
  }
  const type = fault.type ?? (status === 429 ? 'rateLimited' : status >= 500 ? 'serverInternal' : 'malformed')
  problem(reply, status, type, fault.detail ?? `injected ${status}`, { 'replay-nonce': 'injected', ...headers }, fault.subproblems)
}

function problem(
  reply: ServerResponse,
  status: number,
  type: string,
  detail: string,
  headers: Record<string, string> = {},
  subproblems?: unknown,
): void {
  json(reply, status, { type: `urn:ietf:params:acme:error:${type}`, detail, status, ...(subproblems ? { subproblems } : {}) }, headers)
}

function json(reply: ServerResponse, status: number, content: unknown, headers: Record<string, string>): void {
  const text = JSON.stringify(content)
  reply.writeHead(status, { 'content-type': status >= 400 ? 'application/problem+json' : 'application/json', ...headers })
  reply.end(text)
}
