import { SoakpError } from '../errors.js'
import { memoryApps } from './memory-apps.js'
import { memoryBatches } from './memory-batches.js'
import { memoryLedger } from './memory-ledger.js'
import { memoryLimits, memorySlices } from './memory-limits.js'
import { memoryOwned } from './memory-owned.js'
import type { AliasRecord, GrantRecord, KeyRecord, PriceRecord, RestRecord, TokenRecord } from './records.js'
import type { Store, StoreKind } from './store.js'

/** Everything in this process, gone with it: for trying out and for tests. */
export const memory: StoreKind = {
  scheme: 'memory',
  title: 'memory of this process; nothing is kept',
  open: () => openMemory(),
}

function openMemory(): Store {
  const keys = new Map<string, KeyRecord>()
  const grants = new Map<string, { grant: GrantRecord; tokens: TokenRecord[] }>()
  const rests = new Map<string, RestRecord>()
  const aliases = new Map<string, AliasRecord>()
  const prices = new Map<string, PriceRecord>()
  let generation = 1
  const slices = memorySlices()
  const ledger = memoryLedger(slices)

  return {
    policyGeneration: () => generation,

    insertKey: key => {
      if (keys.has(key.id)) throw new SoakpError('internal', `There is a key ${key.id} already.`)
      keys.set(key.id, structuredClone(key))
      generation++
    },
    getKey: id => keys.get(id),
    listKeys: (filter = {}) =>
      [...keys.values()].filter(key => key.tenant === (filter.tenant ?? key.tenant) && key.provider === (filter.provider ?? key.provider)),
    updateKey: (id, patch, ifVersion) => {
      const key = keys.get(id)
      if (key === undefined || (ifVersion !== undefined && key.version !== ifVersion)) return false
      keys.set(id, { ...key, ...patch })
      generation++
      return true
    },
    removeKey: id => {
      const removed = keys.delete(id)
      if (removed) generation++
      return removed
    },

    putRests: (added, now) => {
      for (const rest of added) rests.set(`${rest.keyId} ${rest.model}`, { ...rest })
      for (const [name, rest] of rests) if (rest.untilMs <= now) rests.delete(name)
    },
    listRests: now => [...rests.values()].filter(rest => rest.untilMs > now),

    insertGrant: (grant, token) => {
      if (grants.has(grant.id)) throw new SoakpError('internal', `There is a grant ${grant.id} already.`)
      grants.set(grant.id, { grant: structuredClone(grant), tokens: [{ ...token }] })
      generation++
    },
    getGrant: id => {
      const found = grants.get(id)
      return found && { grant: found.grant, tokens: [...found.tokens] }
    },
    listGrants: () => [...grants.values()].map(({ grant }) => grant),
    updateGrant: (id, patch) => {
      const found = grants.get(id)
      if (found === undefined) return false
      found.grant = { ...found.grant, ...structuredClone(patch) }
      generation++
      return true
    },
    replaceTokens: (token, oldTokensEndAtMs) => {
      const found = grants.get(token.grantId)
      if (found === undefined || found.grant.revokedAtMs !== null) return false
      found.tokens = found.tokens.map(old => ({ ...old, expiresAtMs: Math.min(old.expiresAtMs, oldTokensEndAtMs) }))
      found.tokens.push({ ...token })
      generation++
      return true
    },

    endToken: (grantId, jti, atMs) => {
      const found = grants.get(grantId)
      if (!found?.tokens.some(token => token.jti === jti)) return false
      found.tokens = found.tokens.map(token => (token.jti === jti ? { ...token, expiresAtMs: Math.min(token.expiresAtMs, atMs) } : token))
      generation++
      return true
    },

    ...memoryApps(() => generation++),
    ...memoryLimits(() => generation++),
    ...slices,
    ...memoryOwned(id => keys.has(id)),

    putAlias: alias => {
      const name = `${alias.tenant}/${alias.name}`
      aliases.set(name, { ...alias, createdAtMs: aliases.get(name)?.createdAtMs ?? alias.createdAtMs })
      generation++
    },
    listAliases: tenant => [...aliases.values()].filter(alias => alias.tenant === tenant).sort((a, b) => (a.name < b.name ? -1 : 1)),
    removeAlias: (tenant, name) => {
      const removed = aliases.delete(`${tenant}/${name}`)
      if (removed) generation++
      return removed
    },

    ...ledger,
    ...memoryBatches({ ...slices, ...ledger }),

    putPrices: added => {
      for (const price of structuredClone(added)) prices.set(`${price.provider}/${price.model} ${price.fromMs}`, price)
      generation++
    },
    listPrices: () => [...prices].sort(([a, x], [b, y]) => x.fromMs - y.fromMs || (a < b ? -1 : 1)).map(([, price]) => price),
    removePrice: (provider, model) => {
      const gone = [...prices].filter(([, price]) => price.provider === provider && price.model === model)
      for (const [name] of gone) prices.delete(name)
      if (gone.length > 0) generation++
      return gone.length > 0
    },

    probe: () => undefined,
    backupTo: () => {
      throw new SoakpError('usage', 'A store in memory cannot be backed up.', { hint: 'set SOAKP_DATABASE_URL to a database that is kept' })
    },
    verify: () => [],
    close: () => undefined,
  }
}
