import { SoakpError } from '../errors.js'
import type { KeyVerdict } from '../soakp.js'

/** Throws `key_rejected` or `provider_unreachable` unless the provider knows the key. */
export function throwVerdict({ result }: KeyVerdict): void {
  if (result === 'refused') throw new SoakpError('key_rejected', undefined, { hint: 'put a new one in its place with `soakp key rotate`' })
  if (result === 'unknown') throw new SoakpError('provider_unreachable', 'Whether the key works is not known.')
}
