import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { freePort } from '../free-port.js'
import { type Server, startServer, untilUp } from './process.js'

const schemaFile = '/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql'

/** A real PowerDNS with its HTTP API, serving `example.test` and whatever zones are made. */
export interface Pdns extends Server {
  readonly port: number
  /** `127.0.0.1:PORT` of its DNS. */
  readonly server: string
  /** `http://127.0.0.1:PORT`: what `PDNS_API_URL` wants. */
  readonly apiUrl: string
  readonly apiKey: string
  /** Calls the API; the reply's status and text. `path` begins below `/api/v1/servers/localhost`. */
  call(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly text: string }>
  makeZone(name: string): Promise<void>
}

export async function startPdns(folder: string): Promise<Pdns> {
  const [port, apiPort, apiKey] = [await freePort(), await freePort(), randomBytes(12).toString('hex')]
  const dir = join(folder, `pdns-${port}`)
  mkdirSync(join(dir, 'sock'), { recursive: true, mode: 0o700 })
  const database = new Database(join(dir, 'pdns.db'))
  database.exec(readFileSync(schemaFile, 'utf8'))
  database.close()
  const settings: Record<string, string | number> = {
    'config-dir': dir,
    launch: 'gsqlite3',
    'gsqlite3-database': join(dir, 'pdns.db'),
    'local-address': '127.0.0.1',
    'local-port': port,
    webserver: 'yes',
    'webserver-address': '127.0.0.1',
    'webserver-port': apiPort,
    api: 'yes',
    'api-key': apiKey,
    'socket-dir': join(dir, 'sock'),
    daemon: 'no',
    guardian: 'no',
    'disable-syslog': 'yes',
    'cache-ttl': 0,
    'negquery-cache-ttl': 0,
    'query-cache-ttl': 0,
    'zone-cache-refresh-interval': 0,
  }
  const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`)
  const server = await startServer('pdns_server', args, join(dir, 'log'))
  const apiUrl = `http://127.0.0.1:${apiPort}`
  const call = async (method: string, path: string, body?: unknown) => {
    const reply = await fetch(`${apiUrl}/api/v1/servers/localhost${path}`, {
      method,
      headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: reply.status, text: await reply.text() }
  }
  await untilUp(server, 'pdns_server', async () => (await call('GET', '')).status === 200)
  const makeZone = async (name: string) => {
    const ns = `ns1.${name}.`
    const address = { name: ns, type: 'A', ttl: 60, records: [{ content: '127.0.0.1', disabled: false }] }
    const { status, text } = await call('POST', '/zones', { name: `${name}.`, kind: 'Native', nameservers: [ns], rrsets: [address] })
    if (status !== 201) throw new Error(`the zone was not made: ${status} ${text}`)
  }
  await makeZone('example.test')
  return Object.assign(server, { port, server: `127.0.0.1:${port}`, apiUrl, apiKey, call, makeZone })
}
