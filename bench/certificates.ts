import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'node:tls'
import { parseArgs } from 'node:util'
import { installBundle } from '../src/tls/lineage.js'
import { lackingCertbot, makeCertbot } from '../test/support/acme/certbot.js'
import { type CertHome, makeCertHome } from '../test/support/acme/home.js'
import { type AcmeBed, lacking, programPath, startBed } from '../test/support/acme/index.js'
import type { Daemon } from '../test/support/daemon.js'
import { machine } from './report.js'
import { median } from './statistics.js'

/** Gets a certificate for a name and everything below it, and puts it where the daemon looks. Resolves when the program has ended. */
interface Issuer {
  readonly name: string
  /** What it waits for in these rounds, and what it waits for as it comes. */
  readonly waits: string
  readonly rounds: (asked: number) => number
  issue(name: string): Promise<void>
  /** The certificate that it got. */
  readonly certificate: (name: string) => string
}

interface Sample {
  readonly issuer: string
  readonly round: number
  /** From the start of the command to its end. */
  readonly issuedMs: number
  /** From the start of the command until a client is shown the new certificate. */
  readonly servedMs: number
}

const hook = join(process.cwd(), 'docker/certbot-deploy.py')
const say = (text: string): boolean => process.stderr.write(`${text}\n`)
const minimum = (asked: number): number => asked
const justOnce = (): number => 1

function run(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(file, args, { env: { PATH: process.env.PATH, ...env }, timeout: 400_000 }, (error, out, said) =>
      error ? reject(new Error(`${file}: ${said}${out}`)) : resolve(),
    )
  })
}

function certbot(bed: AcmeBed, certs: string, seconds: number, label: string): Issuer {
  const folder = join(bed.folder, label.replaceAll(/\W/g, '-'))
  const configDir = join(folder, 'letsencrypt')
  const program = makeCertbot({ folder, configDir, bed })
  return {
    name: label,
    waits: `sleeps ${seconds} s after it wrote the records (\`--dns-rfc2136-propagation-seconds\`, 60 as it comes) and does not look`,
    rounds: seconds === 0 ? minimum : justOnce,
    async issue(name) {
      await program.certonly(
        name,
        [name, `*.${name}`],
        ...['--dns-rfc2136-propagation-seconds', String(seconds), '--deploy-hook', `${hook} ${certs}`],
      )
    },
    certificate: name => join(configDir, 'live', name, 'cert.pem'),
  }
}

function lego(bed: AcmeBed, certs: string, seconds: number, label: string): Issuer {
  const folder = join(bed.folder, label.replaceAll(/\W/g, '-'))
  const { bind, pebble } = bed
  const env = {
    LEGO_CA_CERTIFICATES: pebble.caFile,
    NO_PROXY: '*',
    RFC2136_NAMESERVER: bind.server,
    RFC2136_TSIG_KEY: `${bind.tsig.name}.`,
    RFC2136_TSIG_SECRET: bind.tsig.secret,
    RFC2136_TSIG_ALGORITHM: `${bind.tsig.algorithm}.`,
    RFC2136_SEQUENCE_INTERVAL: String(seconds),
    RFC2136_POLLING_INTERVAL: '1',
    RFC2136_TTL: '1',
  }
  const file = (name: string, end: string): string => join(folder, 'certificates', `${name}.${end}`)
  return {
    name: label,
    waits: `proves one name after the other, ${seconds} s apart (\`RFC2136_SEQUENCE_INTERVAL\`, 60 as it comes); its look at the name servers is off (\`--dns.disable-cp\`), because it asks port 53 alone`,
    rounds: seconds === 1 ? minimum : justOnce,
    async issue(name) {
      const args = [
        '--path',
        folder,
        '--server',
        pebble.directoryUrl,
        '--accept-tos',
        '--email',
        'bench@example.test',
        '--key-type',
        'ec256',
      ]
      const order = ['--dns', 'rfc2136', '--dns.disable-cp', '--dns.resolvers', bind.server, '-d', name, '-d', `*.${name}`, 'run']
      await run(programPath('lego') ?? 'lego', [...args, ...order], env)
      // lego keeps its own layout, and would need a hook: this is the fastest one that can be thought of
      const cert = readFileSync(file(name, 'crt'))
      installBundle(certs, name, { cert, chain: Buffer.alloc(0), key: readFileSync(file(name, 'key')) }, Date.now())
    },
    certificate: name => file(name, 'crt'),
  }
}

function soakp(home: CertHome, bed: AcmeBed, settle: string, label: string): Issuer {
  return {
    name: label,
    waits: `writes all records at once, asks every name server until all show them, then waits ${settle} (\`SOAKP_DNS_SETTLE\`, 2s as it comes)`,
    rounds: minimum,
    async issue(name) {
      const server = ['--server', bed.pebble.directoryUrl, '--agree-tos', '--dns', 'rfc2136']
      const env = { ...home.far.env, SOAKP_DNS_SETTLE: settle }
      await run(process.execPath, [join(process.cwd(), 'bin/soakp.js'), 'cert', 'issue', ...server, '-d', name, '-d', `*.${name}`], env)
    },
    certificate: name => join(home.certs, 'live', name, 'cert.pem'),
  }
}

function shown(port: number, servername: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false })
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

async function untilServed(daemon: Daemon, name: string, file: string): Promise<void> {
  const serial = new X509Certificate(readFileSync(file)).serialNumber
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await delay(5)) {
    if ((await shown(daemon.port, name)) === serial) return
  }
  throw new Error(`${name} was not served within 30 s:\n${daemon.output()}`)
}

async function measure(daemon: Daemon, issuers: readonly Issuer[], rounds: number): Promise<Sample[]> {
  const samples: Sample[] = []
  for (let round = 0; round <= rounds; round++) {
    for (const [index, issuer] of issuers.entries()) {
      // what sleeps for minutes is not warmed up: an account more is nothing beside it
      if (round > issuer.rounds(rounds) || (round === 0 && issuer.rounds === justOnce)) continue
      const name = `r${round}-${index}.example.test`
      const start = performance.now()
      await issuer.issue(name)
      const issuedMs = performance.now() - start
      await untilServed(daemon, name, issuer.certificate(name))
      const servedMs = performance.now() - start
      say(`round ${round}: ${issuer.name} issued ${seconds(issuedMs)} s, served ${seconds(servedMs)} s`)
      // the first opens an account, which happens once in a lifetime
      if (round > 0) samples.push({ issuer: issuer.name, round, issuedMs, servedMs })
    }
  }
  return samples
}

const seconds = (ms: number): string => (ms / 1000).toFixed(2)

function markdown(date: string, load: string, issuers: readonly Issuer[], samples: readonly Sample[]): string {
  const rows = issuers.map(({ name, waits }) => {
    const own = samples.filter(({ issuer }) => issuer === name)
    const of = (field: 'issuedMs' | 'servedMs') => seconds(median(own.map(sample => sample[field])))
    return `| ${name} | ${of('issuedMs')} | ${of('servedMs')} | ${own.length} | ${waits} |`
  })
  return `# From order to served

${date.slice(0, 16).replace('T', ' ')} UTC. ${machine()}, load average ${load} at the start. Node ${process.version}; Certbot, lego, Pebble and BIND of Debian ${debian()}.

A certificate for a name and its wildcard, by DNS-01 at a BIND that takes signed updates (RFC 2136), from a Pebble that validates without delay; an account is there already. Medians; the programs take turns.
*issued* is from the start of the command to its end; *served*, until a client of the running daemon is shown the new certificate. Certbot hands its own over with [its deploy hook](../../docker/certbot-deploy.py), lego's are copied by the benchmark itself the moment lego ends.

| | issued s | served s | rounds | what it waits for |
|---|---:|---:|---:|---|
${rows.join('\n')}

Where the DNS is slower than here, soakp waits until every name server shows the records, and no longer; the others wait for as long as they are told, however long it takes.
`
}

function debian(): string {
  try {
    return readFileSync('/etc/debian_version', 'utf8').trim()
  } catch {
    return 'or elsewhere'
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      // what comes as it is sleeps for minutes
      'with-defaults': { type: 'boolean', default: false },
      out: { type: 'string', default: 'bench/results' },
    },
  })
  const missing = lackingCertbot() || lacking('lego', 'openssl')
  if (missing) {
    say(`bench: missing: ${missing}`)
    return 2
  }
  const endings: (() => unknown)[] = []
  const t = { teardown: (work: () => unknown) => void endings.unshift(work) }
  try {
    const bed = await startBed(t, { pebble: { nonceRejects: 0 } })
    const home = await makeCertHome(t, bed, { SOAKP_DNS_SETTLE: '', DNSUPDATE_POLLING_INTERVAL: '', DNSUPDATE_TTL: '' })
    const daemon = await home.far.serve()
    const issuers = [
      soakp(home, bed, '1s', 'soakp, shortest waits'),
      certbot(bed, home.certs, 0, 'Certbot, shortest waits'),
      lego(bed, home.certs, 1, 'lego, shortest waits'),
      soakp(home, bed, '2s', 'soakp, as it comes'),
      ...(values['with-defaults']
        ? [certbot(bed, home.certs, 60, 'Certbot, as it comes'), lego(bed, home.certs, 60, 'lego, as it comes')]
        : []),
    ]
    const date = new Date().toISOString()
    const load = loadavg()[0]?.toFixed(1) ?? 'unknown'
    const samples = await measure(daemon, issuers, Number(values.rounds))
    const text = markdown(date, load, issuers, samples)
    process.stdout.write(text)
    if (values.out !== 'none') {
      mkdirSync(values.out, { recursive: true })
      writeFileSync(join(values.out, 'certificates.md'), text)
      writeFileSync(join(values.out, 'certificates.json'), `${JSON.stringify({ date, machine: machine(), load, samples }, undefined, 1)}\n`)
    }
    return 0
  } finally {
    for (const work of endings) await work()
  }
}

main().then(
  status => process.exit(status),
  error => {
    say(`bench: ${error instanceof Error ? error.message : error}`)
    process.exit(1)
  },
)
