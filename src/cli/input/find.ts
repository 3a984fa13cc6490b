import type { Apps } from '../../access/apps.js'
import type { Issuers } from '../../access/issuers.js'
import { SoakpError } from '../../errors.js'
import type { AliasRecord, AppRecord, IssuerRecord, KeyRecord } from '../../stores/records.js'
import type { Store } from '../../stores/store.js'
import { shown } from '../argv.js'

/** Throws `key_not_found`. */
export async function findKey(store: Pick<Store, 'getKey'>, id: string): Promise<KeyRecord> {
  return (await store.getKey(id)) ?? missingKey(id)
}

export function missingKey(id: string): never {
  throw new SoakpError('key_not_found', `There is none with the id ${shown(id)}.`, { hint: '`soakp key list` shows what there is' })
}

/** Throws `alias_not_found`. */
export async function findAlias(store: Pick<Store, 'listAliases'>, name: string): Promise<AliasRecord> {
  const found = (await store.listAliases('default')).find(alias => alias.name === name)
  if (found) return found
  throw new SoakpError('alias_not_found', `There is none named ${shown(name)}.`, { hint: '`soakp alias list` shows what there is' })
}

/** By id, or by name where only one live app has it. Throws `app_not_found`, `usage`. */
export async function findApp(apps: Pick<Apps, 'list'>, name: string): Promise<AppRecord> {
  const all = await apps.list()
  const found = all.find(app => app.id === name)
  if (found) return found
  const named = all.filter(app => app.name === name)
  const live = named.filter(app => app.revokedAtMs === null)
  const [one, other] = live.length > 0 ? live : named
  if (!one) throw new SoakpError('app_not_found', `There is none called ${shown(name)}.`, { hint: '`soakp app list` shows what there is' })
  if (other) throw new SoakpError('usage', `Several apps are called ${shown(name)}.`, { hint: 'say which by its id: `soakp app list`' })
  return one
}

/** By id, or by name, which only one has. Throws `issuer_not_found`. */
export async function findIssuer(issuers: Pick<Issuers, 'list'>, name: string): Promise<IssuerRecord> {
  const found = (await issuers.list()).find(issuer => issuer.id === name || issuer.name === name)
  if (found) return found
  throw new SoakpError('issuer_not_found', `There is none called ${shown(name)}.`, { hint: '`soakp issuer list` shows what there is' })
}
