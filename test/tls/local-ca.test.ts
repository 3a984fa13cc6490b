import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import t from 'tap'
import { caFiles, ensureLocalCertificate, liveFiles, machineNames } from '../../src/tls/local-ca.js'
import { namesOf } from '../../src/tls/names.js'

const run = promisify(execFile)
const dayMs = 86_400_000
const now = Date.now()

const leafOf = (certsDir: string) => new X509Certificate(readFileSync(liveFiles(certsDir).cert))

t.test('OpenSSL accepts the certificate in its strictest mode, for localhost, loopback and the machine', async t => {
  const dir = t.testdir()
  const made = await ensureLocalCertificate(dir, ['box.example.test'], now)
  t.match(made, { caMade: true, leafMade: true, refusedNames: [] })
  const { cert, chain, fullchain } = liveFiles(dir)
  for (const name of ['localhost', 'box.example.test', ...machineNames()]) {
    const { stdout } = await run('openssl', [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-verify_hostname',
      name,
      '-CAfile',
      caFiles(dir).cert,
      cert,
    ])
    t.match(stdout, ': OK', name)
  }
  for (const address of ['127.0.0.1', '::1']) {
    const { stdout } = await run('openssl', ['verify', '-x509_strict', '-verify_ip', address, '-CAfile', caFiles(dir).cert, cert])
    t.match(stdout, ': OK', address)
  }
  t.equal(readFileSync(fullchain, 'utf8'), readFileSync(cert, 'utf8') + readFileSync(chain, 'utf8'))
  const leaf = leafOf(dir)
  t.ok(Date.parse(leaf.validTo) - Date.parse(leaf.validFrom) <= 397 * dayMs, 'lasts no longer than clients accept')
})

t.test('a client that trusts the CA connects by name and by address', async t => {
  const dir = t.testdir()
  await ensureLocalCertificate(dir, [], now)
  const { fullchain, privkey } = liveFiles(dir)
  const server = createServer({ cert: readFileSync(fullchain), key: readFileSync(privkey) }, (_request, response) => response.end('ok'))
  server.listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  for (const name of ['localhost', '127.0.0.1']) {
    const lookup = (_name: string, _options: unknown, found: (error: null, addresses: { address: string; family: number }[]) => void) =>
      found(null, [{ address: '127.0.0.1', family: 4 }])
    const call = request({ host: name, port, ca: readFileSync(caFiles(dir).cert), agent: false, lookup: lookup as never })
    call.end()
    const [response] = await once(call, 'response')
    t.equal(response.statusCode, 200, name)
    response.resume()
  }
})

t.test('only the owner can read the private keys and the folders they lie in', async t => {
  const dir = `${t.testdir()}/certs`
  await ensureLocalCertificate(dir, [], now)
  for (const file of [caFiles(dir).key, liveFiles(dir).privkey]) t.equal(statSync(file).mode & 0o777, 0o600, file)
  for (const folder of ['', '/local', '/live', '/live/localhost']) t.equal(statSync(dir + folder).mode & 0o777, 0o700, folder)
})

t.test('who steals the CA cannot stand in for any other site', async t => {
  const dir = t.testdir({
    'leaf.cnf':
      '[v3]\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:bank.example,IP:10.0.0.1\nauthorityKeyIdentifier=keyid\n',
  })
  await ensureLocalCertificate(dir, [], now)
  const ca = caFiles(dir)
  await run('openssl', [
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    `${dir}/k.pem`,
    '-out',
    `${dir}/r.pem`,
    '-subj',
    '/CN=bank',
  ])
  await run('openssl', [
    'x509',
    '-req',
    '-in',
    `${dir}/r.pem`,
    '-CA',
    ca.cert,
    '-CAkey',
    ca.key,
    '-CAcreateserial',
    '-out',
    `${dir}/c.pem`,
    '-extfile',
    `${dir}/leaf.cnf`,
    '-extensions',
    'v3',
  ])
  await t.rejects(run('openssl', ['verify', '-CAfile', ca.cert, `${dir}/c.pem`]), /permitted subtree violation/)
})

t.test('a second run changes nothing', async t => {
  const dir = t.testdir()
  await ensureLocalCertificate(dir, [], now)
  const before = [caFiles(dir).cert, caFiles(dir).key, liveFiles(dir).fullchain, liveFiles(dir).privkey].map(file =>
    readFileSync(file, 'utf8'),
  )
  t.match(await ensureLocalCertificate(dir, [], now + 300 * dayMs), { caMade: false, leafMade: false })
  t.same(
    [caFiles(dir).cert, caFiles(dir).key, liveFiles(dir).fullchain, liveFiles(dir).privkey].map(file => readFileSync(file, 'utf8')),
    before,
  )
})

t.test('the certificate is renewed within thirty days of its end, by the same CA', async t => {
  const dir = t.testdir()
  await ensureLocalCertificate(dir, [], now)
  const ca = readFileSync(caFiles(dir).cert, 'utf8')
  const first = leafOf(dir).fingerprint256
  t.match(await ensureLocalCertificate(dir, [], now + 370 * dayMs), { caMade: false, leafMade: true })
  t.not(leafOf(dir).fingerprint256, first)
  t.equal(readFileSync(caFiles(dir).cert, 'utf8'), ca)
  t.ok(Date.parse(leafOf(dir).validTo) > now + 700 * dayMs)
})

t.test('a name the CA was made for is added when it is asked for; one that it was not is refused and told', async t => {
  const dir = t.testdir()
  await ensureLocalCertificate(dir, ['example.test'], now)
  t.match(await ensureLocalCertificate(dir, ['api.example.test', 'other.test', '192.0.2.7'], now), {
    caMade: false,
    leafMade: true,
    refusedNames: ['other.test', '192.0.2.7'],
  })
  const names = namesOf(leafOf(dir))
  t.ok(names.includes('api.example.test'))
  t.notOk(names.includes('other.test'))
  const { stdout } = await run('openssl', ['verify', '-x509_strict', '-CAfile', caFiles(dir).cert, liveFiles(dir).cert])
  t.match(stdout, ': OK')
})

t.test('an address of the machine can be asked for', async t => {
  const dir = t.testdir()
  t.match(await ensureLocalCertificate(dir, ['192.0.2.7', '2001:db8::7'], now), { refusedNames: [] })
  const { stdout } = await run('openssl', [
    'verify',
    '-x509_strict',
    '-verify_ip',
    '192.0.2.7',
    '-CAfile',
    caFiles(dir).cert,
    liveFiles(dir).cert,
  ])
  t.match(stdout, ': OK')
  t.match(await ensureLocalCertificate(dir, ['192.0.2.7', '2001:db8::7'], now), { leafMade: false })
})

t.test('of processes that start at once one makes the CA and all serve a certificate of it', async t => {
  const dir = t.testdir()
  const made = await Promise.all(Array.from({ length: 5 }, () => ensureLocalCertificate(dir, [], now)))
  t.equal(made.filter(each => each.caMade).length, 1)
  const { stdout } = await run('openssl', ['verify', '-x509_strict', '-CAfile', caFiles(dir).cert, liveFiles(dir).cert])
  t.match(stdout, ': OK')
})

t.test('a making that was interrupted is gone on with', async t => {
  const dir = t.testdir()
  await ensureLocalCertificate(dir, [], now)
  const key = readFileSync(caFiles(dir).key, 'utf8')
  rmSync(caFiles(dir).cert)
  t.match(await ensureLocalCertificate(dir, [], now), { caMade: true })
  t.equal(readFileSync(caFiles(dir).key, 'utf8'), key, 'the key is kept')
  writeFileSync(liveFiles(dir).fullchain, 'half a certif')
  t.match(await ensureLocalCertificate(dir, [], now), { caMade: false, leafMade: true })
})

t.test('a CA without its key serves as long as its certificate lasts, and then says what to do', async t => {
  const dir = t.testdir()
  await ensureLocalCertificate(dir, [], now)
  rmSync(caFiles(dir).key)
  t.match(await ensureLocalCertificate(dir, [], now), { leafMade: false })
  await t.rejects(ensureLocalCertificate(dir, [], now + 390 * dayMs), { code: 'certificate_invalid', hint: /Move certs\/local away/ })
})

t.test('a certificate that somebody else put there is not overwritten', async t => {
  const dir = t.testdir()
  await ensureLocalCertificate(dir, [], now)
  await run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    liveFiles(dir).privkey,
    '-out',
    liveFiles(dir).fullchain,
    '-subj',
    '/CN=mine',
  ])
  const before = readFileSync(liveFiles(dir).privkey, 'utf8')
  await t.rejects(ensureLocalCertificate(dir, [], now), { code: 'certificate_invalid' })
  t.equal(readFileSync(liveFiles(dir).privkey, 'utf8'), before)
})

t.test('a folder that cannot be written is a clear refusal', async t => {
  const dir = t.testdir({ certs: 'a file, not a folder' })
  await t.rejects(ensureLocalCertificate(`${dir}/certs`, [], now), { code: 'file_refused' })
})

t.test('names of the machine that cannot stand in a certificate are left out', async t => {
  t.same(machineNames('Web-1'), ['web-1', 'web-1.local'])
  t.same(machineNames('web.corp.example'), ['web', 'web.local', 'web.corp.example'])
  t.same(machineNames('localhost'), [])
  t.same(machineNames('bad name!'), [])
  t.same(machineNames('10.0.0.1'), [])
})
