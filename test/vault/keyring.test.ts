import { createSecretKey, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { importJWK, jwtVerify, SignJWT } from 'jose'
import t from 'tap'
import { createKeyring, defaultTenant, openKeyring } from '../../src/vault/keyring.js'

const now = (): number => 1_700_000_000_000
const master = createSecretKey(randomBytes(32))

t.test('a keyring opens again as it was made', async t => {
  const home = t.testdir({})
  const made = await createKeyring(home, master, now)
  const opened = await openKeyring(home, master)
  t.equal(opened.instanceId, made.instanceId)
  t.match(opened.instanceId, /^inst_/)
  t.ok(opened.databaseKey.equals(made.databaseKey))
  t.ok(
    opened
      .kek(defaultTenant)
      ?.export()
      .equals(made.kek(defaultTenant)?.export() as Buffer),
  )
  t.equal(opened.kek('nobody'), undefined)
  t.strictSame(
    opened.signingKeys.map(key => key.publicJwk),
    made.signingKeys.map(key => key.publicJwk),
  )
  t.equal(statSync(join(home, 'keys.json')).mode & 0o777, 0o600)
  t.strictSame(readdirSync(home), ['keys.json'])
})

t.test('a token signed with its key verifies with the public half, and the private half cannot be taken out', async t => {
  const [key] = (await createKeyring(t.testdir({}), master, now)).signingKeys
  if (key === undefined) return t.fail('no signing key')
  const token = await new SignJWT({ sub: 'a' }).setProtectedHeader({ alg: 'EdDSA', kid: key.kid }).sign(key.privateKey)
  await jwtVerify(token, await importJWK(key.publicJwk, 'EdDSA'))
  t.equal(key.privateKey.extractable, false)
  t.notOk('d' in key.publicJwk)
})

t.test('a second keyring is never made over the first', async t => {
  const home = t.testdir({})
  await createKeyring(home, master, now)
  const before = readFileSync(join(home, 'keys.json'))
  await t.rejects(createKeyring(home, master, now), { code: 'home_exists' })
  t.strictSame(readFileSync(join(home, 'keys.json')), before)
})

t.test('a wrong master key, a missing home and a damaged file are told apart, and nothing is made', async t => {
  const home = t.testdir({})
  await t.rejects(openKeyring(home, master), { code: 'home_missing', hint: /init/ })
  t.strictSame(readdirSync(home), [])
  await createKeyring(home, master, now)
  await t.rejects(openKeyring(home, createSecretKey(randomBytes(32))), { code: 'master_key_wrong' })
  const file = join(home, 'keys.json')
  const sound = readFileSync(file, 'utf8')
  for (const text of ['', '{', 'null', '[]', '{"version":1}', sound.slice(0, -20), sound.replace('"version": 1', '"version": 2')]) {
    writeFileSync(file, text)
    await t.rejects(openKeyring(home, master), { code: 'vault_damaged' }, text.slice(0, 20))
  }
})

t.test('no value in keys.json can be altered or moved to another place', async t => {
  const home = t.testdir({})
  await createKeyring(home, master, now)
  const file = join(home, 'keys.json')
  const sound = JSON.parse(readFileSync(file, 'utf8'))
  const [signing] = sound.signingKeys
  const flip = (text: string): string => `${text.slice(0, 20)}${text[20] === 'A' ? 'B' : 'A'}${text.slice(21)}`
  const altered = [
    { ...sound, databaseKey: flip(sound.databaseKey) },
    { ...sound, databaseKey: sound.tenants.default.kek },
    { ...sound, databaseKey: 'AAAA' },
    { ...sound, instanceId: 'inst_other' },
    { ...sound, masterKeyVersion: 2 },
    { ...sound, tenants: { acme: sound.tenants.default } },
    { ...sound, tenants: { default: { kek: sound.databaseKey } } },
    { ...sound, signingKeys: [{ ...signing, kid: 'other' }] },
    { ...sound, signingKeys: [{ ...signing, publicJwk: { ...signing.publicJwk, x: 'A'.repeat(43) } }] },
    { ...sound, signingKeys: [{ ...signing, sealedPrivate: sound.databaseKey }] },
    { ...sound, signingKeys: [] },
  ]
  for (const [index, value] of altered.entries()) {
    writeFileSync(file, JSON.stringify(value))
    await t.rejects(openKeyring(home, master), { code: 'vault_damaged' }, `alteration ${index}`)
  }
  writeFileSync(file, JSON.stringify(sound))
  t.ok(await openKeyring(home, master))
})
