import type { Secret } from '../lib/secret.js'
import { type StandIn, standIn } from '../lib/stand-in.js'
import type { AuthScheme, Host } from '../providers/provider.js'
import type { Route } from './authorize.js'

/** Where one call goes. */
export interface Target {
  readonly origin: string
  /** The path there, without the query. */
  readonly path: string
}

/** The host that the path names, of those in the provider's row; under a key's base URL always that one. `path` is as the client sent it, behind the provider's name. */
export function targetOf({ provider, origin, prefix, hasBaseUrl }: Route, path: string): Target {
  const host = provider.hosts === undefined ? undefined : hostFor(provider.hosts, path)
  if (!host) return { origin, path: prefix + path }
  const there = host.strips ? path.slice(host.prefix.length) || '/' : path
  return hasBaseUrl ? { origin, path: prefix + there } : { origin: host.origin, path: there }
}

function hostFor(hosts: readonly Host[], path: string): Host | undefined {
  return hosts.find(({ prefix }) => path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === slash))
}

const slash = 47

/** What stands for the key in the head, written as the scheme wants it. The secret is the caller's to wipe. */
export function credentialOf(secret: Secret, auth: AuthScheme): StandIn {
  if (auth.type === 'none') return nothing
  return standIn(secret, auth.type === 'query' || auth.type === 'basic' ? auth.type : 'header')
}

const nothing: StandIn = { text: '', withdraw() {} }
