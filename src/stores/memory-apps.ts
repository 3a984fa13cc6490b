import { SoakpError } from '../errors.js'
import type { AppRecord, AppUserRecord, IssuerRecord, TokenRecord } from './records.js'
import type { Store } from './store.js'

type AppPart = Pick<
  Store,
  | 'insertApp'
  | 'getApp'
  | 'listApps'
  | 'updateApp'
  | 'keepAppUser'
  | 'getAppUser'
  | 'listAppUsers'
  | 'updateAppUser'
  | 'endAppUserTokens'
  | 'endAppUserToken'
  | 'spend'
  | 'pruneApps'
  | 'insertIssuer'
  | 'listIssuers'
  | 'removeIssuer'
>

/** Apps, their users and issuers in this process. `changed` raises the policy generation. */
export function memoryApps(changed: () => void): AppPart {
  const apps = new Map<string, AppRecord>()
  const users = new Map<string, AppUserRecord>()
  const ended = new Map<string, { readonly token: TokenRecord; readonly keepUntilMs: number }>()
  const spent = new Map<string, number>()
  const issuers = new Map<string, IssuerRecord>()

  /** True where there is one; then it is replaced and the generation raised. */
  function replace<T>(map: Map<string, T>, id: string, change: (record: T) => T): boolean {
    const record = map.get(id)
    if (record === undefined) return false
    map.set(id, structuredClone(change(record)))
    changed()
    return true
  }

  function insert<T extends { readonly id: string }>(map: Map<string, T>, record: T): void {
    if (map.has(record.id)) throw new SoakpError('internal', `There is a record ${record.id} already.`)
    map.set(record.id, structuredClone(record))
    changed()
  }

  const usersOf = (app: string): AppUserRecord[] => [...users.values()].filter(user => user.app === app)

  function prune(now: number): void {
    for (const [id, user] of users) if (user.expiresAtMs <= now && user.revokedAtMs === null) users.delete(id)
    for (const [jti, { keepUntilMs }] of ended) if (keepUntilMs <= now) ended.delete(jti)
    for (const [id, keepUntilMs] of spent) if (keepUntilMs <= now) spent.delete(id)
  }

  return {
    insertApp: app => insert(apps, app),
    getApp: id => apps.get(id),
    listApps: () => [...apps.values()],
    updateApp: (id, patch) => replace(apps, id, app => ({ ...app, ...patch, id })),

    keepAppUser: (user, most, now) => {
      const known = users.get(user.id)
      if (known === undefined) {
        if (!apps.has(user.app)) return false
        if (usersOf(user.app).length >= most) prune(now)
        if (usersOf(user.app).length >= most) return false
      }
      users.set(user.id, known ? { ...known, expiresAtMs: Math.max(known.expiresAtMs, user.expiresAtMs) } : { ...user })
      return true
    },
    getAppUser: id => {
      const user = users.get(id)
      return user && { user, ended: [...ended.values()].flatMap(({ token }) => (token.grantId === id ? [token] : [])) }
    },
    listAppUsers: usersOf,
    updateAppUser: (id, patch) => replace(users, id, user => ({ ...user, ...patch })),
    endAppUserTokens: (id, now) => replace(users, id, user => ({ ...user, epoch: Math.max(user.epoch + 1, now) })),
    endAppUserToken: (token, keepUntilMs) => {
      if (!users.has(token.grantId)) return false
      if (!ended.has(token.jti)) ended.set(token.jti, { token: { ...token }, keepUntilMs })
      changed()
      return true
    },
    spend: (id, keepUntilMs) => {
      if (spent.has(id)) return false
      spent.set(id, keepUntilMs)
      return true
    },
    pruneApps: prune,

    insertIssuer: issuer => insert(issuers, issuer),
    listIssuers: () => [...issuers.values()],
    removeIssuer: id => {
      const removed = issuers.delete(id)
      if (removed) changed()
      return removed
    },
  }
}
