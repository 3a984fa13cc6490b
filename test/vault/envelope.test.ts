import { createSecretKey, randomBytes } from 'node:crypto'
import { CompactEncrypt, decodeProtectedHeader } from 'jose'
import t from 'tap'
import { importSealingKey, seal, unseal } from '../../src/vault/envelope.js'
import { aKey } from '../contracts/store.js'

const kek = createSecretKey(randomBytes(32))
const plaintext = Buffer.from('sk-canary')

t.test('a sealed key is a compact JWE that names its owner and destination, and nothing of its value', async t => {
  const record = aKey({ user: 'u-1', baseUrl: 'https://a.example', auth: 'header:x-key' })
  const sealed = await seal(await importSealingKey(kek), plaintext, record)
  t.match(sealed, /^[\w-]+\.\.[\w-]{16}\.[\w-]+\.[\w-]{22}$/)
  t.strictSame(decodeProtectedHeader(sealed), {
    alg: 'dir',
    enc: 'A256GCM',
    typ: 'soakp-key',
    kid: record.id,
    keyVersion: 1,
    masterKeyVersion: 1,
    tenant: 'default',
    user: 'u-1',
    provider: 'openai',
    baseUrl: 'https://a.example',
    allowPrivate: false,
    auth: 'header:x-key',
    dialect: null,
    organization: null,
    project: null,
  })
  t.strictSame(Buffer.from(await unseal(await importSealingKey(kek), sealed, record)), plaintext)
})

t.test('sealing the same key twice gives two different texts', async t => {
  const key = await importSealingKey(kek)
  const record = aKey()
  t.not(await seal(key, plaintext, record), await seal(key, plaintext, record))
})

t.test('another algorithm, a compressed body, or one member more or less is refused, even under the right key', async t => {
  const key = await importSealingKey(kek)
  const record = aKey()
  const header = decodeProtectedHeader(await seal(key, plaintext, record))
  const { typ, ...less } = header
  const raw = kek.export()
  const forged = [
    { ...header, zip: 'DEF' },
    { ...header, alg: 'A256GCMKW' },
    { ...header, alg: 'A256KW', enc: 'A128CBC-HS256' },
    { ...header, extra: 1 },
    { ...less, typ: `${typ}x` },
    less,
  ]
  for (const each of forged) {
    const sealed = await new CompactEncrypt(plaintext).setProtectedHeader(each as { alg: string; enc: string }).encrypt(raw)
    await t.rejects(unseal(key, sealed, record), { code: 'key_unreadable' }, JSON.stringify(each))
  }
})

t.test('a flipped bit anywhere, or the key of another tenant, does not open it', async t => {
  const key = await importSealingKey(kek)
  const record = aKey()
  const sealed = await seal(key, plaintext, record)
  for (let at = 0; at < sealed.length; at += 7) {
    if (sealed[at] === '.') continue
    const altered = `${sealed.slice(0, at)}${sealed[at] === 'A' ? 'B' : 'A'}${sealed.slice(at + 1)}`
    await t.rejects(unseal(key, altered, record), { code: 'key_unreadable' }, `at ${at}`)
  }
  await t.rejects(unseal(await importSealingKey(createSecretKey(randomBytes(32))), sealed, record), { code: 'key_unreadable' })
})
