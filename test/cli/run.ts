import { PassThrough } from 'node:stream'
import { main } from '../../src/cli/main.js'
import type { Parts } from '../../src/cli/session.js'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

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
