import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { freePort, type Place } from '../place.js'
import { adopt, untilListening } from '../processes.js'
import { type Contender, pidOf } from './contender.js'

const launcher = resolve('bin/soakp.js')

/**
 * The real daemon in a fresh home, as an operator would run it: authentication, a rate on the grant, metering and the ledger on the encrypted database. The limits are set so high
 * that they are counted and never reached.
 */
export const soakp: Contender = daemon('soakp', ['--rate', '100000000/m'])

/** The same with every kind of limit on the grant. What it costs beside the other is what limits cost. */
export const soakpLimited: Contender = {
  ...daemon('soakp-limited', [
    ...['--rate', '100000000/m', '--concurrency', '10000', '--quota', '1000000000/d'],
    ...['--budget', '1000000usd/month', '--budget', '1000000000000tokens/d'],
  ]),
  measures: ['calls', 'http2'],
}

function daemon(name: 'soakp' | 'soakp-limited', limits: readonly string[]): Contender {
  return {
    name,
    node: true,
    missing: () => (existsSync(launcher) ? [] : ['bin/soakp.js (run the benchmark from the root of the repository)']),
    async start(place, { nodeFlags }) {
      const port = await freePort()
      const home = join(place.folder, `home-${port}`)
      mkdirSync(home, { mode: 0o700 })
      const env = environment(place, home)
      await cli(env, ['--home', home, 'init'])
      const key = ['key', 'add', 'openai', '--stdin', '--no-verify', '--allow-private', '--base-url', place.upstream]
      await cli(env, ['--home', home, '--json', ...key], `sk-proj-${'bench'.repeat(20)}\n`)
      const made = await cli(env, ['--home', home, '--json', 'token', 'create', '--provider', 'openai', ...limits])
      const { token } = JSON.parse(made) as { token: string }
      const serve = [...nodeFlags, launcher, '--home', home, 'serve', '--port', String(port)]
      const child = adopt(spawn(process.execPath, serve, { env, stdio: ['ignore', 'ignore', 'inherit'] }))
      await untilListening(child, port)
      const origin = `https://127.0.0.1:${port}`
      return { name, child, pid: pidOf(child), origin, http2Origin: origin, authorization: `Bearer ${token}`, cert: place.cert }
    },
  }
}

function environment(place: Place, home: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: home,
    NODE_ENV: 'production',
    SOAKP_TLS_CERT_FILE: place.certFile,
    SOAKP_TLS_KEY_FILE: place.keyFile,
    SOAKP_LOG_LEVEL: 'error',
    SOAKP_ADDRESS_RATE: '100000000/m',
  }
}

/** What the command printed; throws with its complaint when it failed. */
async function cli(env: NodeJS.ProcessEnv, args: readonly string[], input = ''): Promise<string> {
  const child = adopt(spawn(process.execPath, [launcher, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] }))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [printed, complaint] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (child.exitCode !== 0) throw new Error(`soakp ${args.slice(2, 5).join(' ')} failed: ${complaint.trim()}`)
  return printed
}
