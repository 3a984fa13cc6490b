import { SoakpError } from '../errors.js'

export interface SigningKeyRow {
  readonly kid: string
  readonly publicJwk: Readonly<Record<string, string>>
  /** PKCS #8, wrapped. */
  readonly sealedPrivate: string
  readonly createdAtMs: number
}

/** `keys.json`. Every secret in it is wrapped under a key made from the master key, bound to its purpose and owner. */
export interface KeyringFile {
  readonly version: 1
  readonly instanceId: string
  readonly masterKeyVersion: number
  readonly masterKeyFingerprint: string
  readonly databaseKey: string
  readonly tenants: Readonly<Record<string, { readonly kek: string }>>
  readonly signingKeys: readonly SigningKeyRow[]
}

/** Throws `vault_damaged` unless the text is a whole and well-formed `keys.json` of this version. */
export function parseKeyringFile(text: string, file: string): KeyringFile {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw damaged(file, 'it is not JSON', cause)
  }
  if (!isObject(value)) throw damaged(file, 'it is not a JSON object')
  if (typeof value.version === 'number' && value.version > 1) {
    throw new SoakpError('vault_damaged', `${file} has version ${value.version}; this program knows version 1.`, {
      hint: 'use the newer soakp that wrote it',
    })
  }
  if (!isKeyringFile(value)) throw damaged(file, 'something in it is missing or of the wrong kind')
  return value
}

function isKeyringFile(value: object): value is KeyringFile {
  const file = value as Partial<Record<keyof KeyringFile, unknown>>
  return (
    file.version === 1 &&
    isText(file.instanceId) &&
    Number.isSafeInteger(file.masterKeyVersion) &&
    isText(file.masterKeyFingerprint) &&
    isText(file.databaseKey) &&
    isObject(file.tenants) &&
    Object.values(file.tenants).every(tenant => isObject(tenant) && isText(tenant.kek)) &&
    Array.isArray(file.signingKeys) &&
    file.signingKeys.length > 0 &&
    file.signingKeys.every(isSigningKeyRow)
  )
}

function isSigningKeyRow(row: unknown): boolean {
  return isObject(row) && isText(row.kid) && isObject(row.publicJwk) && isText(row.sealedPrivate) && Number.isSafeInteger(row.createdAtMs)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function damaged(file: string, what: string, cause?: unknown): SoakpError {
  return new SoakpError('vault_damaged', `${file}: ${what}.`, { cause, hint: 'restore a backup with soakp restore FILE' })
}
