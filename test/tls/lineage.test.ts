import { spawn } from 'node:child_process'
import { chmodSync, lstatSync, mkdirSync, readdirSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findLineage, installBundle, listLineages } from '../../src/tls/lineage.js'
import { loadPair } from '../../src/tls/pair.js'
import { makeBundle } from '../support/pairs.js'
import { until } from '../support/until.js'

const now = () => Date.now()

t.test('a certificate lies where Certbot would put it, its key readable by nobody else', async t => {
  const certs = join(t.testdir(), 'certs')
  const bundle = await makeBundle(t.testdirName, ['a.example.test'])
  const pair = installBundle(certs, 'a.example.test', bundle, now())
  t.same(pair.names, ['a.example.test'])
  const live = join(certs, 'live', 'a.example.test')
  t.same(readdirSync(live).sort(), ['cert.pem', 'chain.pem', 'fullchain.pem', 'privkey.pem'])
  t.equal(statSync(join(live, 'privkey.pem')).mode & 0o777, 0o600)
  for (const folder of ['live', 'archive', 'archive/a.example.test']) t.equal(statSync(join(certs, folder)).mode & 0o777, 0o700, folder)
  t.match(findLineage(certs, 'a.example.test'), { keptBy: 'soakp', version: 1 })
  t.same(
    listLineages(certs).map(({ name }) => name),
    ['a.example.test'],
  )
})

t.test('who reads while certificates are switched never finds a certificate and another one’s key', async t => {
  const certs = join(t.testdir(), 'certs')
  const bundles = await Promise.all([1, 2].map(() => makeBundle(t.testdirName, ['a.example.test'])))
  installBundle(certs, 'a', bundles[0] as never, now())
  // another process reads as fast as it can, as a web server would
  const live = join(certs, 'live', 'a')
  const reader = spawn(process.execPath, ['--input-type=module', '-e', readerProgram, live], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  reader.stdout.setEncoding('utf8').on('data', text => {
    output += text
  })
  await until(() => output.includes('reading'), 'the reader to begin')
  for (let turn = 0; turn < 60; turn++) installBundle(certs, 'a', bundles[turn % 2] as never, now())
  reader.kill('SIGTERM')
  await until(() => output.includes('done'), 'the reader to end')
  const { reads, apart, missing } = JSON.parse(output.split('done ')[1] as string)
  t.ok(reads > 20, `${reads} reads`)
  t.equal(apart, 0)
  t.equal(missing, 0)
})

const readerProgram = `
import { readFileSync, realpathSync } from 'node:fs'
import { createPrivateKey, X509Certificate } from 'node:crypto'
let reads = 0, apart = 0, missing = 0, going = true
process.on('SIGTERM', () => { going = false })
console.log('reading')
while (going) {
  await new Promise(setImmediate)
  let folder
  try { folder = realpathSync(process.argv[1]) } catch { missing++; continue }
  try {
    const cert = new X509Certificate(readFileSync(folder + '/fullchain.pem'))
    if (!cert.checkPrivateKey(createPrivateKey(readFileSync(folder + '/privkey.pem')))) apart++
    reads++
  } catch (error) {
    // so slow that the version was pruned meanwhile: six later ones are there
    if (error.code !== 'ENOENT') throw error
  }
}
console.log('done ' + JSON.stringify({ reads, apart, missing }))
`

t.test('a process killed while it puts a certificate into service leaves the old one or the new one, and the next goes on', async t => {
  const certs = join(t.testdir(), 'certs')
  const folder = t.testdirName
  const first = await makeBundle(folder, ['a.example.test'])
  installBundle(certs, 'a', first, now())
  writeFileSync(join(folder, 'cert'), first.cert)
  writeFileSync(join(folder, 'key'), first.key)
  const module = join(process.cwd(), 'dist/src/tls/lineage.js')
  const program = `
    import { readFileSync } from 'node:fs'
    import { installBundle } from ${JSON.stringify(`file://${module}`)}
    const [certs, folder] = process.argv.slice(1)
    const bundle = { cert: readFileSync(folder + '/cert'), chain: Buffer.alloc(0), key: readFileSync(folder + '/key') }
    console.log('going')
    for (;;) installBundle(certs, 'a', bundle, Date.now())`
  for (let round = 0; round < 8; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, certs, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = new Promise(resolve => child.once('exit', resolve))
    await new Promise(resolve => child.stdout.once('data', resolve))
    await new Promise(resolve => setTimeout(resolve, 5 + round * 7))
    child.kill('SIGKILL')
    await ended
    const files = findLineage(certs, 'a')?.files
    if (!files) throw new Error('the certificate is gone')
    t.same((await loadPair(files.fullchain, files.privkey, false, now())).names, ['a.example.test'])
  }
  installBundle(certs, 'a', first, now())
  t.ok(readdirSync(join(certs, 'archive', 'a')).length <= 8, 'no heap of leftovers')
})

t.test('a pair that cannot be served never goes into service', async t => {
  const certs = join(t.testdir(), 'certs')
  const [good, other] = await Promise.all([1, 2].map(() => makeBundle(t.testdirName, ['a.example.test'])))
  if (!good || !other) throw new Error('no bundles')
  installBundle(certs, 'a', good, now())
  const before = realpathSync(join(certs, 'live', 'a'))
  const bad = [
    { ...good, key: other.key },
    { ...good, cert: Buffer.from('nothing') },
    { ...good, key: Buffer.from('nothing') },
    { ...good, cert: Buffer.concat([other.cert, good.cert]) },
  ]
  for (const bundle of bad) t.throws(() => installBundle(certs, 'a', bundle, now()), { code: 'certificate_invalid' })
  t.throws(() => installBundle(certs, 'a', good, now() + 40 * 86_400_000), { code: 'certificate_invalid' })
  t.equal(realpathSync(join(certs, 'live', 'a')), before)
})

t.test('what another program keeps is served but never written; a name that leads elsewhere is refused', async t => {
  const certs = join(t.testdir(), 'certs')
  const bundle = await makeBundle(t.testdirName, ['b.example.test'])
  const folder = join(certs, 'live', 'b.example.test')
  const archive = join(certs, 'archive', 'b.example.test')
  for (const each of [folder, archive]) mkdirSync(each, { recursive: true })
  // as Certbot lays it out: a folder of four links
  for (const [kind, bytes] of Object.entries({ cert: bundle.cert, chain: bundle.cert, fullchain: bundle.cert, privkey: bundle.key })) {
    writeFileSync(join(archive, `${kind}1.pem`), bytes)
    symlinkSync(`../../archive/b.example.test/${kind}1.pem`, join(folder, `${kind}.pem`))
  }
  t.match(findLineage(certs, 'b.example.test'), { keptBy: 'other', version: undefined })
  t.throws(() => installBundle(certs, 'b.example.test', bundle, now()), { code: 'file_exists' })
  for (const name of ['../x', 'a/b', '', '.', '..', 'localhost', '*.x', 'a\n', 'x'.repeat(300)]) {
    t.throws(() => installBundle(certs, name, bundle, now()), { code: 'usage' }, JSON.stringify(name))
  }
})

t.test('five versions are kept beside the one in service', async t => {
  const certs = join(t.testdir(), 'certs')
  const bundles = await Promise.all([1, 2].map(() => makeBundle(t.testdirName, ['a.example.test'])))
  for (let turn = 0; turn < 9; turn++) installBundle(certs, 'a', bundles[turn % 2] as never, now())
  t.same(
    readdirSync(join(certs, 'archive', 'a'))
      .map(Number)
      .sort((a, b) => a - b),
    [4, 5, 6, 7, 8, 9],
  )
  t.match(findLineage(certs, 'a'), { version: 9 })
})

t.test('a key that a group may read stays so with the next certificate', async t => {
  const certs = join(t.testdir(), 'certs')
  const bundles = await Promise.all([1, 2].map(() => makeBundle(t.testdirName, ['a.example.test'])))
  installBundle(certs, 'a', bundles[0] as never, now())
  chmodSync(join(certs, 'live/a/privkey.pem'), 0o640)
  installBundle(certs, 'a', bundles[1] as never, now())
  t.equal(statSync(join(certs, 'live/a/privkey.pem')).mode & 0o777, 0o640)
  t.equal(statSync(join(certs, 'live/a/')).mode & 0o777, 0o750)
})

t.test('a folder that cannot be written leaves the old certificate in service', async t => {
  const certs = join(t.testdir(), 'certs')
  const bundle = await makeBundle(t.testdirName, ['a.example.test'])
  installBundle(certs, 'a', bundle, now())
  // in the way of the next version
  rmSync(join(certs, 'archive/a/2'), { recursive: true, force: true })
  symlinkSync('/proc/nowhere', join(certs, 'live', '.a.next'))
  mkdirSync(join(certs, 'archive', 'keep'))
  const blocked = join(certs, 'blocked')
  writeFileSync(blocked, '')
  t.throws(() => installBundle(blocked, 'a', bundle, now()), { code: 'file_refused' })
  installBundle(certs, 'a', bundle, now())
  t.ok(lstatSync(join(certs, 'live', 'a')).isSymbolicLink(), 'a link left behind is no hindrance')
})

t.test('a certificate whose name is another one’s with “.next” stays in service when that one is renewed', async t => {
  const certs = join(t.testdir(), 'certs')
  const bundle = await makeBundle(t.testdirName, ['a.example.test'])
  for (const name of ['a', 'a.next', 'a']) installBundle(certs, name, bundle, now())
  t.match(findLineage(certs, 'a'), { version: 2 })
  t.match(findLineage(certs, 'a.next'), { version: 1 })
  // what a crash between link and rename leaves is no certificate, and is in nobody's way
  symlinkSync('../archive/a/1', join(certs, 'live', '.a.next'))
  t.same(
    listLineages(certs).map(({ name }) => name),
    ['a', 'a.next'],
  )
  installBundle(certs, 'a', bundle, now())
  t.same(readdirSync(join(certs, 'live')).sort(), ['a', 'a.next'])
})
