import { webcrypto } from 'node:crypto'
import type { SigningKey } from './access-token.js'

interface StoredSigningKey {
  readonly kid: string
  readonly publicJwk: Readonly<Record<string, string>>
  readonly privateKey: webcrypto.CryptoKey
}

/** Makes a key of the keyring ready to sign and verify. */
export async function importSigningKey({ kid, publicJwk, privateKey }: StoredSigningKey): Promise<SigningKey> {
  const { kty, crv, x } = publicJwk
  const publicKey = await webcrypto.subtle.importKey('jwk', { kty, crv, x } as webcrypto.JsonWebKey, { name: 'Ed25519' }, true, ['verify'])
  return { kid, publicJwk, publicKey, privateKey }
}
