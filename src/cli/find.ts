import { SoakpError } from '../errors.js'
import type { AliasRecord, KeyRecord } from '../stores/records.js'
import type { Store } from '../stores/store.js'
import { shown } from './argv.js'

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
