import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import t from 'tap'
import { changeContact, deactivate, openAccount, recover, register, rollOver, show } from '../../../src/tls/acme/account.js'
import { accountFiles, accountsIn } from '../../../src/tls/acme/account-files.js'
import { externalAccount, readHmacKeyFile } from '../../../src/tls/acme/eab.js'
import { newKey } from '../../../src/tls/acme/keys.js'
import { makeEngine } from '../../support/acme/engine.js'
import { eab, lacking, startBed, startPebble } from '../../support/acme/index.js'

const skip = lacking('pebble', 'named', 'nsupdate', 'openssl')
const agreesToTerms = true

t.test('an account at a CA', { skip }, async t => {
  const bed = await startBed(t)
  const { proxy } = bed
  t.afterEach(() => proxy.clearFaults())

  t.test('is opened once, with an address or without, and kept', async t => {
    const { deps, authority, certsDir } = makeEngine(t, bed)
    const first = await openAccount(deps, authority, { agreesToTerms, email: 'ops@example.test' })
    const again = await openAccount(deps, authority, { agreesToTerms: false })
    t.equal(again.accountUrl, first.accountUrl)
    t.equal(again.thumbprint, first.thumbprint)
    const view = await show(deps, authority)
    t.match(view, { url: first.accountUrl, status: 'valid', contact: ['ops@example.test'], thumbprint: first.thumbprint })
    t.same(accountsIn(certsDir), [authority.directoryUrl])
    const { folder } = accountFiles(certsDir, authority.directoryUrl)
    t.equal(statSync(folder).mode & 0o777, 0o700)
    for (const name of readdirSync(folder)) t.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
    await changeContact(deps, authority, undefined)
    t.same((await show(deps, authority)).contact, [])
  })

  t.test('is not opened on terms that nobody agreed to', async t => {
    const { deps, authority } = makeEngine(t, bed)
    await t.rejects(openAccount(deps, authority, { agreesToTerms: false }), {
      code: 'acme_refused',
      detail: /terms: data:text\/plain/,
      hint: /--agree-tos/,
    })
  })

  t.test('that the CA has forgotten is opened again in the middle of an order, with the same key', async t => {
    const engine = makeEngine(t, bed)
    ;(await engine.obtain()).finished()
    const files = accountFiles(engine.certsDir, engine.authority.directoryUrl)
    const [kept, key] = [files.account(), files.key()]
    if (kept === undefined) return t.fail('nothing was kept')
    // as after a restart of a CA that keeps all in memory
    await files.writeAccount({ ...kept, url: kept.url.replace(/\w+$/, 'gone') })
    t.ok(await engine.obtain())
    t.same(files.account()?.url, kept.url)
    t.same(files.key(), key)
    t.match(engine.told.join('\n'), /does not know our account any more/)
  })

  t.test('that the CA really lost, together with its key, is opened anew', async t => {
    const own = await startPebble(bed.folder, bed.bind.server)
    const engine = makeEngine(t, { ...bed, caFile: own.caFile }, { directoryUrl: own.directoryUrl })
    ;(await engine.obtain()).finished()
    const before = accountFiles(engine.certsDir, own.directoryUrl).account()?.url
    await own.stop('SIGKILL')
    const again = await startPebble(bed.folder, bed.bind.server, { port: own.port })
    t.teardown(() => again.stop())
    const next = makeEngine(t, { ...bed, caFile: again.caFile }, { directoryUrl: again.directoryUrl, certsDir: engine.certsDir })
    t.ok(await next.obtain())
    t.not(accountFiles(engine.certsDir, own.directoryUrl).account()?.url, before)
  })

  t.test('gets a new key: the old one is worth nothing, the account is the same', async t => {
    const { deps, authority, certsDir } = makeEngine(t, bed)
    const before = await openAccount(deps, authority, { agreesToTerms })
    const oldKey = accountFiles(certsDir, authority.directoryUrl).key()
    const after = await rollOver(deps, authority)
    t.equal(after.url, before.accountUrl)
    t.not(after.thumbprint, before.thumbprint)
    t.notOk(accountFiles(certsDir, authority.directoryUrl).nextKey())
    if (oldKey !== undefined) await t.rejects(recover(deps, authority, oldKey), { code: 'acme_refused' })
    t.equal((await show(deps, authority)).thumbprint, after.thumbprint)
  })

  t.test('keeps a key that opens it when the answer to a change of keys is lost, or the request', async t => {
    for (const drop of ['before', 'after'] as const) {
      const { deps, authority } = makeEngine(t, bed)
      const { accountUrl, thumbprint } = await openAccount(deps, authority, { agreesToTerms })
      proxy.clearFaults()
      proxy.fault({ match: 'rollover', drop, times: 2 })
      const after = await rollOver(deps, authority)
      t.equal(after.url, accountUrl, drop)
      t.not(after.thumbprint, thumbprint)
    }
  })

  t.test('opens after a crash on either side of the change', async t => {
    const { deps, authority, certsDir } = makeEngine(t, bed)
    await openAccount(deps, authority, { agreesToTerms })
    const files = accountFiles(certsDir, authority.directoryUrl)
    const oldKey = files.key()
    // the CA has heard of the new key, the disk has not
    await rollOver(deps, authority)
    const newKeyPem = files.key()
    if (oldKey === undefined || newKeyPem === undefined) return t.fail('no key')
    await files.writeKey(oldKey)
    await files.writeNextKey(newKeyPem)
    t.equal((await show(deps, authority)).status, 'valid')
    t.same(files.key(), newKeyPem)
    // the disk has a next key that the CA never heard of
    await files.writeNextKey(await newKey('p256'))
    t.equal((await show(deps, authority)).status, 'valid')
    t.notOk(files.nextKey())
    // a CA that is down drops neither
    await files.writeNextKey(await newKey('p256'))
    proxy.fault({ match: 'my-account', status: 500, times: 99 })
    const impatient = { ...deps, run: { ...deps.run, maxWaitMs: 1 } }
    await t.rejects(show(impatient, authority), { code: 'acme_unreachable' })
    t.ok(files.nextKey())
    proxy.clearFaults()
    t.equal((await show(deps, authority)).status, 'valid')
    // nor does one that takes neither
    await files.writeKey(await newKey('p256'))
    await files.writeNextKey(await newKey('p256'))
    await t.rejects(show(deps, authority), { code: 'acme_refused', detail: /takes neither key/ })
    t.ok(files.nextKey())
  })

  t.test('is found again by its key alone, and a stranger key finds none', async t => {
    const { deps, authority, certsDir } = makeEngine(t, bed)
    const { accountUrl } = await openAccount(deps, authority, { agreesToTerms })
    const key = readFileSync(join(accountFiles(certsDir, authority.directoryUrl).folder, 'key.pem'))
    const elsewhere = makeEngine(t, bed)
    const view = await recover(elsewhere.deps, authority, key)
    t.equal(view.url, accountUrl)
    await t.rejects(recover(elsewhere.deps, authority, await newKey('p256')), { code: 'acme_refused', detail: /no account for this key/ })
    await t.rejects(recover(elsewhere.deps, authority, Buffer.from('nothing')), { code: 'certificate_invalid' })
    t.equal((await show(elsewhere.deps, authority)).url, accountUrl)
    // a crash between the CA's answer and our note of it
    rmSync(join(accountFiles(certsDir, authority.directoryUrl).folder, 'account.json'))
    t.equal((await register(deps, authority, { agreesToTerms })).accountUrl, accountUrl)
  })

  t.test('is closed for good', async t => {
    const { deps, authority, certsDir } = makeEngine(t, bed)
    await openAccount(deps, authority, { agreesToTerms })
    const { folder } = accountFiles(certsDir, authority.directoryUrl)
    await deactivate(deps, authority)
    t.notOk(existsSync(folder))
    await t.rejects(show(deps, authority), { code: 'not_found' })
  })
})

t.test('a CA that wants an account bound to another', { skip }, async t => {
  const bed = await startBed(t, { pebble: { eabRequired: true } })

  t.test('is said plainly where there are no credentials, and nothing is sent', async t => {
    const { deps, authority } = makeEngine(t, bed)
    await t.rejects(openAccount(deps, authority, { agreesToTerms }), {
      code: 'acme_refused',
      detail: /wants an external account binding/,
      hint: /--eab-kid and --eab-hmac-key-file/,
    })
  })

  t.test('takes the right ones and refuses the wrong', async t => {
    const { deps, authority, certsDir } = makeEngine(t, bed)
    const wrong = externalAccount(eab.kid, Buffer.alloc(32, 7).toString('base64url'))
    await t.rejects(openAccount(deps, authority, { agreesToTerms, externalAccount: wrong }), { code: 'acme_refused' })
    await t.rejects(openAccount(deps, authority, { agreesToTerms, externalAccount: externalAccount('nobody', eab.hmacKey) }), {
      code: 'acme_refused',
    })
    t.notOk(accountFiles(certsDir, authority.directoryUrl).account())
    t.ok((await openAccount(deps, authority, { agreesToTerms, externalAccount: externalAccount(eab.kid, ` ${eab.hmacKey}\n`) })).accountUrl)
    t.equal((await show(deps, authority)).boundTo, eab.kid)
    const text = readFileSync(join(accountFiles(certsDir, authority.directoryUrl).folder, 'account.json'), 'utf8')
    t.notMatch(text, eab.hmacKey)
  })

  t.test('gets credentials for an e-mail address where the CA hands them out', async t => {
    const asked: string[] = []
    const server = createServer({ cert: readFileSync(bed.pebble.certFile), key: readFileSync(bed.pebble.keyFile) }, (request, reply) => {
      let body = ''
      request.on('data', part => (body += part))
      request.on('end', () => {
        asked.push(`${request.method} ${request.headers['content-type']} ${body}`)
        const bad = body.includes('bad')
        reply.writeHead(200, { 'content-type': 'application/json' })
        const credentials = { success: true, eab_kid: eab.kid, eab_hmac_key: eab.hmacKey }
        reply.end(JSON.stringify(bad ? { success: false, error: { code: 2900, type: 'invalid_email' } } : credentials))
      })
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => server.close())
    const { port } = server.address() as { port: number }
    const { deps, authority } = makeEngine(t, bed)
    const asking = { ...deps, credentialsUrl: `https://127.0.0.1:${port}/acme/eab-credentials-email` }
    const zerossl = { ...authority, binding: 'by-email' } as const
    await t.rejects(openAccount(asking, zerossl, { agreesToTerms, email: 'bad@example.test' }), {
      detail: /invalid_email/,
      code: 'acme_refused',
    })
    t.ok((await openAccount(asking, zerossl, { agreesToTerms, email: 'ops@example.test' })).accountUrl)
    t.equal(asked.at(-1), 'POST application/x-www-form-urlencoded email=ops%40example.test')
  })

  t.test('credentials that cannot be any, or lie open, are refused without being quoted', async t => {
    t.throws(() => externalAccount('kid', 'tooshort'), { code: 'usage', message: /^(?!.*tooshort)/ })
    t.throws(() => externalAccount('', eab.hmacKey), { code: 'usage' })
    const file = join(bed.folder, 'hmac')
    writeFileSync(file, `${eab.hmacKey}\n`, { mode: 0o644 })
    t.throws(() => readHmacKeyFile(file), { code: 'file_refused', hint: `chmod 600 ${file}` })
    const closed = join(bed.folder, 'hmac2')
    writeFileSync(closed, `${eab.hmacKey}\n`, { mode: 0o600 })
    t.equal(readHmacKeyFile(closed), eab.hmacKey)
  })
})
