import 'reflect-metadata'
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, webcrypto } from 'node:crypto'
import { promisify } from 'node:util'
import * as x509 from '@peculiar/x509'
import { SoakpError } from '../../errors.js'
import type { Identifier } from './wire.js'

x509.cryptoProvider.set(webcrypto)

/** The kinds of key that public CAs certify. */
export const keyTypes = ['p256', 'p384', 'rsa2048', 'rsa3072', 'rsa4096'] as const
export type KeyType = (typeof keyTypes)[number]

const generate = promisify(generateKeyPair)

/** A new private key as PKCS #8 in PEM. Bytes, so that no string of it stays in the heap. */
export async function newKey(type: KeyType): Promise<Buffer> {
  const { privateKey } = type.startsWith('rsa')
    ? await generate('rsa', { modulusLength: Number(type.slice(3)) })
    : await generate('ec', { namedCurve: type === 'p384' ? 'P-384' : 'P-256' })
  return Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' }))
}

/** A private key in PEM; throws `certificate_invalid` with `what` in front where it is none. */
export function readKey(pem: Buffer, what: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    throw new SoakpError('certificate_invalid', `${what} is not a private key in PEM.`, { cause })
  }
}

/** What kind of key it is; undefined for one that no public CA takes. */
export function keyTypeOf(key: KeyObject): KeyType | undefined {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {}
  const type =
    key.asymmetricKeyType === 'rsa'
      ? `rsa${modulusLength}`
      : namedCurve === 'prime256v1'
        ? 'p256'
        : namedCurve === 'secp384r1'
          ? 'p384'
          : ''
  return keyTypes.find(each => each === type)
}

/** Public part, as DER: the same for the same key. */
export function publicPart(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' })
}

/** A certificate signing request, base64url of DER as RFC 8555 section 7.4 wants it: no subject, the names as alternative names. */
export async function signingRequest(pem: Buffer, identifiers: readonly Identifier[]): Promise<string> {
  const key = readKey(pem, 'The key of the certificate')
  const type = keyTypeOf(key)
  if (type === undefined) throw new SoakpError('certificate_invalid', `The key is none of ${keyTypes.join(', ')}.`)
  const algorithm = type.startsWith('rsa')
    ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
    : { name: 'ECDSA', namedCurve: type === 'p384' ? 'P-384' : 'P-256', hash: type === 'p384' ? 'SHA-384' : 'SHA-256' }
  const { subtle } = webcrypto
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    signingAlgorithm: algorithm,
    keys: {
      privateKey: await subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), algorithm, false, ['sign']),
      publicKey: await subtle.importKey('spki', publicPart(key), algorithm, true, ['verify']),
    },
    extensions: [new x509.SubjectAlternativeNameExtension(identifiers.map(({ type, value }) => ({ type, value })))],
  })
  return Buffer.from(request.rawData).toString('base64url')
}
