import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { chmodSync, existsSync, lchownSync, lstatSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { makeCertHome } from '../support/acme/home.js'
import { lacking, startBed, temporaryFolder } from '../support/acme/index.js'
import { makeBundle } from '../support/pairs.js'
import { madeHome } from './run.js'

const skip = lacking('pebble', 'named', 'nsupdate', 'openssl')
const openssl = (...args: string[]) => promisify(execFile)('openssl', args)

/** Every file below a folder, as bytes. */
function everyFile(folder: string): Buffer {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return Buffer.concat(
    names
      .map(name => join(folder, name))
      .filter(file => statSync(file).isFile())
      .map(file => readFileSync(file)),
  )
}

t.test('certificates from a real CA, by command', { skip }, async t => {
  const bed = await startBed(t)
  const http = ['--http', '--http-port', String(bed.pebble.httpPort)]

  t.test('one command gets a certificate for a name and all below it, and leaves nothing in the DNS', async t => {
    const home = await makeCertHome(t, bed)
    const ran = await home.far.run(home.issue(['ai.example.test', '*.ai.example.test']))
    t.equal(ran.code, 0, ran.stderr)
    t.match(ran.stdout, /^ai\.example\.test is issued: for ai\.example\.test, \*\.ai\.example\.test, valid until/)
    const folder = join(home.certs, 'live/ai.example.test')
    const leaf = new X509Certificate(readFileSync(join(folder, 'cert.pem')))
    t.equal(leaf.subjectAltName, 'DNS:ai.example.test, DNS:*.ai.example.test')
    t.same(await bed.bind.txt('_acme-challenge.ai.example.test'), [])
    t.same(readdirSync(join(home.certs, 'orders')), [])
    const modes = ['renewal', 'renewal/ai.example.test.json', 'live/ai.example.test/privkey.pem', 'accounts'].map(
      path => statSync(join(home.certs, path)).mode & 0o777,
    )
    t.same(modes, [0o700, 0o600, 0o600, 0o700])
    t.same(
      await home.near.run(['cert', 'renew', '-q', '--no-jitter']),
      { code: 0, stdout: '', stderr: '' },
      'nothing is due, and nothing is said',
    )
    t.match((await home.near.run(['cert', 'renew', '--no-jitter'])).stdout, /^ai\.example\.test: not due before/)
    t.match(await home.near.run(['cert', 'list']), { code: 0, stdout: /^ai\.example\.test +ai\.example\.test \*\.ai\.example\.test/m })
    t.match(await home.near.run(['cert', 'show', 'ai.example.test']), { code: 0, stdout: /renewal .*the moment drawn from the window/ })
    t.match(await home.near.run(['doctor']), { code: 0, stdout: /ok {4}certificates ai\.example\.test: in order/ })
    const again = await home.near.json<{ outcome: string }>(home.issue(['ai.example.test', '*.ai.example.test'], ['--deploy-hook', 'true']))
    t.equal(again.outcome, 'kept', 'a second time there is nothing to do but to note how it is renewed')
    t.match(readFileSync(join(home.certs, 'renewal/ai.example.test.json'), 'utf8'), '"deploy": [')
    const { directoryUrl } = bed.proxy
    const elsewhere = await home.near.run([
      'cert',
      'issue',
      '--server',
      directoryUrl,
      '--dns',
      'cloudflare',
      '-d',
      'ai.example.test,*.ai.example.test',
    ])
    t.match(elsewhere, { code: 78, stderr: /Cloudflare: set CLOUDFLARE_DNS_API_TOKEN/ })
    t.match(
      readFileSync(join(home.certs, 'renewal/ai.example.test.json'), 'utf8'),
      '"provider": "rfc2136"',
      'one that could not renew it is not noted',
    )
    t.equal(
      (await home.near.json<{ outcome: string }>(home.issue(['ai.example.test', 'b.example.test'], []))).outcome,
      'issued',
      'other names are another certificate',
    )
  })

  t.test('what cannot work is refused before anything is ordered, with what to do', async t => {
    const home = await makeCertHome(t, bed)
    const orders = bed.proxy.orders.length
    const rows: [string[], number, RegExp][] = [
      [['-d', 'a.example.test'], 2, /either --dns PROVIDER or --http/],
      [['-d', '*.example.test', '--http'], 2, /a wildcard is proved by DNS only/i],
      [['-d', 'a.example.test', '--dns', 'nobody'], 2, /no such DNS provider/i],
      [['-d', 'a_b.example.test', '--http'], 2, /a_b\.example\.test is no host name/],
      [['-d', '192.0.2.1', '--http'], 2, /is an address\n.*--http --profile shortlived/],
      [['-d', 'a.example.test', '--http', '--email', 'ops@'], 2, /--email.*you@example\.com/],
      [['-d', 'a.example.test', '--dns', 'rfc2136', '--http-port', '81'], 2, /--http only/],
      ...['NaN', '8.8.8', '127.0.0.1:0', '127.0.0.1:99999'].map((resolver): [string[], number, RegExp] => [
        ['-d', 'a.example.test', '--dns', 'rfc2136', '--resolver', resolver],
        2,
        /It is HOST or HOST:PORT/,
      ]),
      [['-d', 'a.example.test', '--http', '--server', 'nobody'], 2, /no certificate authority named nobody/],
      [['-d', 'a.example.test', '--http', '--server', 'actalis', '--staging'], 2, /no staging of Actalis/],
      [['-d', 'a.example.test', '--http', '--deploy-hook', 'systemctl reload nginx && true'], 2, /holds &, and there is no shell/],
      [['-d', 'a.example.test', '--http', '--cert-name', '../x'], 2, /cannot name a certificate/],
      [['-d', 'a.example.test', '--http', '--server', bed.proxy.directoryUrl], 69, /agrees to its terms.*\n.*--agree-tos/],
      [
        ['-d', 'a.example.test', '--http', '--server', bed.proxy.directoryUrl, '--agree-tos', '--require-profile', 'none'],
        69,
        /has no profile none. It has classic/,
      ],
    ]
    for (const [args, code, stderr] of rows) t.match(await home.near.run(['cert', 'issue', ...args]), { code, stderr }, args.join(' '))
    t.equal(bed.proxy.orders.length, orders)
    t.match(await home.near.run(['cert', 'show', 'nothing']), { code: 66, stderr: /cert list/ })
    t.same(await home.near.json(['cert', 'list']), [], 'and nothing of it is remembered')
  })

  t.test('a good certificate is not replaced by one that nobody believes, unless that is said', async t => {
    const home = await makeCertHome(t, bed)
    const bundle = await makeBundle(home.dir, ['web.example.test'])
    const [cert, key] = [join(home.dir, 'c.pem'), join(home.dir, 'k.pem')]
    writeFileSync(cert, bundle.cert)
    writeFileSync(key, bundle.key, { mode: 0o600 })
    await home.near.json(['cert', 'import', '--cert', cert, '--key', key])
    const ran = await home.near.run(['cert', 'issue', '--staging', '--http', '-d', 'web.example.test'])
    t.match(ran, { code: 2, stderr: /nobody believes one of Let's Encrypt \(staging\).*\n.*--replace-valid/ })
    t.match(await home.near.run(['doctor']), { stdout: /web\.example\.test: in order/ })
  })

  t.test('a change that fails leaves the certificate and how it is renewed as they were; a first order is remembered', async t => {
    const home = await makeCertHome(t, bed)
    const { near, certs } = home
    await near.json(home.issue(['web.example.test'], http))
    const renewal = () => readFileSync(join(certs, 'renewal/web.example.test.json'), 'utf8')
    const before = renewal()
    bed.proxy.fault({ match: 'order-plz', status: 429, retryAfter: 3600, times: 2 })
    t.teardown(() => bed.proxy.clearFaults())
    const changed = await near.run(home.issue(['web.example.test', 'www.example.test'], http))
    t.match(changed, { code: 75, stderr: /stay as they were/ })
    t.notMatch(changed.stderr, 'cert delete')
    t.equal(renewal(), before)
    t.match(await near.run(['doctor']), { code: 0, stdout: /web\.example\.test: in order/ })
    const first = await near.run(home.issue(['new.example.test'], http))
    t.match(first, { code: 75, stderr: /It is remembered.*cert delete new\.example\.test/ })
    t.match(await near.run(['cert', 'list']), { stdout: /^new\.example\.test .*failed 1×/m })
  })

  t.test('a key that is not the certificate’s is told by list and doctor, and the next run replaces both', async t => {
    const home = await makeCertHome(t, bed)
    const { near, certs } = home
    await near.json(home.issue(['web.example.test'], http))
    const [key, chain] = ['privkey.pem', 'fullchain.pem'].map(name => join(certs, 'live/web.example.test', name)) as [string, string]
    for (const [file, content, why] of [
      [key, (await makeBundle(home.dir, ['web.example.test'])).key, 'its privkey.pem does not hold its key'],
      [key, Buffer.from('nothing'), 'its privkey.pem does not hold its key'],
      [chain, Buffer.from('nothing'), 'its fullchain.pem cannot be read, or holds no certificate'],
    ] as const) {
      writeFileSync(file, content)
      t.match(await near.run(['cert', 'list']), { stdout: /^web\.example\.test .* now +cannot be served$/m })
      t.match(await near.json(['cert', 'show', 'web.example.test']), { trouble: why, renewal: { due: true } })
      t.match(await near.run(['doctor']), { code: 1, stdout: `fail  certificates web.example.test cannot be served: ${why}` })
      t.match(await near.run(['cert', 'renew', '--no-jitter']), { code: 0, stdout: /renewed/ })
      t.match(await near.run(['doctor']), { code: 0, stdout: /web\.example\.test: in order/ })
    }
  })

  t.test('a revoked certificate is one for the CA, by the account or by its own key, and is replaced by the next run', async t => {
    const home = await makeCertHome(t, bed)
    await home.near.json(home.issue(['web.example.test'], [...http, '--reuse-key']))
    const at = (path: string) => readFileSync(join(home.certs, path))
    const serial = (path: string) => new X509Certificate(at(path)).serialNumber
    await home.near.json(['cert', 'renew', '--force'])
    t.same(at('archive/web.example.test/1/privkey.pem'), at('archive/web.example.test/2/privkey.pem'), '--reuse-key keeps the key')
    t.match(await home.near.json(['cert', 'revoke', 'web.example.test', '--archived', '1', '--reason', 'superseded']), {
      inService: false,
      alreadyRevoked: false,
    })
    t.equal(await bed.pebble.statusOf(serial('archive/web.example.test/1/cert.pem')), 'Revoked')
    t.equal(await bed.pebble.statusOf(serial('live/web.example.test/cert.pem')), 'Valid')
    t.match(await home.near.run(['cert', 'revoke', 'web.example.test']), { code: 2, stderr: /add --yes/ })
    const revoked = serial('live/web.example.test/cert.pem')
    const ran = await home.near.run(['cert', 'revoke', 'web.example.test', '--yes', '--reason', 'key-compromise'])
    t.match(ran, { code: 0, stderr: /still in service.*cert renew/ })
    t.equal(await bed.pebble.statusOf(revoked), 'Revoked')
    t.match(await home.near.run(['doctor']), { code: 1, stdout: /fail {2}certificates web\.example\.test was revoked/ })
    t.match(await home.near.run(['cert', 'list']), { stdout: /^web\.example\.test .* now +revoked$/m })
    t.match(await home.near.run(['cert', 'renew', '--no-jitter']), { code: 0, stdout: /renewed/ })
    t.notSame(
      at('archive/web.example.test/3/privkey.pem'),
      at('archive/web.example.test/2/privkey.pem'),
      'not a key that is known to others',
    )

    const other = await makeCertHome(t, bed)
    await other.near.json(['cert', 'import', join(home.certs, 'live/web.example.test'), '--cert-name', 'copy'])
    t.match(await other.near.run(['cert', 'revoke', 'copy', '--yes']), { code: 2, stderr: /not known which CA.*\n.*--server/ })
    await other.near.json(['cert', 'revoke', 'copy', '--yes', '--server', bed.proxy.directoryUrl])
    t.equal(await bed.pebble.statusOf(serial('live/web.example.test/cert.pem')), 'Revoked')
  })

  t.test('deleted, it is out of service and forgotten, keys and all', async t => {
    const home = await makeCertHome(t, bed)
    await home.near.json(home.issue(['web.example.test'], http))
    t.match(await home.near.run(['cert', 'delete', 'web.example.test']), { code: 2, stderr: /--yes/ })
    await home.near.json(['cert', 'delete', 'web.example.test', '-y'])
    t.same(await home.near.json(['cert', 'list']), [])
    t.notOk(existsSync(join(home.certs, 'archive/web.example.test')))
    for (const gone of [['delete'], ['delete', '-y'], ['revoke']])
      t.match(await home.near.run(['cert', ...gone, 'web.example.test']), { code: 66 }, 'nothing is asked of what is not there')
  })

  t.test('accounts are shown, given a new key, recovered by their key and closed', async t => {
    const home = await makeCertHome(t, bed)
    const account = (...args: string[]) => home.near.json<{ url: string; thumbprint: string; status: string }>(['cert', 'account', ...args])
    const url = bed.proxy.directoryUrl
    const registered = await account('register', '--server', url, '--agree-tos', '--email', 'ops@example.test')
    t.match(registered, { status: 'valid', contact: ['ops@example.test'] })
    t.match(await account('show'), { url: registered.url })
    t.match(await account('contact', '--email', 'new@example.test'), { url: registered.url, contact: ['new@example.test'] })
    t.same((await account('contact', '--clear')) as object, { ...(await account('show')), contact: [] })
    t.match(await home.near.run(['cert', 'account', 'contact']), { code: 2, stderr: /--email/ })
    const rolled = await account('rollover')
    t.equal(rolled.url, registered.url)
    t.not(rolled.thumbprint, registered.thumbprint)
    const [folder = ''] = readdirSync(join(home.certs, 'accounts'))
    const other = await makeCertHome(t, bed)
    const recovered = await other.near.json([
      'cert',
      'account',
      'recover',
      '--server',
      url,
      '--key',
      join(home.certs, 'accounts', folder, 'key.pem'),
    ])
    t.match(recovered, { url: registered.url, thumbprint: rolled.thumbprint })
    t.match(await account('deactivate', '--yes'), { status: 'deactivated' })
    t.match(await home.near.run(['cert', 'account', 'show', '--server', url]), { code: 66 })
  })

  t.test('sealed credentials of a DNS provider are used, and lie nowhere in the clear', async t => {
    const secret = bed.bind.tsig.secret
    const home = await makeCertHome(t, bed, {
      DNSUPDATE_TSIG_FILE: '',
      DNSUPDATE_TSIG_KEY: bed.bind.tsig.name,
      DNSUPDATE_TSIG_ALGORITHM: 'hmac-sha256',
    })
    const probe = () => home.near.run(['cert', 'test', '--dns', 'rfc2136', '-d', 'ai.example.test'])
    t.match(await probe(), { code: 1, stdout: /fail.*DNSUPDATE_TSIG_SECRET/ })
    await home.near.run(['cert', 'credentials', 'set', 'rfc2136', 'DNSUPDATE_TSIG_SECRET', '--stdin'], secret)
    const other = ['cert', 'credentials', 'set', 'cloudflare', '--stdin']
    t.match(await home.near.json(other, 'a-token-of-cloudflare'), { kept: ['CLOUDFLARE_DNS_API_TOKEN'] }, 'the first way to authenticate')
    await home.near.json(['cert', 'credentials', 'remove', 'cloudflare'])
    t.match(await home.near.run(['cert', 'credentials', 'set', 'ovh', '--stdin'], 'x'), {
      code: 2,
      stderr: /which setting of OVH.*\n.*OVH_/,
    })
    t.same(await home.near.json(['cert', 'credentials', 'list']), [{ provider: 'rfc2136', variables: ['DNSUPDATE_TSIG_SECRET'] }])
    const tested = await probe()
    t.match(tested, { code: 0, stdout: /and removed again/ })
    const listed = await home.near.run(['cert', 'credentials', 'list'])
    await home.near.json(home.issue(['ai.example.test']))
    const files = everyFile(home.dir)
    for (const form of [secret, Buffer.from(secret).toString('base64'), Buffer.from(secret, 'base64').toString('hex')]) {
      t.notOk(files.includes(form))
      t.notMatch(tested.stdout + tested.stderr + listed.stdout, form)
    }
    await home.near.json(['master', 'rotate'])
    t.match(await probe(), { code: 0 }, 'and open under the next master key too')
    await home.near.json(['cert', 'credentials', 'remove', 'rfc2136'])
    t.match(await probe(), { code: 1, stdout: /DNSUPDATE_TSIG_SECRET/ })
  })

  t.test('a credential file that others can read is refused, with the cure', async t => {
    const file = join(temporaryFolder(t), 'secret')
    writeFileSync(file, `${bed.bind.tsig.secret}\n`)
    chmodSync(file, 0o644)
    const home = await makeCertHome(t, bed, {
      DNSUPDATE_TSIG_FILE: '',
      DNSUPDATE_TSIG_KEY: bed.bind.tsig.name,
      DNSUPDATE_TSIG_ALGORITHM: 'hmac-sha256',
      DNSUPDATE_TSIG_SECRET_FILE: file,
    })
    const orders = bed.proxy.orders.length
    t.match(await home.near.run(home.issue(['ai.example.test'])), {
      code: 74,
      stderr: new RegExp(`DNSUPDATE_TSIG_SECRET_FILE, can be read by others.*\\n.*chmod 600 ${file}`),
    })
    t.equal(bed.proxy.orders.length, orders, 'and nothing was ordered')
    chmodSync(file, 0o600)
    t.match(await home.near.run(home.issue(['ai.example.test'])), { code: 0 })
  })

  t.test('exported, it is what OpenSSL reads: one PEM, PKCS #12 with its password, DER', async t => {
    const home = await makeCertHome(t, bed)
    await home.near.json(home.issue(['web.example.test'], [...http, '--key-type', 'rsa2048']))
    const file = (name: string) => join(home.dir, name)
    const at = (name: string) => readFileSync(join(home.certs, 'live/web.example.test', name), 'utf8')
    const { near } = home
    await near.json(['cert', 'export', 'web.example.test', file('one.pem')])
    t.equal(readFileSync(file('one.pem'), 'utf8'), at('fullchain.pem') + at('privkey.pem'))
    t.equal(statSync(file('one.pem')).mode & 0o777, 0o600)
    const der = await near.run(['cert', 'export', 'web.example.test', file('c.der'), '--der'])
    t.equal(der.code, 0)
    const fingerprint = (await openssl('x509', '-inform', 'der', '-in', file('c.der'), '-noout', '-fingerprint', '-sha256')).stdout
    t.match(fingerprint, new X509Certificate(at('cert.pem')).fingerprint256)
    const open = await near.run(['cert', 'export', 'web.example.test', file('open.pem'), '--password-stdin'], 'correct-horse')
    t.match(open, { code: 2, stderr: /--pkcs12/ })
    t.notOk(existsSync(file('open.pem')), 'nothing is written in the clear by somebody who gave a password')
    const password = 'horse battery, größer'
    const made = await near.run(['cert', 'export', 'web.example.test', file('c.p12'), '--pkcs12', '--password-stdin'], password)
    t.equal(made.code, 0, made.stderr)
    const { stdout } = await openssl('pkcs12', '-in', file('c.p12'), '-passin', `pass:${password}`, '-noenc')
    const blocks = (text: string) => text.match(/-----BEGIN [A-Z ]+-----[\s\S]+?-----END [A-Z ]+-----/g) ?? []
    t.same(new Set(blocks(stdout)), new Set(blocks(at('fullchain.pem') + at('privkey.pem'))))
    t.match(stdout, 'friendlyName: web.example.test')
    await t.rejects(openssl('pkcs12', '-in', file('c.p12'), '-passin', 'pass:wrong', '-noout'), /Mac verify error/)
  })
})

const needsRoot = process.geteuid?.() === 0 ? false : 'only root can give files to others'

t.test('root is kept from writing into the home of another user, who could not read it', { skip: needsRoot }, async t => {
  const home = await madeHome(t)
  const bundle = await makeBundle(join(home.dir, 'made'), ['web.example.test'])
  const [cert, key] = [join(home.dir, 'made', 'c.pem'), join(home.dir, 'made', 'k.pem')]
  writeFileSync(cert, bundle.cert)
  writeFileSync(key, bundle.key, { mode: 0o600 })
  const files = () => ['.', ...readdirSync(home.dir, { recursive: true, encoding: 'utf8' })].map(name => join(home.dir, name)).sort()
  const nobody = 65_534
  for (const file of files()) lchownSync(file, nobody, nobody)
  const before = files()
  for (const args of [
    ['issue', '--http', '-d', 'web.example.test', '--agree-tos', '--server', 'https://127.0.0.1:1/dir'],
    ['renew', '-q'],
    ['import', '--cert', cert, '--key', key],
    ['delete', 'web.example.test', '-y'],
    ['credentials', 'set', 'desec', '--stdin'],
    ['local'],
  ])
    t.match(await home.run(['cert', ...args], 'a-token'), { code: 77, stderr: /another user.*\n.*sudo -u '#65534'/ }, args.join(' '))
  t.match(await home.run(['master', 'rotate']), { code: 77 })
  t.match(await home.run(['cert', 'list']), { code: 0 }, 'looking is nobody’s harm')
  t.same(files(), before)
  t.same(
    files().filter(file => lstatSync(file).uid !== nobody),
    [],
  )
})

t.test('the DNS providers are listed, and one of them is explained', async t => {
  const home = await madeHome(t)
  t.match(await home.run(['cert', 'providers']), { code: 0, stdout: /^cloudflare +Cloudflare +cf/m })
  t.match(await home.run(['cert', 'providers', 'cf']), { code: 0, stdout: /CF_DNS_API_TOKEN[\s\S]*cert credentials set cloudflare/ })
  t.match(await home.json(['cert', 'providers', 'aws']), { id: 'route53' })
})
