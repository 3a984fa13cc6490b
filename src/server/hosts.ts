import { isIP } from 'node:net'
import { BoundedMap } from '../lib/bounded-map.js'
import { isLoopbackAddress, normalizeAddress } from '../lib/ip.js'

export interface HostCheckOptions {
  readonly publicUrl: string | undefined
  /** Whether the certificate in use is valid for this name or address. */
  readonly covers: (name: string) => boolean
  /** We listen on every address of the machine, so a request may name the one it came in by. */
  readonly everyAddress: boolean
}

export interface HostCheck {
  /** Whether a request for this `Host` (or `:authority`) is meant for us; which address of ours it came in by is looked at only when the answer depends on it. */
  isOurs(host: string | undefined, request: { readonly socket: { readonly localAddress?: string | undefined } }): boolean
  /** The certificate changed. */
  forget(): void
}

type Verdict = 'ours' | 'foreign' | 'if-local'

/** Name or address in a `Host` header, without port, brackets and closing dot, in lower case; undefined: it is not one. */
export function hostName(host: string): string | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]{1,253}?)\.?)(?::\d{0,5})?$/.exec(host)
  return (match?.[1] ?? match?.[2])?.toLowerCase()
}

/** `localhost`, a name below it (RFC 6761), or a loopback address. */
export function isLoopbackName(name: string): boolean {
  if (isIP(name) !== 0) return isLoopbackAddress(name)
  return name === 'localhost' || name.endsWith('.localhost')
}

/**
 * Tells requests meant for this server from those that a foreign name was pointed at us for: a web page whose own name resolves to 127.0.0.1 could otherwise talk to
 * the daemon as if it were its origin (DNS rebinding).
 */
export function createHostCheck({ publicUrl, covers, everyAddress }: HostCheckOptions): HostCheck {
  const publicName = publicUrl === undefined ? undefined : hostName(new URL(publicUrl).host)
  const verdicts = new BoundedMap<string, Verdict>(512)

  function judge(host: string): Verdict {
    const name = hostName(host)
    if (name === undefined) return 'foreign'
    if (name === publicName || isLoopbackName(name) || covers(name)) return 'ours'
    return everyAddress && isIP(name) !== 0 ? 'if-local' : 'foreign'
  }

  return {
    isOurs(host, request) {
      if (host === undefined || host.length > 300) return false
      let verdict = verdicts.get(host)
      if (verdict === undefined) {
        verdict = judge(host)
        verdicts.set(host, verdict)
      }
      if (verdict !== 'if-local') return verdict === 'ours'
      const local = request.socket.localAddress
      return local !== undefined && normalizeAddress(local) === normalizeAddress(hostName(host) as string)
    },
    forget: () => verdicts.clear(),
  }
}
