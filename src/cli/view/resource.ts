import type { Soakp } from '../../soakp.js'
import type { OwnedRecord } from '../../stores/records.js'
import { time } from '../format.js'

/** As `soakp resource import` reads it again. */
export function resourceView(record: OwnedRecord, names: ReadonlyMap<string, string>): Record<string, unknown> {
  const { provider, kind, id, grantId, keyId, createdAtMs, endsAtMs } = record
  return {
    provider,
    kind,
    id,
    owner: grantId,
    user: names.get(grantId) ?? null,
    key: keyId,
    createdAt: time(createdAtMs),
    endsAt: time(endsAtMs),
  }
}

/** What owners are called: `APP/USER`, or the grant's own name. Those that are gone have none. */
export async function namesOf({ store }: Pick<Soakp, 'store'>, records: readonly OwnedRecord[]): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>()
  for (const id of new Set(records.map(({ grantId }) => grantId))) {
    const user = (await store.getAppUser(id))?.user
    const name = user ? `${user.app}/${user.user}` : (await store.getGrant(id))?.grant.name
    if (name) names.set(id, name)
  }
  return names
}
