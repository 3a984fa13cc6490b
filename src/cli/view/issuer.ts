import type { IssuerRecord } from '../../stores/records.js'
import { facts, time } from '../format.js'

export function issuerView(issuer: IssuerRecord): Record<string, unknown> {
  return {
    id: issuer.id,
    name: issuer.name,
    url: issuer.url,
    appId: issuer.app,
    audiences: issuer.audiences,
    azp: issuer.parties,
    claims: issuer.claims.map(({ name, value }) => `${name}=${value}`),
    jwksUrl: issuer.jwksUrl,
    allowPrivate: issuer.allowPrivate,
    direct: issuer.direct,
    once: issuer.once,
    createdAt: time(issuer.createdAtMs),
  }
}

export function issuerText(issuer: IssuerRecord): string {
  const { audiences, parties, claims } = issuer
  return facts([
    ['id', issuer.id],
    ['name', issuer.name],
    ['url', issuer.url],
    ['app', issuer.app],
    ['audience', audiences.length === 0 ? 'none may be named' : audiences.join(', ')],
    ['azp', parties.length === 0 ? 'any' : parties.join(', ')],
    ['claims', claims.map(({ name, value }) => `${name}=${value}`).join(', ')],
    ['keys', issuer.jwksUrl ?? 'as discovery tells'],
    ['private networks', issuer.allowPrivate ? 'allowed' : 'refused'],
    ['opens', issuer.direct ? 'the relay itself, and /auth/exchange' : `/auth/exchange${issuer.once ? ', once each' : ''}`],
    ['created', time(issuer.createdAtMs)],
  ])
}
