import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { checkIssued, issuersOf, preferredChain } from '../../../src/tls/acme/checks.js'
import { identifiersOf } from '../../../src/tls/acme/identifiers.js'
import { keyTypes, newKey, signingRequest } from '../../../src/tls/acme/keys.js'
import { lacking } from '../../support/acme/index.js'

const run = promisify(execFile)
const dayMs = 86_400_000

/** A root, an intermediate and a leaf for `a.example.test` and `*.example.test`, made by OpenSSL. */
async function makeChain(dir: string, name: string) {
  const file = (what: string) => join(dir, `${name}-${what}`)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout']
  const ca = ['-addext', 'basicConstraints=critical,CA:TRUE']
  await run('openssl', ['req', '-x509', ...key, file('root.key'), '-subj', `/CN=${name} root`, ...ca, '-out', file('root.pem')])
  const sign = async (what: string, subject: string, by: string, extensions: string) => {
    await run('openssl', ['req', '-new', ...key, file(`${what}.key`), '-subj', subject, '-out', file(`${what}.csr`)])
    writeFileSync(file(`${what}.ext`), extensions)
    const issuer = [
      '-CA',
      file(`${by}.pem`),
      '-CAkey',
      file(`${by}.key`),
      '-CAcreateserial',
      '-days',
      '90',
      '-extfile',
      file(`${what}.ext`),
    ]
    await run('openssl', ['x509', '-req', '-in', file(`${what}.csr`), ...issuer, '-out', file(`${what}.pem`)])
  }
  await sign('middle', `/CN=${name} middle`, 'root', 'basicConstraints=critical,CA:TRUE\n')
  await sign('leaf', '/CN=leaf', 'middle', 'subjectAltName=DNS:a.example.test,DNS:*.example.test\n')
  const pem = (what: string) => readFileSync(file(`${what}.pem`), 'utf8')
  return { leaf: pem('leaf'), middle: pem('middle'), root: pem('root'), key: readFileSync(file('leaf.key')) }
}

t.test('what a CA issued is looked at before it is served', { skip: lacking('openssl') }, async t => {
  const dir = t.testdir()
  const one = await makeChain(dir, 'one')
  const two = await makeChain(dir, 'two')
  const wanted = identifiersOf(['a.example.test', '*.example.test'])
  const now = Date.now()
  const fullchain = one.leaf + one.middle
  const refused = (issued: { fullchain: string; key: Buffer }, why: RegExp, names = wanted, atMs = now) =>
    t.throws(() => checkIssued(issued, names, atMs), { code: 'certificate_invalid', detail: why })

  t.doesNotThrow(() => checkIssued({ fullchain, key: one.key }, wanted, now))
  t.doesNotThrow(() => checkIssued({ fullchain: fullchain + one.root, key: one.key }, wanted, now), 'with its root')
  refused({ fullchain, key: two.key }, /belongs to another key/)
  refused({ fullchain: one.leaf + two.middle, key: one.key }, /certificate 1 of the chain was not issued by certificate 2/)
  refused({ fullchain: one.leaf + one.root + one.middle, key: one.key }, /certificate 1 .*not issued by certificate 2/)
  refused({ fullchain: one.leaf, key: one.key }, /certificate of its issuer is missing/)
  refused(
    { fullchain, key: one.key },
    /it is not for b\.example\.test/,
    identifiersOf(['a.example.test', '*.example.test', 'b.example.test']),
  )
  refused({ fullchain, key: one.key }, /also for \*\.example\.test, which nobody asked for/, identifiersOf(['a.example.test']))
  refused({ fullchain, key: one.key }, /ended on .* Is the clock right/, wanted, now + 91 * dayMs)
  refused({ fullchain, key: one.key }, /valid only from .* Is the clock right/, wanted, now - 2 * dayMs)
  refused({ fullchain: '<html>', key: one.key }, /no certificate/)
  refused({ fullchain: '-----BEGIN CERTIFICATE-----'.repeat(37_000), key: one.key }, /no certificate/)
  refused({ fullchain: one.leaf.repeat(1_000), key: one.key }, /certificate 1 of the chain was not issued by certificate 2/)
  refused({ fullchain: fullchain.replace(/MII../, 'AAAAA'), key: one.key }, /cannot be read/)
  refused(
    { fullchain, key: two.key },
    /not for b\.example\.test.*another key/,
    identifiersOf(['a.example.test', '*.example.test', 'b.example.test']),
  )
})

t.test('the chain whose issuer is nearest to the root is preferred', { skip: lacking('openssl') }, async t => {
  const dir = t.testdir()
  const one = await makeChain(dir, 'one')
  const two = await makeChain(dir, 'two')
  const chains = [one.leaf + one.middle, two.leaf + two.middle]
  t.equal(preferredChain(chains, 'two root'), chains[1])
  t.equal(preferredChain(chains, ' ONE Root '), chains[0])
  t.equal(preferredChain(chains, 'CN=two middle'), chains[1])
  t.equal(preferredChain(chains, 'three'), undefined)
  t.same(issuersOf(chains[0] ?? ''), ['one middle', 'one root'])
})

t.test('a request holds the names, no subject, and is signed by its key, for every kind of key', { skip: lacking('openssl') }, async t => {
  const dir = t.testdir()
  for (const type of keyTypes) {
    const csr = await signingRequest(
      await newKey(type),
      identifiersOf(['a.example.test', '*.b.example.test', '192.0.2.1'], { allowAddresses: true }),
    )
    const file = join(dir, `${type}.csr`)
    writeFileSync(file, Buffer.from(csr, 'base64url'))
    const { stdout, stderr } = await run('openssl', ['req', '-in', file, '-inform', 'DER', '-noout', '-text', '-verify'])
    t.match(stdout + stderr, /verify OK/, type)
    t.match(stdout, /DNS:a\.example\.test, DNS:\*\.b\.example\.test, IP Address:192\.0\.2\.1/)
    t.match(stdout, /Subject: *\n/)
  }
})
