import { openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { createTerminal } from '../../src/cli/terminal.js'
import { SoakpError } from '../../src/errors.js'
import { until } from '../support/until.js'

function terminal(piped: string | Buffer = '', variables: Record<string, string> = {}) {
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() }
  streams.stdin.end(piped)
  return { ...createTerminal(streams, name => variables[name]), streams }
}

t.test('a secret from a pipe loses its one trailing newline and nothing else', async t => {
  for (const piped of ['sk-canary', 'sk-canary\n', 'sk-canary\r\n']) {
    t.equal((await terminal(piped).readSecret('key', { stdin: true })).expose(), 'sk-canary')
  }
})

t.test('what cannot be a secret is refused without being shown', async t => {
  for (const piped of [
    '',
    '\n',
    'sk-canary\n\n',
    ' sk-canary',
    'sk-canary sk-two',
    'sk-can\u0000ary',
    'sk-can\u001bary',
    'sk-canäry',
    '\ufeffsk-canary',
    'x'.repeat(20_000),
  ]) {
    await t.rejects(
      terminal(piped).readSecret('key', { stdin: true }),
      { code: 'usage', message: /^(?![\s\S]*can)/ },
      JSON.stringify(piped.slice(0, 20)),
    )
  }
})

t.test('a password may hold blanks and any letters, but no line ends, and its own flags are named', async t => {
  const isPassword = true
  t.equal((await terminal('größer als zwei\n').readSecret('password', { stdin: true, isPassword })).expose(), 'größer als zwei')
  await t.rejects(terminal('one\ntwo\n').readSecret('password', { stdin: true, isPassword }), { code: 'usage', message: /^(?![\s\S]*two)/ })
  await t.rejects(terminal().readSecret('password', { fromEnv: 'NOT_SET', isPassword }), { code: 'usage', message: /--password-env/ })
  await t.rejects(terminal().readSecret('password', { isPassword }), { code: 'usage', hint: /--password-stdin/ })
})

t.test('a secret comes from a variable that is named', async t => {
  t.equal((await terminal('', { MY_KEY: 'sk-canary' }).readSecret('key', { fromEnv: 'MY_KEY' })).expose(), 'sk-canary')
  await t.rejects(terminal().readSecret('key', { fromEnv: 'sk-canary' }), { code: 'usage', message: /^(?![\s\S]*canary)/ })
  await t.rejects(terminal('x').readSecret('key', { fromEnv: 'MY_KEY', stdin: true }), { code: 'usage' })
})

t.test('without a terminal nothing is asked: a secret is refused with the way to give it, a question is answered no', async t => {
  await t.rejects(terminal('sk-canary').readSecret('key', {}), { code: 'usage', hint: /--stdin/ })
  t.equal(await terminal('y\n').confirm('really?'), false)
})

t.test('a reader that stops reading is no error', async t => {
  const { streams, out } = terminal()
  streams.stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
  t.doesNotThrow(() => out('more'))
})

t.test('an error is one line on stderr, and its hint is indented below', async t => {
  const { streams, failure } = terminal()
  failure({ exit: 2, line: 'what went wrong', hint: 'first\nsecond' })
  t.equal(streams.stderr.read().toString(), 'soakp: what went wrong\n  first\n  second\n')
  failure({ exit: 2, line: '"sk-proj-canary0123456789abcdef" of key_0123456789012345678901 is \u001b[2J not', hint: 'x' })
  t.equal(streams.stderr.read().toString(), 'soakp: "[not shown]" of key_0123456789012345678901 is \\u001b[2J not\n  x\n')
  t.equal(new SoakpError('cancelled').exit, 130)
})

t.test('a line of the log that cannot be written is lost, and neither waited for nor raised', async t => {
  const streams = {
    stdin: new PassThrough(),
    stdout: Object.assign(new PassThrough(), { fd: openSync('/dev/full', 'w') }),
    stderr: new PassThrough(),
  }
  const { log } = createTerminal(streams, () => undefined)
  log.write('lost\n')
  const file = join(t.testdir(), 'log')
  streams.stdout.fd = openSync(file, 'w')
  log.write('written\n')
  t.equal(readFileSync(file, 'utf8'), 'written\n')
})

t.test('on a terminal the secret is asked for on stderr, and what is typed is not shown; Ctrl-C cancels', async t => {
  const asked = () => {
    const tty = (isTTY: boolean) => Object.assign(new PassThrough(), { isTTY, columns: 80, rows: 24, setRawMode: () => undefined })
    const streams = { stdin: tty(true), stdout: new PassThrough(), stderr: tty(true) }
    let shown = ''
    streams.stderr.on('data', chunk => {
      shown += chunk
    })
    const { readSecret } = createTerminal(streams, () => undefined)
    return { streams, shown: () => shown, answer: readSecret('provider key', {}) }
  }
  const typed = asked()
  await until(() => typed.shown().includes('provider key'), 'the prompt')
  for (const character of 'sk-canary') typed.streams.stdin.write(character)
  typed.streams.stdin.write('\r')
  t.equal((await typed.answer).expose(), 'sk-canary')
  t.notMatch(typed.shown(), /canary|sk-/)
  t.equal(typed.streams.stdout.read(), null)
  const left = asked()
  await until(() => left.shown().includes('provider key'), 'the prompt')
  left.streams.stdin.write('\u0003')
  await t.rejects(left.answer, { code: 'cancelled' })
})
