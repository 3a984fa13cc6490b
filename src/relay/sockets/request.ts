import { SoakpError } from '../../errors.js'
import type { DialRequest } from '../../lib/outbound-socket.js'
import type { Secret } from '../../lib/secret.js'
import type { StandIn } from '../../lib/stand-in.js'
import { isSocketEndpoint } from '../../providers/index.js'
import type { KeyRecord } from '../../stores/records.js'
import { routeOf } from '../authorize.js'
import type { Exchange } from '../exchange.js'
import { addCredential, dropHeader, requestHeaders } from '../headers.js'
import { accountHeaders, queryOf } from '../outgoing.js'
import { credentialOf, targetOf } from '../target.js'

export interface Dial {
  readonly origin: string
  readonly request: DialRequest
  readonly credential: StandIn
}

/** The upgrade as it leaves, the key's stand-in in it. Wipes the secret. */
export function dialRequest(
  exchange: Exchange,
  key: KeyRecord,
  secret: Secret,
  limits: Pick<DialRequest, 'maxMessageBytes' | 'headTimeoutMs'>,
): Dial {
  const route = routeOf(key)
  const { call, head } = exchange
  if (!head) throw new SoakpError('internal', 'a socket before readHead')
  const headers = requestHeaders(route.provider, head, call.request.rawHeaders)
  for (const header of accountHeaders(route.provider, key)) headers.push(header)
  const { auth } = route
  if (auth.type === 'header' && auth !== route.provider.auth) dropHeader(headers, auth.name)
  const target = targetOf(route, call.path)
  const credential = credentialOf(secret, auth)
  secret.wipe()
  addCredential(headers, auth, credential.text)
  return {
    origin: target.origin,
    credential,
    request: {
      ...limits,
      path: target.path + queryOf(withoutToken(exchange.socketQuery, head.token), auth, credential.text),
      headers,
      // a row's subprotocols only say what the row says anyway; of what nobody described, the provider has to choose
      protocols: isSocketEndpoint(exchange.endpoint) ? [] : exchange.protocols,
    },
  }
}

/** A parameter whose value is the access token is none that the provider should see, whatever it is called. */
function withoutToken(query: string, token: string | undefined): string {
  if (token === undefined || query.length < 2) return query
  const kept = query
    .slice(1)
    .split('&')
    .filter(pair => ![...new URLSearchParams(pair).values()].some(value => value.includes(token)))
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}
