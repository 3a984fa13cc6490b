import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type SourceFile, sourceFiles } from './support/source-files.js'

/** A file imports its own part or a part of a lower row. `errors.ts` and `lib/` are one part, `home.ts`, `keeper.ts` and `soakp.ts` another. */
const rows: Record<string, number> = {
  ...{ 'errors.ts': 0, lib: 0 },
  ...{ prices: 1, providers: 1, stores: 1 },
  ...{ vault: 2, access: 2, limits: 2, ledger: 2, tenancy: 2, audit: 2, webhooks: 2, tls: 2 },
  ...{ config: 3, relay: 3 },
  ...{ 'soakp.ts': 4, 'home.ts': 4, 'keeper.ts': 4 },
  server: 5,
  cli: 6,
  'index.ts': 7,
  // for pages: nothing here imports it, and it imports nothing
  browser: 0,
}

/** Above 300 lines only with a reason. */
const long: Record<string, string> = {
  'src/relay/delivery.ts': 'one reply and the states it can be in; what each of them does is elsewhere',
}

const files = sourceFiles('src')
const partOf = (path: string) => {
  const part = path.split('/')[1] ?? ''
  return part === 'errors.ts' ? 'lib' : part === 'home.ts' || part === 'keeper.ts' ? 'soakp.ts' : part
}
const inside =
  (...places: string[]) =>
  (file: SourceFile) =>
    places.some(place => file.path.startsWith(`src/${place}`))
const outside =
  (...places: string[]) =>
  (file: SourceFile) =>
    !inside(...places)(file)

/** One line for every file that breaks a rule, so that a failure says all there is to mend. */
function broken(of: readonly SourceFile[], rule: (file: SourceFile) => readonly string[]): string[] {
  return of.flatMap(file => rule(file).map(what => `${file.path}: ${what}`))
}

t.test('there is source to look at', async t => t.ok(files.length > 20))

t.test('every part of src has its row', async t => {
  t.same(
    [...new Set(files.map(file => partOf(file.path)))].filter(part => !(part in rows)),
    [],
  )
})

t.test('imports lead to the same part or a lower row', async t => {
  const row = (path: string) => rows[partOf(path)] ?? -1
  const wrong = broken(files, file =>
    file.imports.flatMap(({ file: target }) =>
      target === undefined || partOf(target) === partOf(file.path) || row(target) < row(file.path) ? [] : [`imports ${target}`],
    ),
  )
  t.same(wrong, [])
})

t.test('no import leads back to where it came from', async t => {
  const graph = new Map(
    files.map(file => [
      file.path,
      file.imports.flatMap(({ file: target, typeOnly }) => (target === undefined || typeOnly ? [] : [target])),
    ]),
  )
  t.same(cycles(graph), [])
})

t.test('the client for pages stands alone: it is loaded as it is, and the daemon has no use for it', async t => {
  const isPages = inside('browser/')
  t.same(
    broken(files, file =>
      file.imports.flatMap(({ from, file: target }) =>
        isPages(file) !== (target?.startsWith('src/browser/') ?? false) && (isPages(file) || target?.startsWith('src/browser/'))
          ? [`imports ${from}`]
          : [],
      ),
    ),
    [],
  )
})

t.test('the environment is read in config/ only', async t => {
  t.same(
    broken(files.filter(outside('config/')), file => [...file.mentions].filter(mention => mention === 'process.env')),
    [],
  )
})

t.test('only cli/terminal prints', async t => {
  const printing = new Set(['console', 'process.stdout', 'process.stderr', 'process.stdin'])
  t.same(
    broken(files.filter(outside('cli/terminal')), file => [...file.mentions].filter(mention => printing.has(mention))),
    [],
  )
})

t.test('connections to the outside are made in lib/outbound, tls/ and stores/ only; the server listens', async t => {
  const modules = /^(?:node:)?(?:net|tls|http|https|http2|dgram|dns|dns\/promises)$|^undici$|^ws$/
  const harmless = new Set([
    'isIP',
    'isIPv4',
    'isIPv6',
    'BlockList',
    'SocketAddress',
    'STATUS_CODES',
    'errors',
    'METHODS',
    'constants',
    'createServer',
    'Server',
    'createSecureServer',
    'createSecureContext',
    'ServerResponse',
    'WebSocketServer',
  ])
  const listening = new Set(['createServer', 'createSecureServer', 'Server', 'ServerResponse', 'WebSocketServer'])
  const wrong = broken(files.filter(outside('lib/outbound', 'tls/', 'stores/', 'browser/')), file => [
    ...file.imports
      .filter(({ from, typeOnly }) => modules.test(from) && !typeOnly)
      .flatMap(({ from, names }) =>
        names
          .filter(name => !harmless.has(name) || (listening.has(name) && !inside('server/')(file)))
          .map(name => `takes ${name} from ${from}`),
      ),
    ...['fetch', 'WebSocket', 'EventSource'].filter(name => file.mentions.has(name)).map(name => `uses ${name}`),
  ])
  t.same(wrong, [])
})

t.test('adapters never import each other', async t => {
  for (const folder of ['providers', 'stores', 'cli/commands', 'server/routes', 'tls/dns']) {
    const index = files.find(file => file.path === `src/${folder}/index.ts`)
    const adapters = new Set(
      index?.imports.flatMap(({ file, names }) =>
        file?.startsWith(`src/${folder}/`) && names.some(name => index.listed.has(name)) ? [file] : [],
      ),
    )
    const wrong = broken(
      files.filter(file => adapters.has(file.path)),
      file =>
        file.imports.flatMap(({ file: target }) =>
          target !== undefined && target !== file.path && adapters.has(target) ? [`imports ${target}`] : [],
        ),
    )
    t.same(wrong, [], folder)
  }
})

t.test('a file that grows past 300 lines is split, or says why not', async t => {
  t.same(
    broken(files, file => (file.lines > 300 && !(file.path in long) ? [`${file.lines} lines`] : [])),
    [],
  )
  t.same(
    Object.keys(long).filter(path => !files.some(file => file.path === path && file.lines > 300)),
    [],
    'and the list of reasons holds nothing else',
  )
})

t.test('what programs outside src/ load of it is there: no compiler looks at them', async t => {
  const programs = ['bin', 'docker'].flatMap(folder => readdirSync(folder).map(name => join(folder, name)))
  const loaded = programs
    .filter(path => /\.m?js$/.test(path))
    .flatMap(path => [...readFileSync(path, 'utf8').matchAll(/dist\/(src\/[\w./-]+)\.js/g)].map(([, file]) => `${file}.ts`))
  t.ok(loaded.length > 2)
  t.same(
    loaded.filter(path => !files.some(file => file.path === path)),
    [],
  )
})

/** Every cycle once, as `a -> b -> a`. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const walk = (path: string, way: readonly string[]): void => {
    const from = way.indexOf(path)
    if (from !== -1) found.push([...way.slice(from), path].join(' -> '))
    if (from !== -1 || done.has(path)) return
    for (const next of graph.get(path) ?? []) walk(next, [...way, path])
    done.add(path)
  }
  for (const path of graph.keys()) walk(path, [])
  return found
}
