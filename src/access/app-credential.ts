import { createHash, timingSafeEqual } from 'node:crypto'
import { newId, randomBase62 } from '../lib/id.js'
import type { AppCredentialRecord, AppRecord } from '../stores/records.js'

/** 43 characters of base62: 256 random bits. */
const secretLength = 43
const shape = /^(app_[0-9A-Za-z]{22})_([0-9A-Za-z]{43})$/
const idShape = /^app_[0-9A-Za-z]{22}$/

/** What an app's backend showed, taken apart; nothing about it is believed yet. */
export interface ShownCredential {
  readonly id: string
  readonly secret: string
}

/** `app_…_…`: the app's id and 256 random bits. The text is shown once; what is kept is the SHA-256 of the bits. */
export function newCredential(now: number, id = newId('app')): { id: string; text: string; record: AppCredentialRecord } {
  const secret = randomBase62(secretLength)
  return { id, text: `${id}_${secret}`, record: { hash: hashOf(secret).toString('hex'), createdAtMs: now, endsAtMs: null } }
}

/** Undefined: that is no app credential. */
export function readCredential(text: string): ShownCredential | undefined {
  const [, id, secret] = shape.exec(text) ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret }
}

/** HTTP Basic: the id as user name; as password the whole credential, or what follows the id in it. */
export function readBasic(user: string, password: string): ShownCredential | undefined {
  if (!idShape.test(user)) return undefined
  return readCredential(password.startsWith('app_') ? password : `${user}_${password}`)
}

/** Whether it is one of the app's, in a time that does not depend on how much of it is right. */
export function opensApp({ id, secret }: ShownCredential, app: AppRecord, now: number): boolean {
  const hash = hashOf(secret)
  let good = false
  for (const credential of app.credentials) {
    const same = timingSafeEqual(hash, Buffer.from(credential.hash, 'hex'))
    if (same && (credential.endsAtMs === null || credential.endsAtMs > now)) good = true
  }
  return good && id === app.id
}

/** The credential has 256 bits that nobody chose: a fast hash is enough. */
function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
