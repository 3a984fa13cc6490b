import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { dirname } from 'node:path'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { type Logger, pino } from 'pino'
import type { Settings } from '../../src/config/settings.js'
import { createTally } from '../../src/ledger/tally.js'
import type { Call } from '../../src/relay/call.js'
import { type Served, serve } from '../../src/server/listen.js'
import type { Soakp } from '../../src/soakp.js'
import { createOutage } from '../../src/stores/index.js'
import { type Certificates, openCertificates } from '../../src/tls/certificates.js'
import { caFiles } from '../../src/tls/local-ca.js'

type Test = Tap.Test
declare namespace Tap {
  interface Test {
    testdir(): string
    readonly testdirName: string
    teardown(handler: () => unknown): void
  }
}

/** The relay's side of the door: takes calls and keeps them. */
export interface FakeRelay {
  readonly calls: Call[]
  openCalls: number
  /** How a call is answered; at first with its own description as JSON. */
  answer: (call: Call) => void
  origins: string[]
  drain: () => Promise<void>
}

export function reply(call: Call, status: number, body: string, headers: Record<string, string> = {}): void {
  const { response } = call
  const bytes = Buffer.from(body)
  ;(response as import('node:http').ServerResponse).writeHead(status, { 'content-type': 'application/json', ...headers })
  ;(response as import('node:http').ServerResponse).end(bytes)
}

export interface Door {
  readonly served: Served
  readonly port: number
  readonly ca: string
  readonly certsDir: string
  readonly certificates: Certificates
  readonly relay: FakeRelay
  /** Whether the store takes writes. */
  readonly store: { fault: Error | undefined }
  readonly ledger: { healthy: boolean; waiting: number; oldestWaitingMs: number | undefined }
  /** Where watchers ask, if `metricsListen` was set. */
  readonly watched: string
  readonly lines: Record<string, unknown>[]
  readonly log: Logger
}

const settingsForTests: Partial<Settings> = {
  host: '127.0.0.1',
  port: 0,
  http: false,
  publicUrl: undefined,
  trustProxy: [],
  corsOrigins: [],
  maxCalls: 1000,
  maxLagMs: 60_000,
  addressRate: '1000/m',
  shutdownGraceMs: 5_000,
}

/** A real door, with real sockets and certificates, before a relay that only writes down what it was handed. It is closed with the test. */
export async function openDoor(t: Test, changed: Partial<Settings> = {}, names: readonly string[] = []): Promise<Door> {
  // `testdir()` empties the folder of the test: once is enough, a test may have several doors
  const dir = existsSync(t.testdirName) ? t.testdirName : t.testdir()
  const home = mkdtempSync(`${dir}/door-`)
  mkdirSync(`${home}/certs`)
  const door = await makeDoor(`${home}/certs`, changed, names)
  t.teardown(async () => {
    door.relay.drain = async () => {}
    await door.served.close()
    door.certificates.close()
  })
  return door
}

export async function makeDoor(
  certsDir: string,
  changed: Partial<Settings> = {},
  names: readonly string[] = [],
  now: () => number = Date.now,
): Promise<Door> {
  const lines: Record<string, unknown>[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>)
      done()
    },
  })
  const log = pino({ level: 'debug' }, sink)
  const certificates = await openCertificates({
    log,
    now,
    certsDir,
    names,
    certFile: changed.tlsCertFile,
    keyFile: changed.tlsKeyFile,
  })
  const settings = { ...settingsForTests, home: dirname(certsDir), ...changed } as Settings
  const relay: FakeRelay = { calls: [], openCalls: 0, answer: describe, origins: [], drain: async () => {} }
  const store: { fault: Error | undefined } = { fault: undefined }
  const ledger = { healthy: true, waiting: 0, oldestWaitingMs: undefined }
  const probe = () => {
    if (store.fault !== undefined) throw store.fault
  }
  const outage = createOutage({ goesOn: false, probe, log, now })
  const soakp = {
    settings,
    relay: {
      handle(call: Call) {
        relay.calls.push(call)
        relay.answer(call)
      },
      get openCalls() {
        return relay.openCalls
      },
      allowsOrigin: async (origin: string) => relay.origins.includes(origin),
      underWay: () => ({ streams: 0, sockets: 0 }),
      restingKeys: async () => new Map(),
      drain: () => relay.drain(),
    },
    store: { probe },
    outage,
    ledger: {
      get healthy() {
        return ledger.healthy && !outage.isOn
      },
      get waiting() {
        return ledger.waiting
      },
      get oldestWaitingMs() {
        return ledger.oldestWaitingMs
      },
    },
    tally: createTally([]),
    upkeep: { start() {}, stop: async () => {} },
    batches: { start() {}, stop: async () => {} },
    access: { jwks: () => ({ keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'public', kid: 'one', d: 'private' }] }) },
  } as unknown as Soakp
  const served = await serve(soakp, { log, certificates: settings.http ? undefined : certificates, now })
  const watched = `http://127.0.0.1:${lines.find(({ msg }) => msg === 'metrics are told')?.port}`
  const ca = await readFile(changed.tlsCertFile ?? caFiles(certsDir).cert, 'utf8')
  return { served, port: served.port, ca, certsDir, certificates, relay, store, ledger, watched, lines, log }
}

function describe(call: Call): void {
  const { id, provider, path, query, address, refusal } = call
  reply(
    call,
    200,
    JSON.stringify({
      id,
      provider,
      path,
      query,
      address,
      refusal,
      version: 'httpVersion' in call.request ? call.request.httpVersion : '1.1',
    }),
  )
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** One request over HTTP/1.1, on a connection of its own unless an agent is given. */
export async function get(door: Pick<Door, 'port' | 'ca'>, path: string, options: RequestOptions & { body?: string } = {}): Promise<Reply> {
  const request = httpsRequest({ host: '127.0.0.1', servername: 'localhost', port: door.port, ca: door.ca, path, agent: false, ...options })
  request.end(options.body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) }
}

/** A connection of HTTP/2. */
export function session(t: Test, door: Pick<Door, 'port' | 'ca'>): ClientHttp2Session {
  const client = connectHttp2(`https://localhost:${door.port}`, {
    ca: door.ca,
    lookup: (_name, _options, found) => found(null, [{ address: '127.0.0.1', family: 4 }] as never, 4),
  })
  client.on('error', () => {})
  t.teardown(() => client.destroy())
  return client
}

/** One request over HTTP/2. */
export async function get2(client: ClientHttp2Session, headers: Record<string, string>): Promise<Reply> {
  const stream = client.request(headers)
  const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
  return { status: head[':status'], headers: head, body: await text(stream) }
}

/** A TLS connection to write anything into. */
export async function rawTls(t: Test, door: Pick<Door, 'port' | 'ca'>): Promise<TLSSocket> {
  const socket = connectTls({ host: '127.0.0.1', port: door.port, ca: door.ca, servername: 'localhost' })
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

/** Everything a connection says until it ends, however it ends. */
export async function untilClosed(socket: NodeJS.ReadableStream): Promise<string> {
  let said = ''
  socket.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  await new Promise(resolve => socket.once('close', resolve))
  return said
}
