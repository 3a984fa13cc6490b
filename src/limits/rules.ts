import { compileGlobs } from '../lib/glob.js'
import { parseRate, type Rate } from '../lib/rate.js'
import { formatTerm, parseBudget, parseQuota, type Quantity, type WindowName } from '../lib/terms.js'
import type { GrantRecord, LimitKind, LimitRecord } from '../stores/records.js'

/** A quota or a budget, and the counter that counts it. A changed amount is the same counter: nothing begins anew. */
export interface CounterRule {
  readonly tenant: string
  readonly counter: string
  readonly quantity: Quantity
  readonly window: WindowName
  readonly limit: number
  /** As people write it. */
  readonly text: string
}

/** Limits on one thing: a grant, an app, a user, a key, a tenant, or calls of some models within it. */
export interface Rule {
  /** Of what is counted in memory. */
  readonly name: string
  /** Whom it limits, as the beginning of a sentence. */
  readonly whose: string
  readonly rate: Rate | undefined
  readonly rateText: string
  readonly concurrency: number | null
  readonly quotas: readonly CounterRule[]
  readonly budgets: readonly CounterRule[]
  /** Quotas and budgets refuse nothing. */
  readonly shadow: boolean
  /** A glob: it counts the calls of these models; empty: all. */
  readonly model: string
}

/** One that counts the calls of some models only. */
export interface ModelRule extends Rule {
  matches(model: string): boolean
}

/** One counter that a call needs a part of. */
export interface Need {
  readonly rule: Rule
  readonly counter: CounterRule
  readonly amount: number
  /** The call is under way, and needs more than was held for it. */
  readonly isMore?: true
}

/** What has to be known of a call before its limits can be judged. */
export interface Asks {
  readonly model: boolean
  readonly cost: boolean
}

/** Everything that limits the calls of one grant. */
export interface Plan {
  /** Counted for every call, before its body is read. */
  readonly rules: readonly Rule[]
  /** The quotas among them. */
  readonly quotas: readonly Need[]
  /** Whichever of them have budgets. */
  readonly budgeted: readonly Rule[]
  readonly models: readonly ModelRule[]
  readonly keys: ReadonlyMap<string, KeyPlan>
  /** Whatever key answers. */
  readonly asks: Asks
}

/** What limits the calls made with one key. */
export interface KeyPlan {
  readonly rules: readonly Rule[]
  readonly models: readonly ModelRule[]
}

export type LimitedGrant = Pick<GrantRecord, 'id' | 'tenant' | 'subject' | 'rate' | 'concurrency' | 'quotas' | 'budgets' | 'shadow' | 'app'>

type Limit = Pick<LimitRecord, 'rate' | 'concurrency' | 'quotas' | 'budgets'>

const whoseOf: Readonly<Record<LimitKind, string>> = {
  grant: 'This access token',
  app: 'The app, all its users together,',
  user: 'This user',
  key: 'The key that answers this call',
  tenant: 'This tenant',
}

/** What a counter is called in the store. */
export function counterBase(kind: LimitKind, tenant: string, subject: string, model = ''): string {
  // a user's name is one within the tenant, and may be any text
  const name = kind === 'user' ? `user/${tenant}/${encodeURIComponent(subject)}` : `${kind}/${subject}`
  return model === '' ? name : `${name}?model=${encodeURIComponent(model)}`
}

/** The counters of a limit's quotas and budgets. Those that cannot be read refuse every call, by a limit of nothing. */
export function counterRules(tenant: string, base: string, texts: readonly string[], parse: typeof parseQuota): CounterRule[] {
  return texts.map(text => {
    const { quantity, limit, window } = parse(text) ?? { quantity: 'calls', limit: 0, window: 'total' }
    return { tenant, counter: `${base}/${quantity}/${window}`, quantity, window, limit, text: formatTerm({ quantity, limit, window }) }
  })
}

function ruleOf(kind: LimitKind, tenant: string, subject: string, limit: Limit, shadow: boolean, model = ''): Rule {
  const name = counterBase(kind, tenant, subject, model)
  const whose = model === '' ? whoseOf[kind] : `${whoseOf[kind]}, for models called ${model},`
  return {
    name,
    whose,
    // a rate that cannot be read lets nothing through
    rate: limit.rate === null ? undefined : (parseRate(limit.rate) ?? { count: 0, windowMs: 86_400_000 }),
    rateText: limit.rate ?? '',
    concurrency: limit.concurrency,
    quotas: counterRules(tenant, name, limit.quotas, parseQuota),
    budgets: counterRules(tenant, name, limit.budgets, parseBudget),
    shadow,
    model,
  }
}

function isEmpty({ rate, concurrency, quotas, budgets }: Rule): boolean {
  return rate === undefined && concurrency === null && quotas.length === 0 && budgets.length === 0
}

function modelRule(limit: LimitRecord): ModelRule {
  const rule = ruleOf(limit.kind, limit.tenant, limit.subject, limit, limit.shadow, limit.model)
  return { ...rule, matches: compileGlobs([limit.model]) }
}

const noKeys: ReadonlyMap<string, KeyPlan> = new Map()
const keyPlans = new WeakMap<readonly LimitRecord[], ReadonlyMap<string, KeyPlan>>()

function keyPlansOf(limits: readonly LimitRecord[]): ReadonlyMap<string, KeyPlan> {
  if (limits.length === 0) return noKeys
  let plans = keyPlans.get(limits)
  if (!plans) {
    const own = limits.filter(({ kind }) => kind === 'key')
    plans = new Map(
      [...new Set(own.map(({ subject }) => subject))].map(key => {
        const ofKey = own.filter(({ subject }) => subject === key)
        const whole = ofKey.filter(({ model }) => model === '')
        return [
          key,
          {
            rules: whole.map(limit => ruleOf('key', limit.tenant, key, limit, limit.shadow)),
            models: ofKey.filter(({ model }) => model !== '').map(modelRule),
          },
        ]
      }),
    )
    keyPlans.set(limits, plans)
  }
  return plans
}

/** `limits`: the tenant's, beside the grant's own. */
function compile(grant: LimitedGrant, limits: readonly LimitRecord[]): Plan {
  const { tenant, app } = grant
  const rules = [ruleOf('grant', tenant, grant.id, grant, grant.shadow)]
  if (app) rules.push(ruleOf('app', tenant, app.id, app, grant.shadow))
  const applying = limits.filter(({ kind, subject }) => {
    if (kind === 'user') return subject === grant.subject
    return kind === 'tenant' || (kind === 'grant' && subject === grant.id) || (kind === 'app' && subject === app?.id)
  })
  for (const limit of applying) if (limit.model === '') rules.push(ruleOf(limit.kind, tenant, limit.subject, limit, limit.shadow))
  const some = rules.filter(rule => !isEmpty(rule))
  const budgeted = some.filter(hasBudgets)
  const models = applying.filter(({ model }) => model !== '').map(modelRule)
  return {
    rules: some,
    quotas: some.flatMap(quotasOf),
    budgeted,
    models,
    keys: keyPlansOf(limits),
    asks: { model: models.length > 0, cost: budgeted.length > 0 || models.some(hasBudgets) },
  }
}

export function quotasOf(rule: Rule): Need[] {
  return rule.quotas.map(counter => ({ rule, counter, amount: 1 }))
}

const hasBudgets = ({ budgets }: Rule) => budgets.length > 0

/** What the limits of a call ask for, if one of these keys answers it. */
export function asksOf({ asks, keys }: Plan, keyIds: readonly string[]): Asks {
  if (keys.size === 0) return asks
  let { model, cost } = asks
  for (const id of keyIds) {
    const key = keys.get(id)
    if (!key) continue
    model ||= key.models.length > 0
    cost ||= key.rules.some(hasBudgets) || key.models.some(hasBudgets)
  }
  return { model, cost }
}

/** Every quota and budget of a plan, by the name of its counter. */
export function countersOf({ rules, models, keys }: Plan): ReadonlyMap<string, Omit<Need, 'amount'>> {
  const ofKeys = [...keys.values()].flatMap(key => [...key.rules, ...key.models])
  const all = [...rules, ...models, ...ofKeys]
  return new Map(all.flatMap(rule => [...rule.quotas, ...rule.budgets].map(counter => [counter.counter, { rule, counter }])))
}

const plans = new WeakMap<LimitedGrant, { readonly limits: readonly LimitRecord[]; readonly plan: Plan }>()

/** Compiled once for as long as the grant's record and the tenant's limits are remembered. */
export function planOf(grant: LimitedGrant, limits: readonly LimitRecord[]): Plan {
  const known = plans.get(grant)
  if (known && known.limits === limits) return known.plan
  const plan = compile(grant, limits)
  plans.set(grant, { limits, plan })
  return plan
}
