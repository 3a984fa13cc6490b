import { join } from 'node:path'
import { SoakpError } from '../errors.js'
import { memory } from './memory.js'
import { sqlite } from './sqlite/sqlite.js'
import type { Store, StoreKind, StoreOptions } from './store.js'

/** Every store there is. */
export const stores: readonly StoreKind[] = [sqlite, memory]

/**
 * Opens what `SOAKP_DATABASE_URL` names: `SCHEME:LOCATION`, or empty for `soakp.db` in the home. Throws `settings_invalid` for a scheme that is not in
 * the list, and what the store itself raises.
 */
export async function openStore(databaseUrl: string | undefined, home: string, options: Omit<StoreOptions, 'location'>): Promise<Store> {
  const { kind, location } = locate(databaseUrl, home)
  return kind.open({ ...options, location })
}

/** Which store a URL names, without opening it. */
export function locate(databaseUrl: string | undefined, home: string): { readonly kind: StoreKind; readonly location: string } {
  if (databaseUrl === undefined || databaseUrl === '') return { kind: sqlite, location: join(home, 'soakp.db') }
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):(.*)$/s.exec(databaseUrl) ?? []
  const kind = stores.find(store => store.scheme === scheme)
  // the URL itself is not repeated: it may carry a password
  if (kind === undefined) {
    throw new SoakpError('settings_invalid', `SOAKP_DATABASE_URL names ${scheme === '' ? 'no store' : `the store "${scheme}"`}.`, {
      hint: `leave it empty, or use one of: ${stores.map(({ scheme, title }) => `${scheme}: (${title})`).join(', ')}`,
    })
  }
  const location = rest.replace(/^\/\/(?=\/)/, '')
  if (kind === sqlite && location === '')
    throw new SoakpError('settings_invalid', 'SOAKP_DATABASE_URL names no file.', { hint: 'write it as sqlite:/path/to/soakp.db' })
  return { kind, location }
}

export { createOutage, type Outage } from './outage.js'
