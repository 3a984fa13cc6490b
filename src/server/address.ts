import { isIP } from 'node:net'
import { normalizeAddress } from '../lib/ip.js'
import type { Request } from '../relay/call.js'

/** Stands for the address of a connection that was gone before it could be asked. */
const unknownAddress = '0.0.0.0'

/** `1.2.3.4`, `1.2.3.4:5678`, `2001:db8::1`, `[2001:db8::1]:5678` as a normalised address; undefined: none of these. */
function readAddress(text: string): string | undefined {
  const bare = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(text)?.[1] ?? text
  return isIP(bare) === 0 ? undefined : normalizeAddress(bare)
}

/**
 * Who is asking, when `peer` is who connected: the right-most address of `X-Forwarded-For` that is not one of our proxies, since each proxy adds on the right what it saw
 * itself and everything to the left of that was claimed by the client. What cannot be read ends the search.
 */
export function clientAddress(peer: string, forwardedFor: string | undefined, isTrusted: (address: string) => boolean): string {
  if (forwardedFor === undefined || !isTrusted(peer)) return peer
  let address = peer
  const hops = forwardedFor.split(',')
  for (let index = hops.length - 1; index >= 0; index--) {
    const hop = readAddress((hops[index] as string).trim())
    if (hop === undefined) return address
    address = hop
    if (!isTrusted(hop)) return address
  }
  return address
}

const peerMark = Symbol('peer')
interface Marked {
  [peerMark]?: string
}

/** The address a request's connection comes from. Remembered on the connection: asking the socket for it costs more than the whole dispatch. */
function peerAddress(request: Request): string {
  const connection: Marked | undefined = 'stream' in request ? (request.stream.session as Marked | undefined) : (request.socket as Marked)
  const known = connection?.[peerMark]
  if (known !== undefined) return known
  const remote = ('stream' in request ? request.stream.session?.socket : request.socket)?.remoteAddress
  if (remote === undefined || connection === undefined) return unknownAddress
  const address = normalizeAddress(remote)
  connection[peerMark] = address
  return address
}

/** Reads the client's address off a request. With `isTrusted` undefined, `X-Forwarded-For` is not looked at. */
export function addressReader(isTrusted: ((address: string) => boolean) | undefined): (request: Request) => string {
  if (isTrusted === undefined) return peerAddress
  return request => {
    const forwarded = request.headers['x-forwarded-for']
    return clientAddress(peerAddress(request), Array.isArray(forwarded) ? forwarded.join(',') : forwarded, isTrusted)
  }
}
