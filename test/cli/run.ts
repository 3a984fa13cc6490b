import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { pino } from 'pino'
import { main } from '../../src/cli/main.js'
import type { Parts } from '../../src/cli/session.js'
import { loadSettings } from '../../src/config/load.js'
import { createSoakp } from '../../src/soakp.js'
import type { Ran } from '../support/daemon.js'

/** Runs a command line in this process, with the given parts behind it and `stdin` piped in. */
export async function run(argv: readonly string[], parts: Partial<Parts> = {}, stdin = ''): Promise<Ran> {
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() }
  const text = (stream: PassThrough) => {
    const chunks: Buffer[] = []
    stream.on('data', chunk => chunks.push(chunk))
    return () => Buffer.concat(chunks).toString()
  }
  const stdout = text(streams.stdout)
  const stderr = text(streams.stderr)
  streams.stdin.end(stdin)
  const code = await main(argv, streams, { ...unreachable, ...parts })
  await new Promise(resolve => setImmediate(resolve))
  return { code, stdout: stdout(), stderr: stderr() }
}

const unreachable: Parts = {
  settings: () => Promise.reject(new Error('no settings in this test')),
  open: () => Promise.reject(new Error('no home in this test')),
  now: Date.now,
}

/** A home in a directory of the test whose commands run in this process: the real parts, without the price of a process each. */
export interface NearHome {
  readonly dir: string
  run(args: readonly string[], stdin?: string): Promise<Ran>
  /** Fails with what the command said when it failed. */
  json<T>(args: readonly string[], stdin?: string): Promise<T>
}

export function nearHome(dir: string, environment: Readonly<Record<string, string>> = {}, more: Partial<Parts> = {}): NearHome {
  const parts: Partial<Parts> = {
    settings: async flags => loadSettings({ env: { ...environment }, home: dir, flags }),
    open: async settings => createSoakp(settings, { log: pino({ level: 'silent' }) }),
    ...more,
  }
  const inHere: NearHome['run'] = (args, stdin) => run(args, parts, stdin)
  return { dir, run: inHere, json: jsonOf(inHere) }
}

/** Reads what a command says with `--json`. */
export function jsonOf(run: NearHome['run']): NearHome['json'] {
  return async (args, stdin) => {
    const ran = await run(['--json', ...args], stdin)
    if (ran.code !== 0) throw new Error(`soakp ${args.join(' ')} ended with ${ran.code}: ${ran.stderr}`)
    return JSON.parse(ran.stdout)
  }
}

/** One that `soakp init` made. */
export async function madeHome(t: { testdir(): string }, environment: Readonly<Record<string, string>> = {}): Promise<NearHome> {
  const home = nearHome(join(t.testdir(), 'home'), environment)
  await home.json(['init'])
  return home
}
