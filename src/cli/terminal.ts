import { writeSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { SoakpError } from '../errors.js'
import { Secret } from '../lib/secret.js'
import { withoutSecrets } from './argv.js'
import type { SecretSource } from './cli.js'
import type { Failure } from './failure.js'
import { printable } from './format.js'

export interface Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable & { readonly fd?: number }
  readonly stderr: Writable & { readonly isTTY?: boolean }
}

/** Where the lines of a log go, each with its newline. */
export interface LogSink {
  write(line: string): void
}

/**
 * The only place that prints or prompts. Results go to stdout; prompts, notes and errors go to stderr, lines of `soakp:` in lower case, without a full
 * stop.
 */
export interface Terminal {
  /** Whether a person reads stderr. */
  readonly interactive: boolean
  out(text: string): void
  /** As it is, without a newline added; resolves when there is room for more, with false where nobody reads any longer. */
  write(text: string): Promise<boolean>
  note(text: string): void
  readonly log: LogSink
  failure(failure: Failure): void
  readSecret(label: string, source: SecretSource): Promise<Secret>
  confirm(question: string): Promise<boolean>
}

export const processStreams: Streams = process

/** What a secret is, where it comes from, and what it may hold. */
interface SecretKind {
  readonly fromEnv: string
  readonly stdin: string
  isGood(bytes: Buffer): boolean
  readonly refusal: string
  readonly hint: string
}

const keys: SecretKind = {
  fromEnv: '--from-env',
  stdin: '--stdin',
  // a key goes into a header: visible ASCII and nothing else
  isGood: bytes => bytes.every(byte => byte >= 0x21 && byte <= 0x7e) || isKeyFile(bytes),
  refusal: 'The secret holds whitespace, control or other characters that no key has.',
  hint: 'was more than the key copied?',
}

const passwords: SecretKind = {
  fromEnv: '--password-env',
  stdin: '--password-stdin',
  isGood: bytes => bytes.every(byte => byte >= 0x20 && byte !== 0x7f),
  refusal: 'The password holds control characters.',
  hint: 'was more than one line given?',
}

/** More than any key has. */
const maxSecretBytes = 16_384

export function createTerminal(streams: Streams, variable: (name: string) => string | undefined): Terminal {
  const { stdin, stdout, stderr } = streams
  // whoever reads our output may stop reading (`soakp key list | head -1`), and a terminal may go away
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
    })
  }
  const line = (stream: Writable, text: string) => stream.write(text.endsWith('\n') ? text : `${text}\n`)
  return {
    interactive: stderr.isTTY === true,
    out: text => void line(stdout, text),
    write: text => writeTo(stdout, text),
    note: text => void line(stderr, text),
    log: logSink(stdout),
    failure({ line: what, hint }) {
      if (what !== undefined) line(stderr, `soakp: ${printable(withoutSecrets(what))}`)
      if (what !== undefined && hint !== undefined) line(stderr, `  ${hint.replaceAll('\n', '\n  ')}`)
    },
    async readSecret(label, source) {
      const kind = source.isPassword ? passwords : keys
      if (source.fromEnv !== undefined && source.stdin)
        throw new SoakpError('usage', `${kind.fromEnv} and ${kind.stdin} exclude each other.`)
      if (source.fromEnv !== undefined) return fromVariable(source.fromEnv, variable, kind)
      if (source.stdin) return fromStream(stdin, kind)
      if (!stdin.isTTY || !stderr.isTTY) {
        throw new SoakpError('usage', 'There is no terminal to ask for the secret.', {
          hint: `pipe it in with ${kind.stdin}, or name a variable with ${kind.fromEnv} VAR`,
        })
      }
      return fromPrompt(label, streams, kind)
    },
    async confirm(question) {
      if (!stdin.isTTY || !stderr.isTTY) return false
      const { confirm } = await import('@clack/prompts')
      return (await confirm({ message: question, initialValue: false, input: stdin, output: stderr })) === true
    },
  }
}

function writeTo(stream: Writable, text: string): Promise<boolean> {
  if (stream.destroyed || stream.writableEnded) return Promise.resolve(false)
  if (stream.write(text)) return Promise.resolve(true)
  return new Promise(resolve => {
    const settle = (isOpen: boolean) => () => {
      stream.off('drain', onDrain).off('close', onClose).off('error', onClose)
      resolve(isOpen)
    }
    const onDrain = settle(true)
    const onClose = settle(false)
    stream.on('drain', onDrain).on('close', onClose).on('error', onClose)
  })
}

/** What is kept of a log whose reader has stopped reading. */
const maxLogBacklog = 1_048_576

/**
 * The log on stdout. What cannot be written is lost, and the next line is tried anew: a full disk, a closed pipe or a terminal that is gone neither ends the daemon nor
 * holds it up.
 */
function logSink(stdout: Streams['stdout']): LogSink {
  return {
    write(line) {
      if (stdout.fd === undefined || stdout.writableLength > 0) {
        if (stdout.writableLength < maxLogBacklog) stdout.write(line)
        return
      }
      let rest = Buffer.from(line)
      try {
        while (rest.length > 0) rest = rest.subarray(writeSync(stdout.fd, rest))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') stdout.write(rest)
      }
    },
  }
}

function fromVariable(name: string, variable: (name: string) => string | undefined, kind: SecretKind): Secret {
  const value = variable(name)
  if (value === undefined) throw new SoakpError('usage', `The environment variable named by ${kind.fromEnv} is not set.`)
  return checked(Buffer.from(value), kind)
}

async function fromStream(stdin: Readable, kind: SecretKind): Promise<Secret> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stdin) {
    chunks.push(Buffer.from(chunk as Uint8Array))
    size += (chunk as Uint8Array).length
    if (size > maxSecretBytes) throw new SoakpError('usage', `More than ${maxSecretBytes} bytes came in; that is no key.`)
  }
  const secret = checked(Buffer.concat(chunks), kind)
  for (const chunk of chunks) chunk.fill(0)
  return secret
}

async function fromPrompt(label: string, { stdin, stderr }: Streams, kind: SecretKind): Promise<Secret> {
  const { password, isCancel } = await import('@clack/prompts')
  const value = await password({ message: `${label} (not shown)`, mask: '•', input: stdin, output: stderr })
  if (isCancel(value)) throw new SoakpError('cancelled')
  return checked(Buffer.from(value ?? ''), kind)
}

/** A JSON object, such as the key file of a service account. */
function isKeyFile(bytes: Buffer): boolean {
  if (!/^\s*\{/.test(bytes.toString('latin1', 0, 64))) return false
  try {
    JSON.parse(bytes.toString('utf8'))
    return true
  } catch {
    return false
  }
}

/** Takes the bytes over. One newline at the end is the pipe's, not the secret's. */
function checked(bytes: Buffer, { isGood, refusal, hint }: SecretKind): Secret {
  let end = bytes.length
  if (bytes[end - 1] === 0x0a) end -= bytes[end - 2] === 0x0d ? 2 : 1
  const value = bytes.subarray(0, end)
  try {
    if (value.length === 0) throw new SoakpError('usage', 'The secret is empty.')
    if (!isGood(value)) throw new SoakpError('usage', refusal, { hint })
    return new Secret(value)
  } finally {
    bytes.fill(0)
  }
}
