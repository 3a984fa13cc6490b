import { restsFrom } from '../../relay/keys/rests.js'
import type { KeyRecord, RestRecord } from '../../stores/records.js'
import { facts, minute, time } from '../format.js'

/** What may be shown of a key: the list is closed, the sealed secret is not on it. `rests`: of all keys, where they were asked for. */
export function keyView(key: KeyRecord, rests?: readonly RestRecord[]): Record<string, unknown> {
  return {
    id: key.id,
    provider: key.provider,
    name: key.name,
    tenant: key.tenant,
    user: key.user,
    state: key.state,
    weight: key.weight,
    baseUrl: key.baseUrl,
    allowPrivate: key.allowPrivate,
    auth: key.auth,
    dialect: key.dialect,
    organization: key.organization,
    project: key.project,
    version: key.version,
    createdAt: time(key.createdAtMs),
    rotatedAt: time(key.rotatedAtMs),
    rejectedAt: time(key.rejectedAtMs),
    spentAt: time(key.spentAtMs),
    wokenAt: time(key.wokenAtMs),
    ...(rests && { rests: restsOf(key, rests).map(restView) }),
  }
}

function restView({ model, sinceMs, untilMs, status }: RestRecord): Record<string, unknown> {
  return { model: model === '' ? null : model, since: time(sinceMs), until: time(untilMs), status: status === 0 ? null : status }
}

function restsOf(key: KeyRecord, rests: readonly RestRecord[]): RestRecord[] {
  return rests.filter(rest => rest.keyId === key.id && rest.sinceMs > restsFrom(key))
}

export function keyText(key: KeyRecord, rests: readonly RestRecord[] = []): string {
  return facts([
    ['id', key.id],
    ['provider', key.provider],
    ['name', key.name],
    ['tenant', key.tenant],
    ['user', key.user],
    ['state', keyState(key)],
    ...restsOf(key, rests).map(rest => ['rests', restText(rest)] as const),
    ['weight', key.weight === 0 ? '0 (only when no other key can)' : key.weight],
    ['base URL', key.baseUrl === null ? null : `${key.baseUrl}${key.allowPrivate ? ' (private networks allowed)' : ''}`],
    ['auth', key.auth],
    ['dialect', key.dialect],
    ['organization', key.organization],
    ['project', key.project],
    ['version', key.version],
    ['created', time(key.createdAtMs)],
    ['rotated', time(key.rotatedAtMs)],
  ])
}

/** With the reason why calls pass the key over, if they do. */
export function keyState(key: KeyRecord, rests: readonly RestRecord[] = []): string {
  if (key.rejectedAtMs !== null) return `${key.state}, refused by the provider on ${minute(key.rejectedAtMs)}`
  if (key.spentAtMs !== null) return `${key.state}, quota spent on ${minute(key.spentAtMs)}`
  const own = restsOf(key, rests)
  if (own.length > 1) return `${key.state}, rests for ${own.length} models`
  return own[0] === undefined ? key.state : `${key.state}, rests ${restText(own[0])}`
}

function restText({ model, untilMs, status }: RestRecord): string {
  const why = status === 0 ? 'not reached' : String(status)
  return `until ${time(untilMs).slice(0, 19).replace('T', ' ')} (${model === '' ? why : `${model}, ${why}`})`
}
