import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { until } from '../until.js'
import { type Program, programPath } from './programs.js'

/** A server made by others, running. */
export interface Server {
  readonly pid: number
  /** Everything it printed so far. */
  log(): string
  readonly running: boolean
  /** SIGTERM unless told otherwise; resolves when it has ended. Harmless to call twice. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Ends the server with the process that started it, however that ends: descriptor 4 is a pipe from us, and closes without a word. */
const keeper =
  '"$@" </dev/null 3>&- 4<&- & child=$!; echo $child >&3; (read -r word || kill $child 2>/dev/null) <&4 3>&- & exec 3>&-; wait $child'

/** Starts a server whose output goes to `logFile`. */
export async function startServer(
  program: Program,
  args: readonly string[],
  logFile: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Server> {
  const file = programPath(program)
  if (file === undefined) throw new Error(`${program} is not installed`)
  const output = openSync(logFile, 'a', 0o600)
  const child = spawn('sh', ['-c', keeper, 'sh', file, ...args], {
    stdio: ['ignore', output, output, 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', ...environment },
  })
  closeSync(output)
  let running = true
  const ended = once(child, 'exit').then(() => {
    running = false
    ;(child.stdio[4] as Writable).end('ended\n')
  })
  const pid = await readPid(child)
  return {
    pid,
    log: () => readFileSync(logFile, 'utf8'),
    get running() {
      return running
    },
    async stop(signal = 'SIGTERM') {
      if (!running) return
      process.kill(pid, signal)
      await ended
    },
  }
}

async function readPid(child: ChildProcess): Promise<number> {
  const [data] = (await once(child.stdio[3] as Readable, 'data')) as [Buffer]
  return Number(data.toString())
}

/** Waits until `ready` answers true; fails with what the server said when it ended or did not come up. */
export async function untilUp(server: Server, name: string, ready: () => Promise<boolean>): Promise<void> {
  await until(
    async () => {
      if (!server.running) throw new Error(`${name} ended at once:\n${server.log()}`)
      return await ready().catch(() => false)
    },
    `${name} to come up`,
    () => server.log(),
  )
}
