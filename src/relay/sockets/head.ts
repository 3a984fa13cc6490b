import { SoakpError } from '../../errors.js'
import { asSocketProvider, findProvider, isSocketEndpoint, matchEndpoint } from '../../providers/index.js'
import type { Call } from '../call.js'
import type { Exchange } from '../exchange.js'
import { type Head, readHead, tokenOf } from '../head.js'

/** What an upgrade says beside its headers. */
export interface SocketHead {
  readonly head: Head
  /** Subprotocols that are no secret, in the client's order. */
  readonly protocols: readonly string[]
  /** The query without the parameters in which the token may stand. */
  readonly query: string
}

/** Subprotocols that carry a credential behind this prefix, as browsers have to send it: they cannot set headers. */
const secretPrefixes = ['openai-insecure-api-key.', 'xai-client-secret.']
/** The subprotocol after one of these is a credential (Deepgram). */
const announcing: ReadonlySet<string> = new Set(['token', 'bearer'])
/** Between a token that is bound to a key and the proof of that key, where the client cannot say it in a header of its own: neither has one. */
const proofMark = '~'
/** These choose whose account is used, which is the key's to say. */
const accountPrefixes = ['openai-organization.', 'openai-project.']

/**
 * Finds the access token of an upgrade, also where it stands in a subprotocol or, if the row says so, in the query, and takes it out of both. Throws
 * `several_tokens` and `real_key_sent` as `readHead` does.
 */
function readSocketHead(call: Call, head: Head, looksReal: (text: string) => boolean): SocketHead {
  let token: string | undefined
  let { asDpop, proof } = head
  const found = (shown: string) => {
    const [candidate = '', proven] = shown.split(proofMark, 2)
    if (candidate === '') return
    if (proven !== undefined) {
      asDpop = true
      proof = proven
    }
    if (looksReal(candidate)) throw new SoakpError('real_key_sent')
    if (token !== undefined && token !== candidate) throw new SoakpError('several_tokens')
    token = candidate
  }
  if (head.token !== undefined) found(head.token)
  const protocols = readProtocols(call.upgrade?.protocols ?? [], found)
  const query = readQuery(call.query, tokenNames(call), found)
  // a token that stands twice, in whatever words, is no less secret the second time
  if (protocols.some(name => (token !== undefined && name.includes(token)) || looksReal(name))) throw new SoakpError('real_key_sent')
  return { head: { ...head, token, asDpop, proof }, protocols, query }
}

/** The head of an upgrade; what it says beside its headers is noted in the exchange. */
export function readUpgrade(exchange: Exchange, looksReal: (text: string) => boolean): Head {
  const { call } = exchange
  const { head, protocols, query } = readSocketHead(call, readHead(call.request, looksReal), looksReal)
  exchange.protocols = protocols
  exchange.socketQuery = query
  return head
}

function readProtocols(offered: readonly string[], found: (token: string) => void): string[] {
  const rest: string[] = []
  for (let at = 0; at < offered.length; at++) {
    const name = offered[at] as string
    const prefix = secretPrefixes.find(start => name.startsWith(start))
    if (prefix !== undefined) found(name.slice(prefix.length))
    else if (!accountPrefixes.some(start => name.startsWith(start))) rest.push(name)
    if (announcing.has(name.toLowerCase()) && at + 1 < offered.length) found(offered[++at] as string)
  }
  return rest
}

function tokenNames(call: Call): ReadonlySet<string> {
  const provider = findProvider(call.provider)
  if (!provider) return new Set()
  const match = matchEndpoint(asSocketProvider(provider), 'GET', call.path)
  const own = match.kind === 'endpoint' && isSocketEndpoint(match.endpoint) ? match.endpoint.tokenQuery : []
  return new Set([...own, ...(provider.tokenQuery === undefined ? [] : [provider.tokenQuery])])
}

function readQuery(query: string, names: ReadonlySet<string>, found: (token: string) => void): string {
  if (names.size === 0 || query.length < 2) return query
  const kept = query
    .slice(1)
    .split('&')
    .filter(pair => {
      const [[name, value] = ['', '']] = new URLSearchParams(pair)
      if (!names.has(name.toLowerCase())) return true
      found(tokenOf('authorization', value))
      return false
    })
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}
