import type { OwnedRecord } from './records.js'
import type { Store } from './store.js'

type OwnedStore = Pick<Store, 'keepOwned' | 'findOwned' | 'listOwned' | 'forgetOwned' | 'pruneOwned'>

/** A process that keeps nothing is bounded: what was made first makes room. */
const most = 200_000

const nameOf = ({ tenant, provider, kind, id }: Pick<OwnedRecord, 'tenant' | 'provider' | 'kind' | 'id'>) =>
  `${tenant} ${provider} ${kind} ${id}`

export function memoryOwned(keyIsThere: (id: string) => boolean): OwnedStore {
  const owned = new Map<string, OwnedRecord[]>()

  function drop(record: OwnedRecord): void {
    const name = nameOf(record)
    const rest = owned.get(name)?.filter(other => other.keyId !== record.keyId) ?? []
    if (rest.length === 0) owned.delete(name)
    else owned.set(name, rest)
  }

  return {
    keepOwned: records => {
      for (const record of records) {
        const known = owned.get(nameOf(record)) ?? []
        if (known.some(other => other.keyId === record.keyId)) continue
        owned.set(nameOf(record), [...known, { ...record }])
        const [oldest] = owned.keys()
        if (owned.size > most && oldest !== undefined) owned.delete(oldest)
      }
    },
    findOwned: name => owned.get(nameOf(name)) ?? [],
    listOwned: ({ limit, ...filter }) => {
      const matches = (record: OwnedRecord) =>
        Object.entries(filter).every(([name, value]) => value === undefined || record[name as keyof OwnedRecord] === value)
      const found = [...owned.values()].flat().filter(matches).reverse()
      return found.sort((a, b) => b.createdAtMs - a.createdAtMs).slice(0, limit ?? found.length)
    },
    forgetOwned: name => {
      const known = owned.get(nameOf(name))?.find(record => record.keyId === name.keyId)
      if (known) drop(known)
      return known !== undefined
    },
    pruneOwned: (now, atMost) => {
      const all = [...owned.values()].flat()
      const over = all.filter(record => record.endsAtMs !== null && record.endsAtMs <= now).slice(0, atMost)
      const keyless = all.filter(record => !over.includes(record) && !keyIsThere(record.keyId)).slice(0, atMost)
      for (const record of [...over, ...keyless]) drop(record)
      return over.length + keyless.length
    },
  }
}
