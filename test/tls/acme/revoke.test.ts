import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { openAccount } from '../../../src/tls/acme/account.js'
import { revoke, revokeByKey } from '../../../src/tls/acme/revoke.js'
import { makeEngine } from '../../support/acme/engine.js'
import { lacking, startBed } from '../../support/acme/index.js'

t.test('a certificate is revoked', { skip: lacking('pebble', 'named', 'nsupdate', 'openssl') }, async t => {
  const bed = await startBed(t)
  const engine = makeEngine(t, bed)
  const session = await openAccount(engine.deps, engine.authority, { agreesToTerms: true })
  const status = (pem: string) => bed.pebble.statusOf(new X509Certificate(pem).serialNumber)
  const issue = async () => {
    const obtained = await engine.obtain()
    obtained.finished()
    return obtained
  }

  t.test('by its account; once more is not an error', async t => {
    const { fullchain } = await issue()
    t.equal(await status(fullchain), 'Valid')
    t.equal(await revoke(session, fullchain, 'superseded'), true)
    t.equal(await status(fullchain), 'Revoked')
    t.equal(await revoke(session, fullchain, 'unspecified'), false)
  })

  t.test('by its own key, without the account', async t => {
    const { fullchain, key } = await issue()
    t.equal(await revokeByKey(engine.deps, engine.authority.directoryUrl, fullchain, key, 'key-compromise'), true)
    t.equal(await status(fullchain), 'Revoked')
  })

  t.test('by nobody else', async t => {
    const { fullchain } = await issue()
    const { key } = await issue()
    await t.rejects(revokeByKey(engine.deps, engine.authority.directoryUrl, fullchain, key, 'unspecified'), { code: 'acme_refused' })
    const stranger = makeEngine(t, bed)
    const other = await openAccount(stranger.deps, stranger.authority, { agreesToTerms: true })
    await t.rejects(revoke(other, fullchain, 'unspecified'), { code: 'acme_refused' })
    t.equal(await status(fullchain), 'Valid')
  })
})
