import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'

/** A clone with one source file, packages that need no installing, and an npm that only writes down what it was told. */
function clone(t: Test, more: Record<string, string> = {}) {
  const root = t.testdir()
  cpSync('scripts', join(root, 'scripts'), { recursive: true })
  const files: Record<string, string> = {
    'package.json': '{ "type": "module" }',
    'npm-shrinkwrap.json': JSON.stringify({
      packages: { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '2.0.0', optional: true } },
    }),
    'node_modules/.package-lock.json': JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } }),
    'node_modules/better-sqlite3/package.json': '{ "main": "index.cjs" }',
    'node_modules/better-sqlite3/index.cjs': 'module.exports = class { close() {} }',
    'tsconfig.json': '{}',
    'tsconfig.build.json': JSON.stringify({
      compilerOptions: { outDir: 'dist', rootDir: '.', module: 'nodenext', types: [], skipLibCheck: true },
      include: ['src'],
    }),
    'src/greeting.ts': 'export const greeting: string = "hello"\n',
    'bin/soakp.js': 'process.stdout.write(JSON.stringify({ arguments: process.argv.slice(2), cwd: process.cwd() }))\n',
    'path/npm': '#!/bin/sh\necho "$@" >> "$(dirname "$0")/npm.log"\necho npm says why >&2\nexit 1\n',
    ...more,
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  chmodSync(join(root, 'path/npm'), 0o755)
  symlinkSync(join(process.cwd(), 'node_modules/typescript'), join(root, 'node_modules/typescript'))
  symlinkSync(process.execPath, join(root, 'path/node'))
  return root
}

/** `npm start -- ARGS` without npm around it, as if the user stood in `cwd`. */
function start(root: string, args: readonly string[] = [], cwd = root, more: NodeJS.ProcessEnv = {}) {
  const env = { PATH: `${join(root, 'path')}:/bin:/usr/bin`, INIT_CWD: cwd, ...more }
  return spawnSync(process.execPath, [join(root, 'scripts/start.mjs'), ...args], { cwd: root, env, encoding: 'utf8' })
}

t.test('npm start builds, then serves with the arguments it was given, from where the user stands', async t => {
  const root = clone(t)
  const cwd = join(root, 'path')
  const { stdout, stderr, status } = start(root, ['--port', '4000'], cwd)
  t.same(JSON.parse(stdout), { arguments: ['serve', '--first-run', '--port', '4000'], cwd })
  t.equal(stderr, '', 'and says nothing of its own')
  t.equal(status, 0)
  t.ok(existsSync(join(root, 'dist/src/greeting.js')))
})

t.test('a second start neither installs nor compiles', async t => {
  const root = clone(t)
  start(root)
  writeFileSync(join(root, 'dist/src/greeting.js'), '// still the same')
  start(root)
  t.equal(readFileSync(join(root, 'dist/src/greeting.js'), 'utf8'), '// still the same')
  t.notOk(existsSync(join(root, 'path/npm.log')))
})

t.test('a changed source is compiled, and what was compiled from a removed one goes', async t => {
  const root = clone(t, { 'dist/src/gone.js': '' })
  start(root)
  t.notOk(existsSync(join(root, 'dist/src/gone.js')))
  writeFileSync(join(root, 'src/greeting.ts'), 'export const greeting: string = "good evening"\n')
  start(root)
  t.match(readFileSync(join(root, 'dist/src/greeting.js'), 'utf8'), 'good evening')
})

t.test('source that does not compile is shown, and nothing is served', async t => {
  const { stdout, stderr, status } = start(clone(t, { 'src/greeting.ts': 'export const greeting: string = 1\n' }))
  t.match(stderr, 'src/greeting.ts(1,14): error TS2322')
  t.match(stderr, 'soakp: compiling failed')
  t.equal(stdout, '')
  t.equal(status, 1)
})

t.test('missing packages are installed; when SQLite cannot be compiled, one line says what to install', async t => {
  const root = clone(t, { 'node_modules/.package-lock.json': JSON.stringify({ packages: { 'node_modules/a': { version: '0.9.0' } } }) })
  const env = { PATH: join(root, 'path'), INIT_CWD: root }
  for (const tool of ['sh', 'dirname']) symlinkSync(`/bin/${tool}`, join(root, 'path', tool))
  writeFileSync(join(root, 'path/apt-get'), '')
  const { stderr, status } = spawnSync(process.execPath, [join(root, 'scripts/start.mjs')], { cwd: root, env, encoding: 'utf8' })
  t.match(readFileSync(join(root, 'path/npm.log'), 'utf8'), /^ci --include=dev/)
  t.match(stderr, 'npm says why')
  t.match(stderr, 'soakp: SQLite has to be compiled here, and python3, make, g++ are missing: sudo apt-get install -y python3 make g++')
  t.equal(status, 1)
})

t.test('SQLite is compiled with the headers that came with Node, and not with those of another one', async t => {
  const { headersOf } = await import(pathToFileURL(resolve('scripts/prepare.mjs')).href)
  const header = (modules: string) => `#define NODE_MODULE_VERSION ${modules}\n`
  const prefix = t.testdir({ mine: {}, other: {}, bare: {} })
  for (const [name, modules] of [
    ['mine', process.versions.modules],
    ['other', '1'],
  ] as const) {
    mkdirSync(join(prefix, name, 'include/node'), { recursive: true })
    writeFileSync(join(prefix, name, 'include/node/node_version.h'), header(modules))
  }
  t.equal(headersOf(join(prefix, 'mine/bin/node')), join(prefix, 'mine'))
  t.equal(headersOf(join(prefix, 'other/bin/node')), undefined)
  t.equal(headersOf(join(prefix, 'bare/bin/node')), undefined)
})

t.test('where npm was told of headers, those are used', async t => {
  const root = clone(t, {
    'node_modules/.package-lock.json': '{ "packages": {} }',
    'path/npm': '#!/bin/sh\necho "$npm_config_nodedir" >> "$(dirname "$0")/npm.log"\nexit 1\n',
  })
  start(root, [], root, { npm_config_nodedir: '/opt/headers' })
  t.equal(readFileSync(join(root, 'path/npm.log'), 'utf8'), '/opt/headers\n')
})
