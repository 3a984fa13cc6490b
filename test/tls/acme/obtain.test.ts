import { createPublicKey, X509Certificate } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readChain } from '../../../src/tls/acme/checks.js'
import { keyTypes } from '../../../src/tls/acme/keys.js'
import { namesOf } from '../../../src/tls/names.js'
import { makeEngine } from '../../support/acme/engine.js'
import { lacking, startBed, startPebble } from '../../support/acme/index.js'
import { nsupdateSolver } from '../../support/acme/solver.js'

const skip = lacking('pebble', 'named', 'nsupdate', 'openssl')

t.test('certificates from a CA', { skip }, async t => {
  // four requests in ten are refused for their nonce, throughout
  const bed = await startBed(t, { pebble: { nonceRejects: 40, alternateRoots: 2, chainLength: 2 } })
  const left = async (...names: string[]) => (await Promise.all(names.map(name => bed.bind.txt(`_acme-challenge.${name}`)))).flat()

  t.test('a name and its wildcard stand in one certificate, proved together, and nothing is left in the DNS', async t => {
    const engine = makeEngine(t, bed)
    const solver = nsupdateSolver(bed.bind)
    const { fullchain, key, identifiers } = await engine.obtain({ names: ['Example.TEST.', '*.example.test', 'example.test'] }, { solver })
    const leaf = new X509Certificate(fullchain)
    t.same(namesOf(leaf).sort(), ['*.example.test', 'example.test'])
    t.equal(identifiers.length, 2, 'each name once')
    t.ok(leaf.publicKey.equals(createPublicKey(key)))
    t.match(leaf.publicKey.asymmetricKeyDetails, { namedCurve: 'prime256v1' })
    t.equal(solver.trace.length, 2, 'both at once')
    t.same(await left('example.test'), [])
  })

  t.test('a child zone, an alias to another zone and an ordinary name are proved in one order', async t => {
    const names = ['host.sub.example.test', 'aliased.example.test', '*.aliased.example.test', 'web.example.test']
    const { fullchain } = await makeEngine(t, bed).obtain({ names })
    t.same(namesOf(new X509Certificate(fullchain)).sort(), [...names].sort())
    t.same(await left('host.sub.example.test', 'aliased.example.test', 'web.example.test'), [])
  })

  t.test('a hundred names fit into one certificate', async t => {
    const names = Array.from({ length: 100 }, (_, at) => `n${at}.example.test`)
    const { fullchain } = await makeEngine(t, bed).obtain({ names })
    t.equal(namesOf(new X509Certificate(fullchain)).length, 100)
  })

  t.test('every kind of key can be had, and a new one each time unless the old one is asked for', async t => {
    const engine = makeEngine(t, bed)
    for (const keyType of keyTypes) {
      const { key, fullchain, finished } = await engine.obtain({ keyType })
      finished()
      const { asymmetricKeyType: kind, asymmetricKeyDetails: details } = createPublicKey(key)
      const expected = keyType.startsWith('rsa') ? `rsa${details?.modulusLength}` : details?.namedCurve === 'secp384r1' ? 'p384' : 'p256'
      t.equal(keyType, expected, `${keyType} is ${kind}`)
      t.ok(new X509Certificate(fullchain).publicKey.equals(createPublicKey(key)))
    }
    const first = await engine.obtain()
    first.finished()
    const second = await engine.obtain()
    second.finished()
    t.notOk(first.key.equals(second.key))
    const third = await engine.obtain({ reuseKey: second.key })
    t.ok(third.key.equals(second.key))
    t.not(third.fullchain, second.fullchain)
  })

  t.test('keys of accounts and orders are readable by their owner alone, and an order is forgotten when it is finished', async t => {
    const engine = makeEngine(t, bed)
    const { finished } = await engine.obtain()
    const files = readdirSync(engine.certsDir, { recursive: true, encoding: 'utf8' }).map(name => join(engine.certsDir, name))
    t.ok(files.some(file => file.endsWith('/key.pem')) && files.some(file => file.endsWith('/privkey.pem')))
    for (const file of files) t.equal(statSync(file).mode & 0o077, 0, file)
    finished()
    t.notOk(existsSync(join(engine.certsDir, 'orders', 'test')))
  })

  t.test('a provider that keeps one value at a name gets them one after the other', async t => {
    const solver = nsupdateSolver(bed.bind, { oneByOne: true })
    await makeEngine(t, bed).obtain({ names: ['one.example.test', '*.one.example.test'] }, { solver })
    t.match(
      solver.trace.map(line => line.split(' ')[0]),
      ['prepare', 'clean', 'prepare', 'clean'],
    )
  })

  t.test('a wrong record is told in the words of the CA, name by name, and nothing of it stays', async t => {
    const engine = makeEngine(t, bed)
    const solver = nsupdateSolver(bed.bind, { wrong: true })
    const failing = engine.obtain({ names: ['w1.example.test', '*.w2.example.test'] }, { solver })
    await t.rejects(failing, {
      code: 'acme_refused',
      detail: /does not believe 2 names; w1\.example\.test: .+; \*\.w2\.example\.test: .+/,
      problem: { type: 'unauthorized', subproblems: [{ identifier: 'w1.example.test' }, { identifier: '*.w2.example.test' }] },
    })
    t.same(await left('w1.example.test', 'w2.example.test'), [])
    t.notOk(existsSync(join(engine.certsDir, 'orders', 'test', 'order.json')))
    await t.resolves(engine.obtain({ names: ['w1.example.test'] }), 'and the next order is a new one')
  })

  t.test('a name that the CA will not certify is refused before anything is written to the DNS', async t => {
    const solver = nsupdateSolver(bed.bind)
    await t.rejects(makeEngine(t, bed).obtain({ names: ['a.blocked.test'] }, { solver }), {
      code: 'acme_refused',
      problem: { type: 'rejectedIdentifier' },
      detail: /a\.blocked\.test/,
    })
    t.same(solver.trace, [])
  })

  t.test('the chain can be chosen by the name of its root; one that is not offered is said, and not fatal', async t => {
    const engine = makeEngine(t, bed)
    const roots = await Promise.all([0, 1, 2].map(n => bed.pebble.root(n)))
    for (const root of roots) {
      const wanted = new X509Certificate(root)
      const name = /CN=(.*)/.exec(wanted.subject)?.[1] ?? ''
      const { fullchain, finished } = await engine.obtain({ preferredChain: name })
      finished()
      const top = readChain(fullchain).at(-1)
      t.ok(top?.verify(wanted.publicKey), name)
    }
    t.ok(await engine.obtain({ preferredChain: 'Nobody Root X9' }))
    t.match(engine.told.join('\n'), /no chain leads to Nobody Root X9; the CA offers Pebble Root CA/)
  })

  t.test('a profile is ordered where the CA has it; one that is missing stops only where it is required', async t => {
    const engine = makeEngine(t, bed)
    const wish = (name: string, required: boolean) => engine.obtain({ profile: { name, required } })
    const obtained = await wish('shortlived', true)
    t.equal(obtained.profile, 'shortlived')
    t.match(bed.proxy.orders.at(-1), { profile: 'shortlived' })
    obtained.finished()
    await t.rejects(wish('gold', true), { code: 'acme_refused', detail: /no profile gold\. It has classic, tlsserver, shortlived/ })
    t.equal((await wish('gold', false)).profile, undefined)
    t.match(engine.told.join('\n'), /no profile gold; going on without/)
  })
})

t.test('authorizations that are valid already are not proved again', { skip }, async t => {
  const bed = await startBed(t, { pebble: { reusedAuthorizations: 100 } })
  const engine = makeEngine(t, bed)
  const solver = nsupdateSolver(bed.bind)
  ;(await engine.obtain({}, { solver })).finished()
  t.equal(solver.trace.length, 2)
  t.ok((await engine.obtain({}, { solver })).fullchain)
  t.equal(solver.trace.length, 2)
})

t.test('a second CA issues where the first is down, and not where the name is at fault', { skip }, async t => {
  const bed = await startBed(t)
  const other = await startPebble(bed.folder, bed.bind.server)
  t.teardown(() => other.stop())
  const engine = makeEngine(t, bed, { maxWaitMs: 100 })
  const second = makeEngine(t, { ...bed, caFile: other.caFile }, { directoryUrl: other.directoryUrl })
  const account = { agreesToTerms: true }
  const choices = [engine.authority, second.authority].map(authority => ({ authority, account }))
  // each CA here has a root of its own; the real ones share the public ones
  const send: typeof engine.deps.transport.send = (url, ...rest) =>
    (url.includes(`:${other.port}`) ? second : engine).deps.transport.send(url, ...rest)
  const both = { ...engine, deps: { ...engine.deps, transport: { send, close() {} } } }
  const { obtain } = await import('../../../src/tls/acme/obtain.js')
  const request = { name: 'test', names: ['a.example.test'], keyType: 'p256' } as const
  const solver = nsupdateSolver(bed.bind)

  bed.proxy.fault({ match: 'order-plz', status: 429, retryAfter: 3600, times: 1 })
  const obtained = await obtain(both.deps, choices, request, solver)
  t.equal(obtained.authority.directoryUrl, other.directoryUrl)
  t.match(engine.told.join('\n'), /It asks to wait 3600 s/)
  obtained.finished()

  const ordersThere = () => other.log().split('Added order').length
  const before = ordersThere()
  await t.rejects(obtain(both.deps, choices, request, nsupdateSolver(bed.bind, { wrong: true })), { code: 'acme_refused' })
  t.equal(ordersThere(), before)

  bed.proxy.fault({ match: 'order-plz', status: 503, body: '<html>down</html>', times: 99 })
  await other.stop()
  await t.rejects(obtain(both.deps, choices, { ...request, names: ['b.example.test'] }, solver), {
    code: 'acme_unreachable',
    detail: /text\/html.* And: .*ECONNREFUSED/,
  })
})
