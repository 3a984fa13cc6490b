import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { Resolver } from 'node:dns/promises'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../free-port.js'
import { type Server, startServer, untilUp } from './process.js'
import { programPath } from './programs.js'

export interface Tsig {
  readonly name: string
  /** Base64. */
  readonly secret: string
  readonly algorithm: string
}

export interface BindOptions {
  /** Where it listens; 127.0.0.1 alone unless said otherwise. Any of 127.0.0.0/8 and ::1 will do, so that several can share a port. */
  readonly addresses?: readonly string[]
  readonly port?: number
  /** More zones, or more records in those that are there: the lines below SOA, NS and the address of `ns1`. */
  readonly zones?: Readonly<Record<string, string>>
  /** Records are written under this key; a new one unless told. */
  readonly tsig?: Tsig
}

/** A real BIND, authoritative for a few zones, that takes signed updates of TXT records. It asks nobody outside. */
export interface Bind extends Server {
  readonly port: number
  /** `127.0.0.1:PORT`, as resolvers take it. */
  readonly server: string
  readonly tsig: Tsig
  /** The key in BIND's own form: for `nsupdate -k`. */
  readonly keyFile: string
  /** Every TXT value at a name, following CNAMEs, sorted; empty where there is none. */
  txt(name: string): Promise<string[]>
  /** Lines for nsupdate between `server` and `send`. */
  update(...lines: readonly string[]): Promise<void>
}

/**
 * What every BIND here serves:
 * - `example.test`, with `web`, `web6` and `both` at 127.0.0.1, ::1 and the two
 * - `sub.example.test`, a zone of its own below it
 * - `delegate.test`, to which `_acme-challenge.aliased.example.test` leads by a CNAME
 * - `_acme-challenge.loop.example.test`, whose CNAMEs go round in a circle
 */
const standardZones: Readonly<Record<string, string>> = {
  'example.test': `
sub IN NS ns1.sub.example.test.
ns1.sub IN A 127.0.0.1
_acme-challenge.aliased IN CNAME aliased.delegate.test.
_acme-challenge.loop IN CNAME loop.delegate.test.
web IN A 127.0.0.1
web6 IN AAAA ::1
both IN A 127.0.0.1
both IN AAAA ::1
`,
  'delegate.test': 'loop IN CNAME _acme-challenge.loop.example.test.\n',
  'sub.example.test': '',
}

export async function startBind(folder: string, options: BindOptions = {}): Promise<Bind> {
  const addresses = options.addresses ?? ['127.0.0.1']
  const port = options.port ?? (await freePort(...addresses))
  const tsig = options.tsig ?? { name: 'soakp-key', secret: randomBytes(32).toString('base64'), algorithm: 'hmac-sha256' }
  const dir = join(folder, `bind-${port}-${randomBytes(3).toString('hex')}`)
  const zones = { ...standardZones }
  for (const [name, more] of Object.entries(options.zones ?? {})) zones[name] = `${zones[name] ?? ''}${more}\n`
  mkdirSync(join(dir, 'zones'), { recursive: true, mode: 0o700 })
  const keyFile = join(dir, 'tsig.key')
  writeFileSync(keyFile, `key "${tsig.name}" {\n\talgorithm ${tsig.algorithm};\n\tsecret "${tsig.secret}";\n};\n`, { mode: 0o600 })
  for (const [name, records] of Object.entries(zones)) writeFileSync(join(dir, 'zones', `${name}.db`), zoneFile(name, records))
  writeFileSync(join(dir, 'zones', 'root.db'), rootZone)
  writeFileSync(join(dir, 'named.conf'), configuration(dir, addresses, port, tsig, Object.keys(zones)))
  const log = join(dir, 'named.log')
  const running = await startServer('named', ['-f', '-c', join(dir, 'named.conf'), '-L', log], join(dir, 'out.log'))
  const server = `${bracketed(addresses[0] as string)}:${port}`
  // a question that comes while it loads its zones costs the second until the next
  await untilUp(running, 'named', async () => readFileSync(log, 'utf8').includes('all zones loaded'))
  await untilUp(running, 'named', async () => (await fresh(server).resolveSoa('example.test')).serial > 0)
  return Object.assign(running, {
    port,
    server,
    tsig,
    keyFile,
    txt: (name: string) => readTxt(server, name),
    update: (...lines: readonly string[]) => nsupdate(keyFile, addresses[0] as string, port, lines),
  })
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}

/** New for each question, so that none is answered from a cache. */
function fresh(server: string): Resolver {
  const resolver = new Resolver({ timeout: 1000, tries: 2 })
  resolver.setServers([server])
  return resolver
}

async function readTxt(server: string, name: string): Promise<string[]> {
  try {
    return (await fresh(server).resolveTxt(name)).map(parts => parts.join('')).sort()
  } catch (error) {
    if (['ENODATA', 'ENOTFOUND'].includes((error as NodeJS.ErrnoException).code ?? '')) return []
    throw error
  }
}

/** The real nsupdate, with a signed message over TCP. */
export function nsupdate(keyFile: string, address: string, port: number, lines: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile(programPath('nsupdate') ?? 'nsupdate', ['-v', '-k', keyFile, '-t', '10'], (error, _out, said) =>
      error ? reject(new Error(`nsupdate: ${said || error.message}`)) : resolve(),
    )
    child.stdin?.end(`server ${address} ${port}\n${lines.join('\n')}\nsend\n`)
  })
}

function zoneFile(name: string, records: string): string {
  return `$TTL 60
@   IN SOA ns1.${name}. hostmaster.${name}. 1 3600 600 86400 1
@   IN NS  ns1.${name}.
${/^ns1\s/m.test(records) ? '' : 'ns1 IN A   127.0.0.1'}
${records}`
}

/** Answered here, so that no question leaves the machine. */
const rootZone = `$TTL 60
@ IN SOA root.test. hostmaster.test. 1 3600 600 86400 1
@ IN NS ns1.example.test.
ns1.example.test. IN A 127.0.0.1
`

function configuration(dir: string, addresses: readonly string[], port: number, tsig: Tsig, zones: readonly string[]): string {
  const v4 = addresses.filter(address => !address.includes(':')).map(address => `${address};`)
  const v6 = addresses.filter(address => address.includes(':')).map(address => `${address};`)
  // without recursion a CNAME to another zone is answered by itself alone, and Pebble asks only once
  return `include "${dir}/tsig.key";
controls { };
options {
  directory "${dir}";
  pid-file "${dir}/named.pid";
  session-keyfile "${dir}/session.key";
  managed-keys-directory "${dir}";
  listen-on port ${port} { ${v4.join(' ') || 'none;'} };
  listen-on-v6 port ${port} { ${v6.join(' ') || 'none;'} };
  recursion yes; allow-recursion { 127.0.0.0/8; ::1; };
  allow-transfer { key "${tsig.name}"; };
  notify no;
  dnssec-validation no;
  minimal-responses no;
};
zone "." { type primary; file "${dir}/zones/root.db"; };
${zones.map(name => `zone "${name}" { type primary; file "${dir}/zones/${name}.db"; update-policy { grant ${tsig.name} zonesub TXT; }; };`).join('\n')}
`
}
