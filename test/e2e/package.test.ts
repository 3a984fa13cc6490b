import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../support/daemon.js'
import { until } from '../support/until.js'

interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env, stdin = ''): Promise<Ran> {
  const child = spawn(command, args, { cwd, env })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin.end(stdin)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

async function must(...args: Parameters<typeof run>): Promise<string> {
  const { code, stdout, stderr } = await run(...args)
  if (code !== 0) throw new Error(`${args[0]} ${args[1].join(' ')} ended with ${code}: ${stderr}`)
  return stdout
}

const folder = t.testdir()
const packed = must('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], process.cwd()).then(
  text => (JSON.parse(text) as [{ filename: string; files: { path: string; mode: number }[] }])[0],
)

t.test('the package holds the program, its docs and its pinned dependencies, and no tests', async t => {
  const { files } = await packed
  const paths = new Set(files.map(file => file.path))
  for (const path of [
    'bin/soakp.js',
    'dist/src/index.js',
    'dist/src/index.d.ts',
    'dist/src/browser/index.js',
    'dist/src/browser/index.d.ts',
    'dist/src/cli/main.js',
    'npm-shrinkwrap.json',
    '.env.example',
    'README.md',
    'LICENSE',
    'SECURITY.md',
    'docs/cli.md',
  ]) {
    t.ok(paths.has(path), path)
  }
  t.same(
    [...paths].filter(path => /^(?:test|bench|scripts|src|node_modules)\/|^dist\/(?!src\/)|\.map$|\.env$/.test(path)),
    [],
  )
})

t.test('what pins the dependencies names versions and checksums, and no registry', async t => {
  const { packages } = JSON.parse(readFileSync('npm-shrinkwrap.json', 'utf8')) as {
    packages: Record<string, { version?: string; integrity?: string; resolved?: string }>
  }
  for (const [path, { version, integrity, resolved }] of Object.entries(packages)) {
    if (path !== '' && !(version && integrity && resolved === undefined)) t.fail(path, { version, integrity, resolved })
  }
  t.ok(Object.keys(packages).length > 100)
})

t.test('installed globally, it makes a home, serves, and answers a call', async t => {
  const prefix = join(folder, 'prefix')
  const { filename } = await packed
  await must(
    'npm',
    ['install', '--global', '--prefix', prefix, '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', join(folder, filename)],
    folder,
  )
  const installed = join(prefix, 'lib/node_modules/soakp')
  // the one script that was left out would compile SQLite, for a minute and a half: what it makes is here already
  const binding = 'node_modules/better-sqlite3/build/Release/better_sqlite3.node'
  cpSync(binding, join(installed, binding))
  t.notOk(existsSync(join(installed, 'node_modules/typescript')), 'nothing comes along that only development needs')

  // as a page's own project has it: the types of a browser and none of Node's
  const project = join(folder, 'project')
  mkdirSync(join(project, 'node_modules'), { recursive: true })
  symlinkSync(installed, join(project, 'node_modules/soakp'))
  writeFileSync(
    join(project, 'page.ts'),
    "import { createClient, type IssuedToken } from 'soakp/browser'\nconst soakp = createClient({ url: 'https://soakp.example', token: async (): Promise<IssuedToken> => ({ token: 'x' }), dpop: true })\nexport const reply: Promise<Response> = soakp.fetch('https://soakp.example/openai/v1/models', { signal: AbortSignal.timeout(1) })\n",
  )
  const compilerOptions = { noEmit: true, strict: true, types: [], lib: ['es2022', 'dom'], module: 'esnext', moduleResolution: 'bundler' }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['page.ts'] }))
  await must(process.execPath, [join(process.cwd(), 'node_modules/typescript/bin/tsc')], project)

  // as a backend has it: Node's types, none of ws's, and every declaration checked
  const [, example = ''] = /```ts\n(.*?)```/s.exec(readFileSync('docs/library.md', 'utf8')) ?? []
  writeFileSync(join(project, 'backend.mts'), example)
  const typeRoots = [join(process.cwd(), 'node_modules/@types')]
  for (const [module, moduleResolution] of [
    ['node16', 'node16'],
    ['esnext', 'bundler'],
  ]) {
    const strict = { noEmit: true, strict: true, target: 'es2022', types: ['node'], typeRoots, module, moduleResolution }
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: strict, files: ['backend.mts'] }))
    await must(process.execPath, [join(process.cwd(), 'node_modules/typescript/bin/tsc')], project)
  }

  const home = join(folder, 'home')
  const env = { PATH: process.env.PATH, HOME: folder, SOAKP_HOME: home }
  const soakp = (args: readonly string[], stdin?: string) => must(join(prefix, 'bin/soakp'), args, folder, env, stdin)
  await soakp(['init'])
  t.equal(statSync(join(home, '.env')).mode & 0o777, 0o600)
  await soakp(['key', 'add', 'sandbox', '--stdin'], 'any-text-will-do')
  const { token } = JSON.parse(await soakp(['--json', 'token', 'create', '--provider', 'sandbox'])) as { token: string }

  const port = await freePort()
  const daemon = spawn(join(prefix, 'bin/soakp'), ['serve', '--port', `${port}`], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [daemon.stdout, daemon.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  const ended = once(daemon, 'exit') as Promise<[number | null, string | null]>
  t.teardown(() => daemon.kill('SIGKILL'))
  const ca = readFileSync(join(home, 'certs/local/ca.pem'))
  const ask = (path: string, body?: unknown) => call(port, ca, path, token, body)
  await until(
    async () => {
      if (daemon.exitCode !== null) throw new Error(`soakp serve ended: ${said}`)
      return (await ask('/healthz')).status === 200
    },
    'the daemon to answer',
    () => said,
  )
  const reply = await ask('/sandbox/v1/chat/completions', { model: 'sandbox', messages: [{ role: 'user', content: 'hello' }] })
  t.equal(reply.status, 200, reply.text)
  t.match(JSON.parse(reply.text), { choices: [{ message: { role: 'assistant' } }], usage: { prompt_tokens: Number } })
  t.match(JSON.parse(await soakp(['--json', 'usage', '--by', 'provider'])), [{ calls: 1 }])
  daemon.kill('SIGTERM')
  t.same(await ended, [0, null])
})

function call(port: number, ca: Buffer, path: string, token: string, body?: unknown): Promise<{ status: number; text: string }> {
  return new Promise(resolve => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const sent = request(
      { host: 'localhost', family: 4, port, path, ca, agent: false, headers, method: body === undefined ? 'GET' : 'POST' },
      response => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      },
    )
    sent.on('error', error => resolve({ status: 0, text: error.message }))
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
