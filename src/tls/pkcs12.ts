import { createCipheriv, createHash, createHmac, createPrivateKey, pbkdf2Sync, randomBytes, X509Certificate } from 'node:crypto'
import type { Secret } from '../lib/secret.js'
import { bmpString, integer, nothing, octets, oid, sequence, set, tagged, taggedOctets } from './der.js'

/** RFC 7292, RFC 8018, RFC 2985. */
const id = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  keyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  x509: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  hmacSha256: '1.2.840.113549.2.9',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const

/** Of both derivations; OpenSSL's own is 2048. */
const rounds = 100_000

/**
 * A PKCS #12 file: certificate, chain and key under a password, with AES-256 and HMAC-SHA-256 as OpenSSL 3, Java 8u301, Windows 10 and later write and read it. PEM comes in;
 * `certificates` leaf first.
 */
export function pkcs12(name: string, certificates: readonly string[], keyPem: Buffer, password: Secret): Buffer {
  const ders = certificates.map(pem => new X509Certificate(pem).raw)
  const localKeyId = createHash('sha1')
    .update(ders[0] ?? '')
    .digest()
  const attributes = set(sequence(oid(id.friendlyName), set(bmpString(name))), sequence(oid(id.localKeyId), set(octets(localKeyId))))
  const certBags = ders.map((der, at) => {
    const bag = tagged(0, sequence(oid(id.x509), tagged(0, octets(der))))
    return sequence(oid(id.certBag), bag, ...(at === 0 ? [attributes] : []))
  })
  const key = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' })
  try {
    const sealedKey = sealed(key, password)
    const keyBag = sequence(oid(id.keyBag), tagged(0, sequence(sealedKey.algorithm, octets(sealedKey.bytes))), attributes)
    const sealedCerts = sealed(sequence(...certBags), password)
    const encrypted = sequence(integer(0), sequence(oid(id.data), sealedCerts.algorithm, taggedOctets(0, sealedCerts.bytes)))
    const contents = sequence(
      sequence(oid(id.encryptedData), tagged(0, encrypted)),
      sequence(oid(id.data), tagged(0, octets(sequence(keyBag)))),
    )
    return sequence(integer(3), sequence(oid(id.data), tagged(0, octets(contents))), mac(contents, password))
  } finally {
    key.fill(0)
  }
}

function sealed(plaintext: Uint8Array, password: Secret): { readonly algorithm: Buffer; readonly bytes: Buffer } {
  const [salt, iv] = [randomBytes(16), randomBytes(16)]
  const key = pbkdf2Sync(password.bytes(), salt, rounds, 32, 'sha256')
  const cipher = createCipheriv('aes-256-cbc', key, iv)
  const bytes = Buffer.concat([cipher.update(plaintext), cipher.final()])
  key.fill(0)
  const derivation = sequence(oid(id.pbkdf2), sequence(octets(salt), integer(rounds), sequence(oid(id.hmacSha256), nothing())))
  return { algorithm: sequence(oid(id.pbes2), sequence(derivation, sequence(oid(id.aes256Cbc), octets(iv)))), bytes }
}

function mac(contents: Uint8Array, password: Secret): Buffer {
  const salt = randomBytes(16)
  const key = macKey(password, salt)
  const digest = createHmac('sha256', key).update(contents).digest()
  key.fill(0)
  return sequence(sequence(sequence(oid(id.sha256), nothing()), octets(digest)), octets(salt), integer(rounds))
}

/** RFC 7292 appendix B.2, with SHA-256 and purpose 3: one block is as long as the key. */
function macKey(password: Secret, salt: Buffer): Buffer {
  const block = 64
  const wide = Buffer.from(`${password.expose()}\0`, 'utf16le').swap16()
  const filled = (bytes: Buffer) => Buffer.alloc(Math.ceil(bytes.length / block) * block, bytes)
  const input = Buffer.concat([Buffer.alloc(block, 3), filled(salt), filled(wide)])
  let digest = createHash('sha256').update(input).digest()
  for (let round = 1; round < rounds; round++) digest = createHash('sha256').update(digest).digest()
  wide.fill(0)
  input.fill(0)
  return digest
}
