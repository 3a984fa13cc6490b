import { Secret } from '../../../lib/secret.js'
import { redact } from '../api/redact.js'
import type { DnsContext } from '../provider.js'

/** What opens an API for a while. */
export interface Expiring {
  readonly expiresAtMs: number
}

export interface AccessToken extends Expiring {
  readonly token: string
}

/** Asks anew when the last one is about to run out; askers that come together share one request. A failed request is not remembered. */
export function renewed<T extends Expiring>(now: () => number, request: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | undefined
  let known: T | undefined
  return async () => {
    if (known !== undefined && known.expiresAtMs - now() > 60_000) return known
    current ??= request().finally(() => {
      current = undefined
    })
    known = await current
    return known
  }
}

/** A context that hides these as well: secrets that stood in no setting but in a file, or came from elsewhere. */
export function hiding(context: DnsContext, values: readonly string[]): DnsContext {
  const secrets = values.map(value => new Secret(value))
  return { ...context, redact: text => redact(context.redact(text), secrets) }
}
