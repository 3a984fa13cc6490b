import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'

/** A certificate chain and its key, as PEM. */
export interface Pair {
  readonly cert: Buffer
  readonly key: Buffer
}

/** What is served: every pair was verified. */
export interface Pairs {
  /** At least one; the first is for clients that name no host, or one that none is for. */
  readonly all: readonly Pair[]
  pairFor(name: string): Pair | undefined
}

/** TLS 1.3, and of TLS 1.2 what has forward secrecy and authenticated encryption (Mozilla's "intermediate", without DHE). */
export const tlsOptions: SecureContextOptions & { honorCipherOrder: boolean } = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  // all of them are good: let the client take what its processor does fastest
  honorCipherOrder: false,
}

/** The certificates of one server, by the name a client asks for (SNI, RFC 6066). */
export interface Contexts {
  /** Looks again at what is served. */
  refresh(): void
  /** Undefined: the server's own, which is the first pair's. */
  find(name: string): SecureContext | undefined
}

export function createContexts(pairs: Pairs): Contexts {
  let known: ReadonlyMap<Pair, SecureContext> = new Map()
  return {
    refresh() {
      // with one alone there is nothing to choose
      const several = pairs.all.length > 1 ? pairs.all : []
      known = new Map(several.map(pair => [pair, createSecureContext({ ...tlsOptions, cert: pair.cert, key: pair.key })]))
    },
    find(name) {
      const pair = known.size === 0 ? undefined : pairs.pairFor(name)
      return pair && known.get(pair)
    },
  }
}
