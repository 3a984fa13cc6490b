import { spawn } from 'node:child_process'
import { homedir } from 'node:os'

export interface ProgramRun {
  /** Program and arguments. There is no shell. */
  readonly argv: readonly string[]
  /** Beside a path, a home and a language; nothing of our own environment is inherited. */
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export interface ProgramEnd {
  /** Why it counts as failed, as the end of a sentence that begins with the program; undefined where it ended well. */
  readonly failure: string | undefined
  readonly output: string
  /** Its standard error. */
  readonly said: string
}

/** More than any hook has to say. */
const longestOutput = 64 * 1024

/** Runs a program in a process group of its own, and ends the whole group when it takes too long or the run is stopped. Never rejects. */
export function runProgram({ argv, environment, timeoutMs, signal }: ProgramRun): Promise<ProgramEnd> {
  return new Promise(resolve => {
    const [program = '', ...args] = argv
    const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: homedir(), LANG: 'C.UTF-8', ...environment }
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true, shell: false })
    const output = collect(child.stdout)
    const said = collect(child.stderr)
    let stopped: string | undefined
    const stop = (why: string) => {
      stopped = why
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // gone already
      }
    }
    const onAbort = () => stop('was stopped')
    const timer = setTimeout(() => stop(`did not end within ${timeoutMs / 1000} s and was killed`), timeoutMs)
    signal.addEventListener('abort', onAbort)
    const end = (failure: string | undefined) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      resolve({ failure, output: output(), said: said() })
    }
    child.once('error', error => end('code' in error && error.code === 'ENOENT' ? 'is not there' : 'cannot be run'))
    child.once('close', (code, by) =>
      end(stopped ?? (code === 0 ? undefined : code === null ? `was ended by ${by}` : `ended with ${code}`)),
    )
    if (signal.aborted) onAbort()
  })
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = []
  let size = 0
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size <= longestOutput) chunks.push(chunk)
  })
  return () => Buffer.concat(chunks).toString()
}
