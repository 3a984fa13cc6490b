import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import t from 'tap'
import { openCertificates } from '../../src/tls/certificates.js'
import { ensureLocalCertificate, liveFiles } from '../../src/tls/local-ca.js'
import { loadPair } from '../../src/tls/pair.js'

const run = promisify(execFile)
const dayMs = 86_400_000

interface Line {
  readonly level: 'info' | 'warn' | 'error'
  readonly about: { readonly err?: Error }
  readonly message: string
}

function quietLog() {
  const lines: Line[] = []
  const write = (level: Line['level']) => (about: object, message: string) => void lines.push({ level, about, message })
  return { lines, info: write('info'), warn: write('warn'), error: write('error') } as never as { lines: Line[] } & Parameters<
    typeof openCertificates
  >[0]['log']
}

/** A self-signed pair `NAME.pem`, `NAME.key` made by OpenSSL. */
async function makePair(dir: string, name: string, ...more: string[]): Promise<{ cert: string; key: string }> {
  const [cert, key] = [`${dir}/${name}.pem`, `${dir}/${name}.key`]
  const fixed = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-keyout',
    key,
    '-out',
    cert,
    '-subj',
    `/CN=${name}`,
  ]
  await run('openssl', [
    ...fixed,
    '-addext',
    `subjectAltName=DNS:${name}.example.test,DNS:*.wild.example.test,IP:192.0.2.7`,
    ...(more.length > 0 ? more : ['-nodes']),
  ])
  return { cert, key }
}

// what is under test keeps no process alive by itself
const alive = setInterval(() => {}, 60_000)
t.teardown(() => clearInterval(alive))

t.test('a pair tells its names, and covers what clients would accept it for', async t => {
  const { cert, key } = await makePair(t.testdir(), 'web')
  const pair = await loadPair(cert, key, false, Date.now())
  t.same(pair.names, ['web.example.test', '*.wild.example.test', '192.0.2.7'])
  t.ok(pair.covers('web.example.test') && pair.covers('WEB.example.test') && pair.covers('a.wild.example.test') && pair.covers('192.0.2.7'))
  t.notOk(
    pair.covers('a.b.wild.example.test') || pair.covers('wild.example.test') || pair.covers('192.0.2.8') || pair.covers('web'),
    'and nothing else',
  )
})

t.test('a pair that cannot be served is refused with what is wrong about it', async t => {
  const dir = t.testdir({ 'garbage.pem': 'nothing' })
  const one = await makePair(dir, 'one')
  const two = await makePair(dir, 'two')
  const locked = await makePair(dir, 'locked', '-passout', 'pass:secret')
  const load = (cert: string, key: string, atMs = Date.now()) => loadPair(cert, key, false, atMs)
  await t.rejects(load(one.cert, two.key), {
    code: 'certificate_invalid',
    detail: /two\.key is not the key of the first certificate in .*one\.pem/,
  })
  await t.rejects(load(one.cert, one.key, Date.now() + 400 * dayMs), { code: 'certificate_invalid', detail: /one\.pem expired on/ })
  await t.rejects(load(one.cert, one.key, Date.now() - 2 * dayMs), {
    code: 'certificate_invalid',
    detail: /valid only from .* Is the clock right/,
  })
  await t.rejects(load(`${dir}/garbage.pem`, one.key), { code: 'certificate_invalid', detail: /does not begin with a certificate/ })
  await t.rejects(load(one.cert, `${dir}/garbage.pem`), { code: 'certificate_invalid', detail: /is not a private key/ })
  await t.rejects(load(locked.cert, locked.key), { code: 'certificate_invalid', detail: /passphrase/ })
  await t.rejects(load(`${dir}/none.pem`, one.key), { code: 'certificate_invalid', detail: /none\.pem cannot be read \(ENOENT\)/ })
})

t.test('a chain in the wrong order is refused, since the key is not that of its first certificate', async t => {
  const dir = t.testdir()
  const one = await makePair(dir, 'one')
  const two = await makePair(dir, 'two')
  writeFileSync(`${dir}/chain.pem`, readFileSync(two.cert, 'utf8') + readFileSync(one.cert, 'utf8'))
  await t.rejects(loadPair(`${dir}/chain.pem`, one.key, false, Date.now()), { code: 'certificate_invalid' })
})

t.test('there is no start with a pair that cannot be served', async t => {
  const dir = t.testdir()
  const one = await makePair(dir, 'one')
  const two = await makePair(dir, 'two')
  await t.rejects(openCertificates({ log: quietLog(), now: Date.now, certsDir: dir, certFile: one.cert, keyFile: two.key }), {
    code: 'certificate_invalid',
  })
})

/** Opens the pair in `dir`, and a promise of the next one. */
async function follow(t: Tap, dir: string, certFile: string, keyFile: string) {
  const log = quietLog()
  const certificates = await openCertificates({ log, now: Date.now, certsDir: dir, certFile, keyFile })
  t.teardown(() => certificates.close())
  const next = () =>
    new Promise<string>(resolve => {
      const stop = certificates.onChange(() => {
        stop()
        resolve(certificates.current.names[0] as string)
      })
    })
  return { log, certificates, next }
}
interface Tap {
  teardown(handler: () => unknown): void
}

t.test('a pair that is renamed over the old one is noticed', async t => {
  const dir = t.testdir({ live: {} })
  const one = await makePair(dir, 'one')
  const two = await makePair(dir, 'two')
  const live = { cert: `${dir}/live/cert.pem`, key: `${dir}/live/key.pem` }
  renameSync(one.cert, live.cert)
  renameSync(one.key, live.key)
  const { certificates, next } = await follow(t, dir, live.cert, live.key)
  t.equal(certificates.current.names[0], 'one.example.test')
  const changed = next()
  renameSync(two.key, live.key)
  renameSync(two.cert, live.cert)
  t.equal(await changed, 'two.example.test')
  t.equal(certificates.current.names[0], 'two.example.test')
})

t.test('a pair that is written into the old files is noticed', async t => {
  const dir = t.testdir({ live: {} })
  const one = await makePair(`${dir}/live`, 'one')
  const two = await makePair(dir, 'two')
  const { next } = await follow(t, dir, one.cert, one.key)
  const changed = next()
  writeFileSync(one.cert, readFileSync(two.cert))
  writeFileSync(one.key, readFileSync(two.key))
  t.equal(await changed, 'two.example.test')
})

t.test('links that are switched to other files are noticed, of files and of folders', async t => {
  const dir = t.testdir({ live: {}, a: {}, b: {}, c: {} })
  for (const [folder, name] of [
    ['a', 'one'],
    ['b', 'two'],
    ['c', 'three'],
  ] as const) {
    const pair = await makePair(`${dir}/${folder}`, name)
    renameSync(pair.cert, `${dir}/${folder}/tls.crt`)
    renameSync(pair.key, `${dir}/${folder}/tls.key`)
  }
  // as Kubernetes mounts a secret: files are links through a link to the folder of the moment
  symlinkSync('../a', `${dir}/live/..data`)
  symlinkSync('..data/tls.crt', `${dir}/live/tls.crt`)
  symlinkSync('..data/tls.key', `${dir}/live/tls.key`)
  const { next } = await follow(t, dir, `${dir}/live/tls.crt`, `${dir}/live/tls.key`)
  const second = next()
  symlinkSync('../b', `${dir}/live/..next`)
  renameSync(`${dir}/live/..next`, `${dir}/live/..data`)
  t.equal(await second, 'two.example.test')
  // and as Certbot does it: each file its own link
  const third = next()
  for (const file of ['tls.crt', 'tls.key']) {
    symlinkSync(`../c/${file}`, `${dir}/live/new`)
    renameSync(`${dir}/live/new`, `${dir}/live/${file}`)
  }
  t.equal(await third, 'three.example.test')
})

t.test('a bad pair leaves the old one in service and is logged once, until it is mended', async t => {
  const dir = t.testdir()
  const one = await makePair(dir, 'one')
  const two = await makePair(dir, 'two')
  const { log, certificates, next } = await follow(t, dir, one.cert, one.key)
  writeFileSync(one.cert, readFileSync(two.cert))
  t.equal(await certificates.reload(), false)
  t.equal(await certificates.reload(), false)
  t.equal(certificates.current.names[0], 'one.example.test')
  const errors = log.lines.filter(line => line.level === 'error')
  t.equal(errors.length, 1)
  t.match(errors[0], { about: { err: { message: /is not the key of the first certificate/ } } })
  const changed = next()
  writeFileSync(one.key, readFileSync(two.key))
  t.equal(await changed, 'two.example.test')
})

t.test('files that are gone leave the old pair in service', async t => {
  const dir = t.testdir()
  const one = await makePair(dir, 'one')
  const { certificates } = await follow(t, dir, one.cert, one.key)
  rmSync(one.cert)
  t.equal(await certificates.reload(), false)
  t.equal(certificates.current.names[0], 'one.example.test')
})

t.test('the poll alone notices a change where the file system tells nothing', async t => {
  const dir = t.testdir()
  const one = await makePair(dir, 'one')
  const two = await makePair(dir, 'two')
  // a folder that comes later cannot be watched
  mkdirSync(`${dir}/live`)
  renameSync(one.cert, `${dir}/live/cert.pem`)
  renameSync(one.key, `${dir}/live/key.pem`)
  const certificates = await openCertificates({
    log: quietLog(),
    now: Date.now,
    certsDir: dir,
    certFile: `${dir}/live/cert.pem`,
    keyFile: `${dir}/live/key.pem`,
    pollMs: 50,
  })
  t.teardown(() => certificates.close())
  const changed = new Promise<string>(resolve => void certificates.onChange(() => resolve(certificates.current.names[0] as string)))
  mkdirSync(`${dir}/next`)
  renameSync(two.cert, `${dir}/next/cert.pem`)
  renameSync(two.key, `${dir}/next/key.pem`)
  renameSync(`${dir}/live`, `${dir}/old`)
  renameSync(`${dir}/next`, `${dir}/live`)
  t.equal(await changed, 'two.example.test')
})

t.test("without files of one's own, the local CA's certificate is made and followed", async t => {
  const dir = t.testdir()
  const certificates = await openCertificates({ log: quietLog(), now: Date.now, certsDir: dir, names: ['box.example.test'] })
  t.teardown(() => certificates.close())
  t.match(certificates.current, { isLocal: true })
  t.ok(
    certificates.current.covers('localhost') && certificates.current.covers('box.example.test') && certificates.current.covers('127.0.0.1'),
  )
  const first = certificates.current.fingerprint
  const changed = new Promise<void>(resolve => void certificates.onChange(() => resolve()))
  rmSync(liveFiles(dir).cert)
  rmSync(liveFiles(dir).fullchain)
  await ensureLocalCertificate(dir, ['box.example.test'], Date.now())
  await changed
  t.not(certificates.current.fingerprint, first)
})
