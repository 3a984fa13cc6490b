import { type ChildProcess, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Entry } from '../../src/stores/records.js'
import { jsonOf, nearHome } from '../cli/run.js'
import { freePort } from './free-port.js'
import { withStore } from './home-store.js'
import { until } from './until.js'

export { freePort }

export const launcher = join(process.cwd(), 'bin/soakp.js')

/** What a command of the CLI did. */
export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A test is one address that makes many calls, and means no harm by it; the machine it runs on may be busy with others. */
const manyCalls = { SOAKP_ADDRESS_RATE: '1000000/s', SOAKP_AUTH_FAILURE_RATE: '1000000/s', SOAKP_MAX_LAG_MS: '600000' }

export interface KeyOptions {
  readonly secret: string
  readonly baseUrl?: string
  readonly name?: string
  /** More arguments, such as `--auth header:x-key`. */
  readonly more?: readonly string[]
  /** Say `--allow-private`; yes unless told otherwise. */
  readonly allowPrivate?: boolean
}

export interface IssuedJson {
  readonly id: string
  readonly token: string
  readonly expiresAt: string
}

/** A soakp home in a directory of the test. */
export interface Home {
  readonly dir: string
  /** The environment its processes get; nothing of the test's own settings. */
  readonly env: NodeJS.ProcessEnv
  /** As a user runs it: a process of its own. */
  run(args: readonly string[], stdin?: string): Promise<Ran>
  /**
   * Runs with `--json` and parses; fails with what the command said when it failed. In this process, which is another one than the daemon's: starting Node for every
   * step on the way to what a test asks costs more than all that it asks.
   */
  json<T>(args: readonly string[], stdin?: string): Promise<T>
  addKey(provider: string, options: KeyOptions): Promise<{ readonly id: string }>
  createToken(args: readonly string[]): Promise<IssuedJson>
  /** PEM of the local CA. */
  ca(): string
  caFile(): string
  /** Every line of the ledger in the order it was committed, read from the database as the product reads it. */
  entries(): Promise<Entry[]>
  /** What is wrong with the database; empty when it is sound. */
  verify(): Promise<string[]>
  serve(options?: ServeOptions): Promise<Daemon>
}

export interface ServeOptions {
  readonly args?: readonly string[]
  /** Arguments of Node itself, such as `--import`. */
  readonly nodeArgs?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Opens a channel for messages to the child. */
  readonly ipc?: boolean
  /** Runs the daemon by this command: `['prlimit', '--fsize=…']`. */
  readonly under?: readonly string[]
  /** Who is to be trusted, where it is not the home's own CA. */
  readonly ca?: string
}

/** `soakp serve` as a process of its own. */
export interface Daemon {
  readonly home: Home
  readonly port: number
  /** `https://localhost:PORT`. */
  readonly origin: string
  readonly ca: string
  readonly child: ChildProcess
  readonly pid: number
  /** Everything it wrote so far, both streams. */
  output(): string
  /** Whether the process is still there. */
  alive(): boolean
  /** Resident memory in bytes. */
  rss(): number
  /** SIGTERM; resolves with the exit code, or the signal that ended it. */
  stop(): Promise<number | string>
  /** SIGKILL. */
  kill(): Promise<void>
  /** Resolves when it has ended, however. */
  readonly exited: Promise<number | string>
}

interface Teardown {
  testdir(): string
  teardown(handler: () => unknown): unknown
}

/** Makes a home with `soakp init`. Everything ends with the test. */
export async function makeHome(
  t: Teardown,
  settings: Readonly<Record<string, string>> = {},
  dir = join(t.testdir(), 'home'),
): Promise<Home> {
  const home = homeAt(dir, settings, t)
  await home.json(['init'])
  return home
}

/** A home that may or may not be there. */
export function homeAt(dir: string, settings: Readonly<Record<string, string>>, t: Pick<Teardown, 'teardown'>): Home {
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: dir,
    SOAKP_HOME: dir,
    ...manyCalls,
    ...settings,
  }
  const run = (args: readonly string[], stdin?: string) => runNode([launcher, ...args], env, stdin)
  // what Node itself reads, it reads when it starts
  const isForNode = Object.keys(settings).some(name => name.startsWith('NODE_'))
  const home: Home = {
    dir,
    env,
    run,
    json: isForNode ? jsonOf(run) : nearHome(dir, { ...manyCalls, ...settings }).json,
    addKey(provider, { secret, baseUrl, name, more = [], allowPrivate = true }) {
      const where = baseUrl === undefined ? [] : ['--base-url', baseUrl, ...(allowPrivate ? ['--allow-private'] : [])]
      const called = name === undefined ? [] : ['--name', name]
      return home.json(['key', 'add', provider, '--stdin', '--no-verify', ...called, ...where, ...more], secret)
    },
    createToken: args => home.json(['token', 'create', ...args]),
    caFile: () => findCa(dir),
    ca: () => readFileSync(findCa(dir), 'utf8'),
    entries: () => withStore(dir, store => store.listEntries({})),
    verify: () => withStore(dir, store => store.verify()),
    serve: options => startDaemon(home, options ?? {}, t),
  }
  return home
}

export async function runNode(args: readonly string[], env: NodeJS.ProcessEnv, stdin = ''): Promise<Ran> {
  const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  child.stdin.on('error', () => {})
  child.stdin.end(stdin)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

/** The local CA is the certificate in `certs/` that says it is one. */
function findCa(dir: string): string {
  const certs = join(dir, 'certs')
  for (const name of readdirSync(certs, { recursive: true, encoding: 'utf8' })) {
    const file = join(certs, name)
    if (!/\.(pem|crt|cer)$/.test(name) || !statSync(file).isFile()) continue
    const text = readFileSync(file, 'utf8')
    if (text.startsWith('-----BEGIN CERTIFICATE') && new X509Certificate(text).ca) return file
  }
  throw new Error(`no CA certificate in ${certs}`)
}

async function startDaemon(home: Home, options: ServeOptions, t: Pick<Teardown, 'teardown'>): Promise<Daemon> {
  const port = await freePort()
  const command = [
    ...(options.under ?? []),
    process.execPath,
    ...(options.nodeArgs ?? []),
    launcher,
    'serve',
    '--port',
    `${port}`,
    ...(options.args ?? []),
  ]
  const child = spawn(command[0] as string, command.slice(1), {
    env: { ...home.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', options.ipc ? 'ipc' : 'ignore'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string)
  const alive = () => child.exitCode === null && child.signalCode === null
  t.teardown(async () => {
    if (alive()) child.kill('SIGKILL')
    await exited
  })
  const daemon: Daemon = {
    home,
    port,
    origin: `https://localhost:${port}`,
    ca: options.ca ?? home.ca(),
    child,
    pid: child.pid ?? 0,
    output: () => output,
    alive,
    rss: () => residentBytes(child.pid ?? 0),
    async stop() {
      child.kill('SIGTERM')
      return exited
    },
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    exited,
  }
  await until(
    async () => {
      if (!alive()) throw new Error(`soakp serve ended: ${output}`)
      // asking costs a TLS context each time: not before somebody listens
      return (await listens(port)) && healthy(port, daemon.ca)
    },
    'the daemon to answer',
    () => output,
  )
  return daemon
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port }, () => resolve(true))
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy())
  })
}

function healthy(port: number, ca: string): Promise<boolean> {
  return new Promise(resolve => {
    const request = httpsRequest({ host: 'localhost', port, path: '/healthz', ca, agent: false, family: 4 }, response => {
      response.resume().on('end', () => resolve(response.statusCode === 200))
    })
    request.on('error', () => resolve(false)).end()
  })
}

/** `VmRSS` of a process, in bytes. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}
