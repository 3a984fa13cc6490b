import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import t from 'tap'
import { looksSecret } from '../../src/cli/argv.js'
import type { Cli } from '../../src/cli/cli.js'
import { commands } from '../../src/cli/commands/index.js'
import { createProgram } from '../../src/cli/program.js'
import { run } from './run.js'

const key = 'sk-proj-canaryCANARY0123456789abcdefghij'

t.test('every file of a command is in the list of commands', async t => {
  const files = readdirSync(join(process.cwd(), 'src/cli/commands')).filter(name => name.endsWith('.ts') && name !== 'index.ts')
  const listed = commands.flatMap(entry =>
    'commands' in entry
      ? entry.commands.map(make => `${entry.name}-${make({} as Cli).name()}.ts`)
      : [`${entry({} as Cli).name()}.ts`, ...entry({} as Cli).commands.map(child => `${entry({} as Cli).name()}-${child.name()}.ts`)],
  )
  t.same(files.sort(), listed.sort())
})

t.test('every command and every option says what it does', async t => {
  const silent = { out: () => undefined, note: () => undefined }
  const visit = (command: Command) => {
    t.ok(command.description(), `${command.name()} has a description`)
    for (const option of command.options) t.ok(option.hidden || option.description, `${command.name()} ${option.flags} has a description`)
    command.commands.forEach(visit)
  }
  visit(createProgram({} as Cli, silent))
})

t.test('--version prints the version of the package', async t => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  t.same(await run(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('--help goes to stdout and is a success; a group without a command shows its help and is not', async t => {
  const help = await run(['key', 'add', '--help'])
  t.equal(help.code, 0)
  t.match(help.stdout, 'Usage: soakp key add')
  t.match(help.stdout, '--no-verify')
  const group = await run(['key'])
  t.equal(group.code, 2)
  t.equal(group.stdout, '')
  t.match(group.stderr, 'Usage: soakp key')
  t.equal((await run(['help', 'token', 'create'])).code, 0)
})

t.test('wrong usage ends with 2, one line of what is wrong and one of what to do', async t => {
  for (const argv of [
    ['nonsense'],
    ['key', 'lst'],
    ['key', 'show'],
    ['key', 'list', '--nonsense'],
    ['token', 'create', '--ttl', 'soon'],
    ['usage', '--by', 'moon'],
  ]) {
    const { code, stdout, stderr } = await run(argv)
    t.equal(code, 2, argv.join(' '))
    t.equal(stdout, '')
    t.match(stderr, /^soakp: [^\n]+[^.\n]\n {2}[^\n]+\n$/, stderr)
  }
  t.match((await run(['key', 'lst'])).stderr, 'Did you mean list?')
  t.match((await run(['alias', 'set'])).stderr, "missing required argument 'name=provider/model'")
})

t.test('a key on the command line is refused wherever it stands, and never repeated', async t => {
  for (const argv of [
    ['key', 'add', 'openai', key],
    ['key', 'add', key],
    ['key', 'add', 'openai', '--key', key],
    ['key', 'add', 'openai', `--key=${key}`],
    ['key', 'add', 'openai', `--name=${key}`],
    [key],
    ['key', key],
    ['usage', '--by', key],
    ['token', 'create', '--ttl', key],
    ['key', 'add', 'openai', 'an-unusual-key-of-an-unknown-form-9f8e7d6c5b4a'],
    ['key', 'add', 'openai', '--key', 'an-unusual-key-of-an-unknown-form-9f8e7d6c5b4a'],
    ['key', 'rotate', 'key_0123456789012345678901', 'an-unusual-key-of-an-unknown-form-9f8e7d6c5b4a'],
    ['key', 'add', 'an-unusual-key-of-an-unknown-form-9f8e7d6c5b4a'],
    ['key', 'an-unusual-key-of-an-unknown-form-9f8e7d6c5b4a'],
  ]) {
    const { code, stdout, stderr } = await run(argv)
    t.ok(code === 2 || code === 66, `${argv.join(' ')}: ${code}`)
    t.notMatch(stdout + stderr, /canary|9f8e7d6c/i, argv.join(' '))
    t.match(stderr, /^soakp: /)
  }
})

t.test('what only resembles a key is taken as what it is', async t => {
  for (const word of [
    'app-backup-2026-11-22.backup',
    '/data/sk-archive/2026-11-22.backup',
    'desk-lamp-0123456789abcdef',
    'key_0123456789012345678901',
  ]) {
    t.notOk(looksSecret(word), word)
  }
})

t.test('an unforeseen error shows nothing of itself', async t => {
  const settings = () => Promise.reject(new Error(`driver said ${key}`))
  const { code, stderr } = await run(['key', 'list'], { settings })
  t.equal(code, 70)
  t.notMatch(stderr, 'canary')
  t.match(stderr, 'SOAKP_LOG_LEVEL=debug')
})
