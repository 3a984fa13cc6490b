// What `npm start` and `npm test` need before any of soakp's own code can run: Node, packages, the SQLite binding, a build. No dependencies here.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
const windows = process.platform === 'win32'

export class Trouble extends Error {}

export function say(line) {
  process.stderr.write(`${line}\n`)
}

export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  throw new Trouble(`Node 20.19 or later is needed, this is ${process.versions.node}: see https://nodejs.org/en/download`)
}

/** Runs a program quietly; on failure what it said last goes to stderr. */
export function run(title, command, args, options = {}) {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    ...options,
  })
  if (status === 0) return
  const said = `${stdout ?? ''}${stderr ?? ''}${error ? error.message : ''}`.trim().split('\n').slice(-30).join('\n')
  say(said)
  throw new Trouble(`${title} failed (${command} ${args.join(' ')})`)
}

function npm(title, args) {
  const nodedir = process.env.npm_config_nodedir ?? headersOf(process.execPath)
  const env = { ...process.env, ...(nodedir && { npm_config_nodedir: nodedir }) }
  run(title, windows ? 'npm.cmd' : 'npm', args, { env, shell: windows })
}

/** Where the headers of this Node lie, if it was installed with them: node-gyp would fetch them from nodejs.org, and does not get there from everywhere. */
export function headersOf(execPath) {
  const prefix = dirname(dirname(execPath))
  const version = join(prefix, 'include/node/node_version.h')
  const fits = existsSync(version) && readFileSync(version, 'utf8').includes(`NODE_MODULE_VERSION ${process.versions.modules}\n`)
  return fits ? prefix : undefined
}

/** A tool of node_modules as [program, first arguments], without a shell or npx in between. */
export function tool(name) {
  const packages = { tsc: ['typescript', 'tsc'], biome: ['@biomejs/biome', 'biome'], tap: ['tap', 'tap'] }
  const [packageName, binary] = packages[name]
  const folder = join(root, 'node_modules', packageName)
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return [process.execPath, [join(folder, typeof bin === 'string' ? bin : bin[binary])]]
}

/** Packages as npm-shrinkwrap.json has them, and an SQLite binding that loads. Does nothing when all is there. */
export function install() {
  if (!installed()) {
    if (existsSync(join(root, 'node_modules')) && lstatSync(join(root, 'node_modules')).isSymbolicLink()) {
      throw new Trouble('node_modules is a link, and what it leads to is not what npm-shrinkwrap.json asks for')
    }
    say('installing packages (a minute or two, the first time) …')
    withCompiler(() => npm('installing', ['ci', '--include=dev', '--no-audit', '--no-fund']))
  }
  if (!bindingLoads()) {
    say('building SQLite for this Node …')
    withCompiler(() => npm('building SQLite', ['rebuild', 'better-sqlite3']))
    if (!bindingLoads()) throw new Trouble('the SQLite binding was built but does not load')
  }
}

/** Whether every package that has to be there is there in the version asked for. */
function installed() {
  const wanted = packagesOf(join(root, 'npm-shrinkwrap.json'))
  const present = packagesOf(join(root, 'node_modules/.package-lock.json'))
  return (
    wanted !== undefined &&
    present !== undefined &&
    Object.entries(wanted).every(([path, { version, optional }]) => path === '' || optional || present[path]?.version === version)
  )
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch {
    return undefined
  }
}

/** In a process of its own: a binding for another Node can take the process down with it. */
function bindingLoads() {
  const { status } = spawnSync(process.execPath, ['-e', "new (require('better-sqlite3'))(':memory:').close()"], {
    cwd: root,
    stdio: 'ignore',
  })
  return status === 0
}

/** npm first looks for a finished SQLite binding and else compiles one: only when that fails does a missing compiler matter. */
function withCompiler(work) {
  const missing = ['python3', 'make', 'g++'].filter(name => !onPath(name))
  if (missing.length > 0 && mayInstall()) aptInstall(missing)
  try {
    work()
  } catch (error) {
    if (missing.length > 0)
      throw new Trouble(
        `SQLite has to be compiled here, and ${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} missing: ${compilerAdvice()}`,
      )
    throw error
  }
}

/** Programs of others that suites run against, by the Debian packages that bring them. */
const suitePrograms = {
  pebble: ['pebble'],
  named: ['bind9'],
  nsupdate: ['bind9-dnsutils'],
  pdns_server: ['pdns-server', 'pdns-backend-sqlite3'],
  openssl: ['openssl'],
  certbot: ['certbot', 'python3-certbot-dns-rfc2136'],
  lego: ['lego'],
  chromium: ['chromium'],
}

/** On a CI machine that is ours alone, installs what suites need. Elsewhere nothing is installed: suites say what they lack, and are skipped. */
export function installSuitePrograms() {
  const missing = Object.keys(suitePrograms).filter(name => !onPath(name) && !existsSync(`/usr/sbin/${name}`))
  if (missing.length === 0 || !mayInstall()) return
  try {
    aptInstall(missing.flatMap(name => suitePrograms[name]))
  } catch (error) {
    if (!(error instanceof Trouble)) throw error
    say(`${error.message}; the suites that need ${missing.join(', ')} will be skipped`)
  }
}

function mayInstall() {
  return process.env.CI && process.getuid?.() === 0 && onPath('apt-get')
}

function aptInstall(packages) {
  const quiet = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  run('apt-get update', 'apt-get', ['update', '-qq'], quiet)
  run('apt-get install', 'apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], quiet)
}

function onPath(name) {
  const names = windows ? [`${name}.exe`, `${name}.cmd`] : [name]
  return (process.env.PATH ?? '').split(delimiter).some(folder => names.some(file => existsSync(join(folder, file))))
}

function compilerAdvice() {
  if (process.platform === 'darwin') return 'xcode-select --install'
  if (windows) return 'install Python 3 and the "Desktop development with C++" workload of the Visual Studio Build Tools'
  const managers = [
    ['apt-get', 'sudo apt-get install -y python3 make g++'],
    ['dnf', 'sudo dnf install -y python3 make gcc-c++'],
    ['apk', 'apk add python3 make g++'],
    ['pacman', 'sudo pacman -S --needed python make gcc'],
    ['zypper', 'sudo zypper install -y python3 make gcc-c++'],
  ]
  return managers.find(([name]) => onPath(name))?.[1] ?? 'install Python 3, make and a C++ compiler'
}

/** Compiles what `project` names, unless none of it changed since. Removes what was compiled from files that are gone. */
export function build(project, folders) {
  const stamp = join(root, 'dist', `.${project}.stamp`)
  const fingerprint = fingerprintOf([
    ...folders.map(folder => join(root, folder)),
    join(root, project),
    join(root, 'tsconfig.json'),
    join(root, 'npm-shrinkwrap.json'),
  ])
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint) return
  forgetBuilds(folders)
  const [node, args] = tool('tsc')
  run('compiling', node, [...args, '-p', project])
  folders.forEach(prune)
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, fingerprint)
}

/** Where something compiled is missing, the compiler's notes that it is there go too. */
export function forgetBuilds(folders) {
  if (folders.every(folder => existsSync(join(root, 'dist', folder)))) return
  for (const file of ['src.tsbuildinfo', 'all.tsbuildinfo']) rmSync(join(root, 'dist', file), { force: true })
}

function fingerprintOf(paths) {
  const hash = createHash('sha256')
  for (const path of paths.flatMap(filesUnder).sort()) {
    const { mtimeMs, size } = statSync(path)
    hash.update(`${path} ${mtimeMs} ${size}\n`)
  }
  return hash.digest('hex')
}

function filesUnder(path) {
  if (!existsSync(path)) return []
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath ?? entry.path, entry.name))
}

export function prune(folder) {
  for (const file of filesUnder(join(root, 'dist', folder))) {
    const source = join(root, file.slice(join(root, 'dist').length + 1).replace(/\.(?:js|js\.map|d\.ts)$/, '.ts'))
    if (source.endsWith('.ts') && !existsSync(source)) rmSync(file)
  }
}

/** Ends the process with one line on what is wrong; anything else is a fault of ours and keeps its trace. */
export function orTrouble(work) {
  return Promise.resolve()
    .then(work)
    .catch(error => {
      if (!(error instanceof Trouble)) throw error
      say(`soakp: ${error.message}`)
      process.exitCode = 1
    })
}
