import { X509Certificate } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type CertHome, dayMs, makeCertHome } from '../support/acme/home.js'
import { certIdOf, eab, lacking, startBed, startPebble, temporaryFolder } from '../support/acme/index.js'
import { madeHome } from './run.js'

const skip = lacking('pebble', 'named', 'nsupdate', 'openssl')

interface Report {
  readonly certificates: readonly {
    name: string
    outcome: string
    reason: string | null
    at: string | null
    explanationUrl: string | null
  }[]
}

const live = (home: CertHome, name = 'web.example.test') => readFileSync(join(home.certs, 'live', name, 'fullchain.pem'), 'utf8')
const serial = (pem: string) => new X509Certificate(pem).serialNumber
const record = (home: CertHome, name = 'web.example.test') =>
  JSON.parse(readFileSync(join(home.certs, 'renewal', `${name}.json`), 'utf8')) as {
    state: Record<string, never>
    wishes: Record<string, unknown>
  }

t.test('a name that is nobody’s is told at once, and not after the wait of a run that nobody waits for', async t => {
  const home = await madeHome(t)
  t.match(await home.run(['cert', 'renew', '--cert-name', 'nobody.example']), { code: 66, stderr: /nobody\.example/ })
})

t.test('soakp cert renew', { skip }, async t => {
  const bed = await startBed(t)
  const { proxy } = bed
  const http = ['--http', '--http-port', String(bed.pebble.httpPort)]
  const issued = async (more: readonly string[] = []) => {
    const home = await makeCertHome(t, bed)
    await home.near.json(home.issue(['web.example.test'], [...http, ...more]))
    return home
  }
  const renew = (home: CertHome, now: () => number = Date.now, more: readonly string[] = []) =>
    home.at(now).json<Report>(['cert', 'renew', '--no-jitter', ...more])
  const inDays = (days: number) => () => Date.now() + days * dayMs
  t.afterEach(() => {
    proxy.clearFaults()
    proxy.renewalInfo(undefined)
  })

  t.test('renews when the window of the CA is over, says why the CA wants it, and names the certificate that is replaced', async t => {
    const home = await issued()
    const before = live(home)
    t.match(await renew(home), { certificates: [{ outcome: 'not_due', reason: 'window' }] })
    proxy.renewalInfo({
      start: new Date(Date.now() - 2 * dayMs).toISOString(),
      end: new Date(Date.now() - dayMs).toISOString(),
      explanationURL: 'https://ca.example.test/incident',
    })
    t.match(await renew(home), { certificates: [{ outcome: 'not_due' }] }, 'the CA is not asked again before it wishes')
    const later = () => Date.now() + 7 * 3_600_000
    const ran = await home.at(later).run(['cert', 'renew', '--no-jitter'])
    t.equal(ran.code, 0, ran.stderr)
    t.match(ran.stderr, 'the CA wants it renewed early, see https://ca.example.test/incident')
    t.match(ran.stdout, /^web\.example\.test: renewed, valid until/)
    t.not(serial(live(home)), serial(before))
    t.equal(proxy.orders.at(-1)?.replaces, certIdOf(before))
    t.not(
      readFileSync(join(home.certs, 'archive/web.example.test/1/privkey.pem'), 'utf8'),
      readFileSync(join(home.certs, 'live/web.example.test/privkey.pem'), 'utf8'),
      'with a new key',
    )
  })

  t.test('keeps the moment that it drew from a window, draws anew when the window moves, and renews when it has come', async t => {
    const home = await issued()
    const at = async (hours: number) => (await renew(home, () => Date.now() + hours * 3_600_000)).certificates[0]
    const first = (await at(0))?.at
    t.equal((await at(7))?.at, first)
    const [start, end] = [new Date(Date.now() + 20 * dayMs).toISOString(), new Date(Date.now() + 21 * dayMs).toISOString()]
    proxy.renewalInfo({ start, end })
    const moved = (await at(14))?.at ?? ''
    t.ok(moved > start && moved < end, moved)
    t.match(await renew(home, inDays(19.9)), { certificates: [{ outcome: 'not_due' }] })
    t.match(await renew(home, inDays(21)), { certificates: [{ outcome: 'renewed' }] })
  })

  t.test('a CA that says nothing about renewals, or says it badly, neither stops nor starts one', async t => {
    const home = await issued()
    const faults = [{ status: 404 }, { status: 500 }, { start: 'soon' }, { delayMs: 15_000 }]
    let days = 0
    for (const fault of faults) {
      proxy.renewalInfo(fault)
      t.match(await renew(home, inDays(++days)), { certificates: [{ outcome: 'not_due' }] }, JSON.stringify(fault))
    }
    proxy.renewalInfo({ status: 500 })
    t.match(await renew(home, inDays(65)), { certificates: [{ outcome: 'renewed', reason: 'lifetime' }] })
  })

  t.test('with a twentieth of its life left a certificate is renewed whatever the CA wishes', async t => {
    const home = await issued()
    proxy.renewalInfo({ start: new Date(Date.now() + 89.9 * dayMs).toISOString(), end: new Date(Date.now() + 89.95 * dayMs).toISOString() })
    t.match(await renew(home, inDays(84)), { certificates: [{ outcome: 'not_due', reason: 'emergency' }] })
    t.match(await renew(home, inDays(86)), { certificates: [{ outcome: 'renewed', reason: 'emergency' }] })
  })

  t.test('a certificate of a few minutes is renewed in its own measure', async t => {
    const folder = temporaryFolder(t)
    const short = await startPebble(folder, bed.bind.server, { validitySeconds: 600 })
    t.teardown(() => short.stop())
    const home = await makeCertHome(t, bed, { SOAKP_ACME_CA_FILE: short.caFile })
    await home.near.json([
      'cert',
      'issue',
      '--server',
      short.directoryUrl,
      '--agree-tos',
      '--http',
      '--http-port',
      String(short.httpPort),
      '-d',
      'web.example.test',
    ])
    t.match(await renew(home, () => Date.now() + 200_000), { certificates: [{ outcome: 'not_due', reason: 'lifetime' }] })
    t.match(await renew(home, () => Date.now() + 400_000), { certificates: [{ outcome: 'renewed', reason: 'lifetime' }] })
  })

  t.test('after a failure it waits 1, 10 and 100 minutes, then a day, and every run knows; --force does not wait', async t => {
    const home = await issued()
    const before = live(home)
    let now = Date.now() + 70 * dayMs
    const minutes = [1, 10, 100, 1440, 1440]
    for (const [at, wait] of minutes.entries()) {
      proxy.fault({ match: 'order-plz', status: 403, type: 'rejectedIdentifier', detail: 'not today' })
      const ran = await home.at(() => now).run(['cert', 'renew', '-q', '--no-jitter'])
      t.equal(ran.code, 1)
      t.equal(ran.stdout, '')
      t.match(ran.stderr, /web\.example\.test was not renewed: .*not today/)
      t.match(record(home).state, { attempts: at + 1, notBeforeMs: now + wait * 60_000, lastError: { type: 'rejectedIdentifier' } })
      t.same(await home.at(() => now + wait * 60_000 - 5_000).run(['cert', 'renew', '-q', '--no-jitter']), {
        code: 0,
        stdout: '',
        stderr: '',
      })
      now += wait * 60_000 + 1
    }
    t.equal(live(home), before)
    const said = await home.at(() => now - 60_000).run(['doctor'])
    t.match(said.stdout, /warn {2}certificates the last 5 attempts to renew web\.example\.test failed: .*not today/)
    t.match(await renew(home, () => now - 60_000), { certificates: [{ outcome: 'waiting' }] })
    t.match(await renew(home, () => now - 60_000, ['--force']), { certificates: [{ outcome: 'renewed' }] })
    t.match(record(home).state, { attempts: 0 })
  })

  t.test('a CA that asks to wait is not asked before: in seconds, as a date', async t => {
    const home = await issued()
    const now = Date.now()
    const times = [
      ['7200', now + 7_200_000],
      [new Date(now + 3 * dayMs).toUTCString(), now + 3 * dayMs],
    ] as const
    for (const [retryAfter, until] of times) {
      proxy.fault({ match: 'order-plz', status: 429, retryAfter })
      const ran = await home.at(() => now).run(['cert', 'renew', '-q', '--force'])
      t.equal(ran.code, 1)
      const { notBeforeMs } = record(home).state as unknown as { notBeforeMs: number }
      t.ok(Math.abs(notBeforeMs - until) < 2_000, `${notBeforeMs - until}`)
    }
  })

  t.test('the next CA is asked where the first is down, and is the one whose word counts from then on', async t => {
    const home = await makeCertHome(t, bed)
    const [down] = [`https://127.0.0.1:${bed.pebble.httpPort}/dir`]
    const ran = await home.near.run([
      ...['cert', 'issue', '--server', down, '--server', proxy.directoryUrl, '--agree-tos', ...http, '-d', 'web.example.test', '--json'],
    ])
    t.equal(ran.code, 0, ran.stderr)
    t.equal((record(home).state as unknown as { issuedBy: { directoryUrl: string } }).issuedBy.directoryUrl, proxy.directoryUrl)
    t.match(await renew(home), { certificates: [{ outcome: 'not_due', reason: 'window' }] })
  })

  t.test('a rehearsal goes to the end, runs no deploy hook, and leaves nothing', async t => {
    const trace = join(temporaryFolder(t), 'deployed')
    const home = await issued(['--deploy-hook', `sh -c "echo x >> ${trace}"`])
    t.equal(readFileSync(trace, 'utf8'), 'x\n')
    const files = () => readdirSync(home.certs, { recursive: true, encoding: 'utf8' }).sort()
    const [before, was, text] = [live(home), files(), JSON.stringify(record(home).wishes)]
    const orders = proxy.orders.length
    const ran = await home.near.run(['cert', 'renew', '--dry-run'])
    t.match(ran, { code: 0, stdout: /the rehearsal went well; nothing was kept/ })
    t.equal(proxy.orders.length, orders + 1)
    t.equal(readFileSync(trace, 'utf8'), 'x\n')
    t.equal(live(home), before)
    t.same(files(), was)
    t.equal(JSON.stringify(record(home).wishes), text)
    const empty = await makeCertHome(t, bed)
    t.match(await empty.near.run(empty.issue(['web.example.test'], [...http, '--dry-run'])), { code: 0 })
    t.same(
      readdirSync(empty.certs).filter(name => !['local', 'live', 'lock'].includes(name)),
      [],
    )
  })

  t.test('hooks get the names that Certbot gives, and no setting and no secret', async t => {
    const canary = 'canary-of-a-secret-in-the-settings'
    const home = await makeCertHome(t, bed, { CF_DNS_API_TOKEN: canary, SOAKP_PUBLIC_URL: 'https://web.example.test' })
    const seen = (kind: string) => readFileSync(join(home.dir, `${kind}.txt`), 'utf8')
    const script = (kind: string) => {
      const file = join(home.dir, `hook ${kind}.sh`)
      writeFileSync(file, `#!/bin/sh\nenv >> '${join(home.dir, kind)}.txt'\necho end >> '${join(home.dir, kind)}.txt'\n`, { mode: 0o755 })
      return [`--${kind}-hook`, `'${file}' "an argument"`]
    }
    process.env.SOAKP_TEST_CANARY = canary
    t.teardown(() => delete process.env.SOAKP_TEST_CANARY)
    await home.near.json(home.issue(['web.example.test'], [...http, ...['pre', 'deploy', 'post'].flatMap(script)]))
    const folder = join(home.certs, 'renewal-hooks/deploy')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, '10-copy'), `#!/bin/sh\necho copied "$RENEWED_LINEAGE" >> '${join(home.dir, 'copied.txt')}'\n`, {
      mode: 0o755,
    })
    writeFileSync(join(folder, '20-left~'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
    t.equal((await home.near.run(['cert', 'renew', '-q', '--no-jitter'])).code, 0)
    t.equal(seen('pre').split('end\n').length, 2, 'nothing is due: no hook runs')
    t.equal((await home.near.run(['cert', 'renew', '-q', '--force'])).code, 0)
    t.equal(seen('copied').trim(), `copied ${join(home.certs, 'live/web.example.test')}`)
    t.match(seen('deploy'), `RENEWED_LINEAGE=${join(home.certs, 'live/web.example.test')}\n`)
    t.match(seen('deploy'), 'RENEWED_DOMAINS=web.example.test\n')
    t.match(seen('deploy'), 'SOAKP_HOOK_NAME=web.example.test\n')
    t.match(seen('post'), 'FAILED_DOMAINS=\n')
    const all = seen('pre') + seen('deploy') + seen('post')
    t.notMatch(all, canary)
    t.same(
      [...new Set(all.match(/^SOAKP_\w+/gm))].filter(name => !name.startsWith('SOAKP_HOOK_')),
      [],
    )
  })

  t.test('a deploy hook that fails is told, loses no certificate, and is run again by the next run', async t => {
    const home = await makeCertHome(t, bed)
    const hook = join(home.dir, 'hook.sh')
    writeFileSync(hook, '#!/bin/sh\necho the proxy does not answer >&2\nexit 3\n', { mode: 0o755 })
    const first = await home.near.run(home.issue(['web.example.test'], [...http, '--deploy-hook', hook]))
    t.match(first, { code: 71, stderr: /hook .*hook\.sh ended with 3: the proxy does not answer/ })
    t.ok(existsSync(join(home.certs, 'live/web.example.test/privkey.pem')))
    t.match(await home.near.run(['cert', 'renew', '-q', '--no-jitter']), { code: 71, stdout: '', stderr: /ended with 3/ })
    writeFileSync(hook, `#!/bin/sh\ntouch '${join(home.dir, 'deployed')}'\n`)
    t.match(await renew(home), { certificates: [{ outcome: 'deployed' }] })
    t.ok(existsSync(join(home.dir, 'deployed')))
    t.match(await renew(home), { certificates: [{ outcome: 'not_due' }] })
    const folder = join(home.certs, 'renewal-hooks/deploy')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'open'), '#!/bin/sh\n')
    chmodSync(join(folder, 'open'), 0o777)
    t.match(await home.near.run(['cert', 'renew', '-q', '--force']), { code: 71, stderr: /others may change it, so it is not run/ })
  })

  t.test('one certificate that fails does not stop the others', async t => {
    const home = await issued()
    await home.near.json(home.issue(['both.example.test'], http))
    proxy.fault({ match: 'order-plz', status: 403, type: 'rejectedIdentifier', detail: 'not this one' })
    const ran = await home.near.run(['--json', 'cert', 'renew', '--force'])
    t.equal(ran.code, 1)
    t.match(JSON.parse(ran.stdout), {
      certificates: [
        { name: 'both.example.test', outcome: 'failed', error: { code: 'acme_refused' } },
        { name: 'web.example.test', outcome: 'renewed' },
      ],
    })
  })

  t.test('accounts that need a binding are opened with it, and the key is read from a file that nobody else can read', async t => {
    const folder = temporaryFolder(t)
    const bound = await startPebble(folder, bed.bind.server, { eabRequired: true })
    t.teardown(() => bound.stop())
    const home = await makeCertHome(t, bed, { SOAKP_ACME_CA_FILE: bound.caFile })
    const file = join(folder, 'hmac')
    writeFileSync(file, eab.hmacKey, { mode: 0o644 })
    const args = [
      'cert',
      'issue',
      '--server',
      bound.directoryUrl,
      '--agree-tos',
      '--http',
      '--http-port',
      String(bound.httpPort),
      '-d',
      'web.example.test',
    ]
    t.match(await home.near.run(args), { code: 69, stderr: /external account binding.*\n.*--eab-kid/ })
    t.match(await home.near.run([...args, '--eab-kid', eab.kid, '--eab-hmac-key-file', file]), {
      code: 74,
      stderr: /can be read by others.*\n.*chmod 600/,
    })
    chmodSync(file, 0o600)
    t.equal((await home.near.run([...args, '--eab-kid', eab.kid, '--eab-hmac-key-file', file])).code, 0)
    t.notMatch(readFileSync(join(home.certs, 'renewal/web.example.test.json'), 'utf8'), eab.hmacKey)
  })
})
