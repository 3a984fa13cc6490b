import { setTimeout as delay } from 'node:timers/promises'
import type { Policy } from '../access/policy.js'
import { type Rules, rulesOf } from '../access/rules.js'
import { SoakpError } from '../errors.js'
import type { Outbound } from '../lib/outbound.js'
import { matchEndpoint, matchUnderPrefix } from '../providers/index.js'
import type { Provider } from '../providers/provider.js'
import type { KeyRecord } from '../stores/records.js'
import type { Vault } from '../vault/vault.js'
import { askWithKey } from './ask-with-key.js'
import { type Route, routeOf } from './authorize.js'
import type { Exchange } from './exchange.js'
import { askLocal } from './local.js'
import { reachableProviders } from './unified.js'

/** A model as the merged list shows it: `id` with the provider in front. */
interface Model {
  readonly id: string
  readonly provider: string
  readonly createdAtSeconds: number
}

export interface ModelListsDeps {
  readonly policy: Policy
  readonly vault: Pick<Vault, 'open'>
  readonly outbound: Outbound
  readonly now: () => number
}

export interface ModelLists {
  /** Every model that the grant opens, in the shape of the dialect that asks. Providers that cannot be asked, or do not answer soon, are left out. */
  all(exchange: Exchange): Promise<unknown>
  /** One of them. Throws `not_found`. */
  one(exchange: Exchange, id: string): Promise<unknown>
}

const keptMs = 300_000
const failedKeptMs = 15_000
const patienceMs = 10_000
/** One provider that hangs does not keep the others' models back for longer; what it says later is there for whoever asks next. */
const waitsMs = 2500
/** Keys of one provider that are asked one after another. */
const mostAsked = 3
/** OpenRouter's list has half a megabyte. */
const mostBytes = 8 * 1024 * 1024

interface Kept {
  readonly list: Promise<readonly Model[]>
  /** What it says, or what was said before while it does not yet. */
  known: readonly Model[] | undefined
  untilMs: number
}

export function createModelLists({ policy, vault, outbound, now }: ModelListsDeps): ModelLists {
  const kept = new WeakMap<KeyRecord, Kept>()

  /** What is known soon of the models that a provider's keys open: all of them, what they were before, or none. */
  async function listOf(keys: readonly KeyRecord[]): Promise<readonly Model[]> {
    const before = keys.map(key => kept.get(key)?.known).find(known => known !== undefined && known.length > 0)
    const patience = new AbortController()
    const late = delay(waitsMs, before ?? [], { signal: patience.signal }).catch(() => [])
    try {
      return await Promise.race([firstOf(keys), late])
    } finally {
      patience.abort()
    }
  }

  /** Any of them tells; where the first cannot, as when it is refused, another one can. */
  async function firstOf(keys: readonly KeyRecord[]): Promise<readonly Model[]> {
    for (const key of keys) {
      const models = await fetched(key)
      if (models.length > 0) return models
    }
    return []
  }

  /** A provider that fails has no models for a moment, so that a client that asks again does not ask it at once. */
  function fetched(key: KeyRecord): Promise<readonly Model[]> {
    const last = kept.get(key)
    if (last && last.untilMs > now()) return last.list
    const list = fetchList(key).then(
      models => {
        entry.known = models
        return models
      },
      () => {
        entry.untilMs = now() + failedKeptMs
        entry.known = []
        return []
      },
    )
    const entry: Kept = { list, known: last?.known, untilMs: now() + keptMs }
    kept.set(key, entry)
    return list
  }

  async function fetchList(key: KeyRecord): Promise<readonly Model[]> {
    const route = routeOf(key)
    const path = listPath(route.provider)
    if (path === undefined) return []
    const wanted = { method: 'GET' as const, path, headers: {}, timeoutMs: patienceMs, mostBytes }
    const { status, body } = route.provider.serve
      ? await askLocal(route.provider.serve, wanted.path)
      : await askWithKey(key, wanted, vault, outbound)
    if (status !== 200) throw new SoakpError('provider_broke_off', `It answered ${status}.`)
    return readList(key.provider, JSON.parse(body))
  }

  async function gather(exchange: Exchange): Promise<Model[]> {
    const { grant } = exchange
    if (!grant) throw new SoakpError('internal', 'models before authenticate')
    const { tenant } = grant.record
    const rules = rulesOf(grant.record)
    const reachable = reachableProviders(exchange, await policy.allKeys(tenant), rules)
    const lists = [...reachable.values()].map(keys =>
      listOf(keys.filter(key => key.state === 'active' && mayList(key, rules)).slice(0, mostAsked)),
    )
    const models = (await Promise.all(lists)).flat().filter(model => rules.allowsModel(nativeName(model)))
    return [...models, ...(await aliasesOf(tenant, reachable, rules))]
  }

  async function aliasesOf(tenant: string, reachable: ReadonlyMap<string, unknown>, rules: Rules): Promise<Model[]> {
    const open = [...(await policy.aliases(tenant))].filter(([name, target]) => {
      const [provider = ''] = target.split('/', 1)
      return reachable.has(provider) && (rules.allowsModel(name) || rules.allowsModel(target.slice(provider.length + 1)))
    })
    return open.map(([id, target]) => ({ id, provider: target.split('/', 1)[0] ?? '', createdAtSeconds: 0 }))
  }

  return {
    async all(exchange) {
      const models = await gather(exchange)
      return speaksAnthropic(exchange)
        ? { data: models.map(anthropicModel), has_more: false, first_id: models[0]?.id ?? null, last_id: models.at(-1)?.id ?? null }
        : { object: 'list', data: models.map(openaiModel) }
    },
    async one(exchange, id) {
      const model = (await gather(exchange)).find(model => model.id === id)
      if (!model) throw new SoakpError('not_found', 'This access token opens no model of that name.')
      return speaksAnthropic(exchange) ? anthropicModel(model) : openaiModel(model)
    },
  }
}

const speaksAnthropic = ({ call }: Exchange) => call.request.headers['anthropic-version'] !== undefined

const openaiModel = ({ id, provider, createdAtSeconds }: Model) => ({ id, object: 'model', created: createdAtSeconds, owned_by: provider })

const anthropicModel = ({ id, createdAtSeconds }: Model) => ({
  type: 'model',
  id,
  display_name: id,
  created_at: new Date(createdAtSeconds * 1000).toISOString(),
})

function nativeName({ id, provider }: Model): string {
  return id.slice(provider.length + 1)
}

function listPath({ compatiblePath, messagesPath }: Provider): string | undefined {
  if (compatiblePath !== undefined) return `${compatiblePath}/models`
  return messagesPath === undefined ? undefined : `${messagesPath}/models?limit=1000`
}

/** Whether the grant opens the provider's own list of models. */
function mayList(key: KeyRecord, rules: Rules): boolean {
  const route: Route = routeOf(key)
  const path = listPath(route.provider)?.split('?', 1)[0]
  if (path === undefined) return false
  const match =
    route.prefix === '' ? matchEndpoint(route.provider, 'GET', path) : matchUnderPrefix(route.provider, route.prefix, 'GET', path)
  const kind = match.kind === 'endpoint' ? match.endpoint.class : 'new'
  const rowPattern = match.kind === 'endpoint' ? match.endpoint.pattern : undefined
  return rules.opens({ class: kind, rowPattern, provider: key.provider, method: 'GET', readings: [path] })
}

/** OpenAI's `{data:[{id,created}]}`, Anthropic's with `created_at`, and a bare array (Together). */
function readList(provider: string, value: unknown): Model[] {
  const data = Array.isArray(value) ? value : (value as { data?: unknown } | null)?.data
  if (!Array.isArray(data)) throw new SoakpError('provider_broke_off', 'It is no list of models.')
  return data.flatMap(item => {
    const { id, created, created_at } = (item ?? {}) as Readonly<Record<string, unknown>>
    if (typeof id !== 'string' || id === '' || id.length > 200) return []
    const stated = typeof created === 'number' ? created : Date.parse(String(created_at)) / 1000
    // Gemini says `models/` before each name, and takes it without
    const name = id.replace(/^models\//, '')
    return [{ id: `${provider}/${name}`, provider, createdAtSeconds: Number.isFinite(stated) ? Math.trunc(stated) : 0 }]
  })
}
