import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { openAccount } from '../../../src/tls/acme/account.js'
import { certId, certIdFrom, fetchRenewalInfo } from '../../../src/tls/acme/ari.js'
import { type AriState, afterAnswer, afterSilence, planRenewal } from '../../../src/tls/acme/renewal.js'
import { makeEngine } from '../../support/acme/engine.js'
import { certIdOf, lacking, startBed } from '../../support/acme/index.js'

const dayMs = 86_400_000
const hourMs = 3_600_000

t.test('a certificate is named as the RFC names its example', async t => {
  t.equal(certIdFrom('69885B6B87464041E1B37B847BA0AE2CDE01C8D4', '87654321'), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')
  t.equal(certIdFrom('69885B6B87464041E1B37B847BA0AE2CDE01C8D4', '0087654321'), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')
  t.equal(certIdFrom('69885B6B87464041E1B37B847BA0AE2CDE01C8D4', '7654321'), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.B2VDIQ')
})

t.test('what a CA wishes for a renewal', { skip: lacking('pebble', 'named', 'nsupdate', 'openssl') }, async t => {
  const bed = await startBed(t)
  const { proxy } = bed
  const engine = makeEngine(t, bed, { maxWaitMs: 10, transport: { timeoutMs: 1_000 } })
  const { fullchain, finished } = await engine.obtain()
  finished()
  const id = certId(fullchain) ?? ''
  const session = await openAccount(engine.deps, engine.authority, { agreesToTerms: true })
  const ask = () => fetchRenewalInfo(session, id, Date.now())
  t.afterEach(() => {
    proxy.clearFaults()
    proxy.renewalInfo(undefined)
  })

  t.test('is asked for the certificate by a name that others compute alike', async t => t.equal(id, certIdOf(fullchain)))

  t.test('is a window within its life, and a time to ask again', async t => {
    const leaf = new X509Certificate(fullchain)
    const info = await ask()
    t.ok(info && info.window.startMs > Date.parse(leaf.validFrom) && info.window.endMs < Date.parse(leaf.validTo))
    t.equal(info?.retryAfterMs, 6 * hourMs)
  })

  t.test('is asked for again no sooner than in a minute, and no later than in a day', async t => {
    proxy.renewalInfo({ retryAfter: 1 })
    t.equal((await ask())?.retryAfterMs, 60_000)
    proxy.renewalInfo({ retryAfter: 9_999_999 })
    t.equal((await ask())?.retryAfterMs, dayMs)
    proxy.renewalInfo({ retryAfter: new Date(Date.now() + 2 * hourMs).toUTCString() })
    const { retryAfterMs = 0 } = (await ask()) ?? {}
    t.ok(retryAfterMs > 1.9 * hourMs && retryAfterMs <= 2 * hourMs)
  })

  t.test('comes with the page that explains an incident', async t => {
    proxy.renewalInfo({
      start: new Date(Date.now() - 2 * dayMs).toISOString(),
      end: new Date(Date.now() - dayMs).toISOString(),
      explanationURL: 'https://ca.example.test/incident',
    })
    const info = await ask()
    t.equal(info?.explanationUrl, 'https://ca.example.test/incident')
    if (info === undefined) return
    const leaf = new X509Certificate(fullchain)
    const life = { notBeforeMs: Date.parse(leaf.validFrom), notAfterMs: Date.parse(leaf.validTo) }
    const state = afterAnswer(undefined, info, Date.now(), Math.random)
    t.match(planRenewal(life, state, Date.now()), { due: true, reason: 'overdue' })
  })

  t.test('is an error where the CA errs, not a stop', async t => {
    proxy.renewalInfo({ status: 404 })
    await t.rejects(ask(), { code: 'acme_refused' })
    proxy.renewalInfo({ status: 500 })
    await t.rejects(ask(), { code: 'acme_unreachable' })
    proxy.renewalInfo({ delayMs: 5_000 })
    await t.rejects(ask(), { code: 'acme_unreachable', detail: /no answer within 1 s/ })
    proxy.renewalInfo({ start: '2026-01-02T00:00:00Z', end: '2026-01-01T00:00:00Z' })
    await t.rejects(ask(), { code: 'acme_refused', detail: /does not end after it starts/ })
    proxy.renewalInfo({ start: 'soon' })
    await t.rejects(ask(), { code: 'acme_refused', detail: /does not end after it starts/ })
  })

  t.test('is unknown to a CA without ARI', async t => {
    const plain = makeEngine(t, bed, { directoryUrl: bed.pebble.directoryUrl })
    const other = await openAccount(plain.deps, plain.authority, { agreesToTerms: true })
    t.equal(await fetchRenewalInfo(other, id, Date.now()), undefined)
  })

  t.test('an order names the certificate it replaces, once; a second one does without', async t => {
    const replaces = { certId: id, directoryUrl: proxy.directoryUrl }
    ;(await engine.obtain({ replaces })).finished()
    t.match(proxy.orders.at(-1), { replaces: id })
    const again = await engine.obtain({ replaces })
    again.finished()
    t.notMatch(proxy.orders.at(-1), { replaces: id })
    t.match(engine.told.join('\n'), /without naming the old certificate: .*alreadyReplaced/)
  })

  t.test('an order that was lost on its way back is the one that replaces', async t => {
    const { fullchain: old, finished } = await engine.obtain()
    finished()
    const replaces = { certId: certId(old) ?? '', directoryUrl: proxy.directoryUrl }
    proxy.fault({ match: 'order-plz', drop: 'after', times: 2 })
    const made = bed.pebble.log().split('Added order').length
    ;(await engine.obtain({ replaces })).finished()
    t.equal(bed.pebble.log().split('Added order').length - made, 1)
  })

  t.test('a certificate of another CA is never named, and one that the CA does not know costs nothing', async t => {
    ;(await engine.obtain({ replaces: { certId: id, directoryUrl: 'https://other.example.test/dir' } })).finished()
    t.notOk(proxy.orders.at(-1)?.replaces)
    ;(await engine.obtain({ replaces: { certId: 'AAAA.BBBB', directoryUrl: proxy.directoryUrl } })).finished()
    t.match(engine.told.join('\n'), /unknown certificate AAAA\.BBBB/)
  })
})

t.test('when a certificate is renewed', async t => {
  const life = (days: number) => ({ notBeforeMs: 0, notAfterMs: days * dayMs })
  const state = (startDay: number, endDay: number, chosenDay: number): AriState => ({
    window: { startMs: startDay * dayMs, endMs: endDay * dayMs },
    chosenMs: chosenDay * dayMs,
    explanationUrl: undefined,
    nextCheckMs: 0,
  })

  t.test('with a third of its life left where the CA says nothing, half of a short one, whatever its length', async t => {
    for (const days of [90, 64, 45, 200, 397]) {
      const dueDay = (days * 2) / 3
      t.match(planRenewal(life(days), undefined, (dueDay - 0.01) * dayMs), { due: false, reason: 'lifetime' }, `${days}`)
      t.match(planRenewal(life(days), undefined, (dueDay + 0.01) * dayMs), { due: true, reason: 'lifetime' }, `${days}`)
    }
    const shortMs = 160 * hourMs
    const short = { notBeforeMs: 0, notAfterMs: shortMs }
    t.match(planRenewal(short, undefined, shortMs / 2 - 1), { due: false })
    t.match(planRenewal(short, undefined, shortMs / 2), { due: true, reason: 'lifetime' })
  })

  t.test('at the moment drawn from the window, also when that is later than a third', async t => {
    t.match(planRenewal(life(90), state(70, 72, 71), 65 * dayMs), { due: false, reason: 'window', atMs: 71 * dayMs })
    t.match(planRenewal(life(90), state(70, 72, 71), 71 * dayMs), { due: true, reason: 'window' })
    t.match(planRenewal(life(90), state(1, 2, 1.5), 3 * dayMs), { due: true, reason: 'overdue' })
  })

  t.test('now, where nobody will look again before it is due', async t => {
    t.match(planRenewal(life(90), state(70, 72, 71), 70.6 * dayMs, 71.1 * dayMs), { due: true, reason: 'window' })
    t.match(planRenewal(life(90), state(70, 72, 71), 70.6 * dayMs, 70.9 * dayMs), { due: false })
  })

  t.test('whatever a CA wishes, with a twentieth left; and with a fiftieth everybody is told', async t => {
    const mad = state(89.9, 120, 100)
    t.match(planRenewal(life(100), mad, 94 * dayMs), { due: false, reason: 'emergency', atMs: 95 * dayMs, alarming: false })
    t.match(planRenewal(life(100), mad, 95 * dayMs), { due: true, reason: 'emergency', alarming: false })
    t.match(planRenewal(life(100), undefined, 98.5 * dayMs), { due: true, reason: 'emergency', alarming: true })
    t.match(planRenewal(life(100), mad, 101 * dayMs), { due: true, reason: 'expired', alarming: true })
  })

  t.test('the moment is drawn once for a window, anew for another, and kept while the CA is silent', async t => {
    const info = { window: { startMs: 1_000, endMs: 2_000 }, explanationUrl: undefined, retryAfterMs: 60_000 }
    const first = afterAnswer(undefined, info, 0, () => 0.25)
    t.match(first, { chosenMs: 1_250, nextCheckMs: 60_000 })
    t.equal(afterAnswer(first, info, 500, () => 0.9).chosenMs, 1_250)
    t.equal(afterAnswer(first, { ...info, window: { startMs: 0, endMs: 100 } }, 500, () => 0.5).chosenMs, 50)
    t.match(afterSilence(first, 10_000), { chosenMs: 1_250, nextCheckMs: 10_000 + hourMs })
    t.equal(afterSilence(undefined, 0), undefined)
    t.same(JSON.parse(JSON.stringify(first)).window, first.window, 'it is plain data')
  })
})
