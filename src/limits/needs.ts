import { SoakpError } from '../errors.js'
import type { Hold } from './hold.js'
import type { CounterRule, ModelRule, Need, Plan, Rule } from './rules.js'

/** What is known of a call once its body was looked at. */
export interface CallFacts {
  readonly keyId: string
  /** `null`: it names none, or none that can be told. */
  readonly model: string | null
  /** It names several, and what each of them can take is known. */
  readonly models?: readonly string[]
  /** Calls of this kind can name a model, so that one that cannot be told must not pass a limit on models. */
  readonly mayNameModel: boolean
  /** The most it can consume, with the models that `matches` takes, asked for only under a budget. Throws where that has no bound. */
  worst(quantity: 'microDollars' | 'tokens', matches?: (model: string) => boolean): number
}

/** Those that count calls of this model. Throws `model_unknown` where that cannot be told, unless they are only watched. */
export function rulesFor(hold: Hold, rules: Plan['models'], { model, models, mayNameModel }: CallFacts): readonly Rule[] {
  if (rules.length === 0) return rules
  if (models) return rules.filter(rule => models.some(rule.matches))
  if (model !== null) return rules.filter(rule => rule.matches(model))
  if (!mayNameModel) return []
  const rule = rules.find(({ shadow }) => !shadow)
  if (!rule) {
    hold.wouldRefuse ??= 'model_unknown'
    return []
  }
  throw new SoakpError('model_unknown', `${rule.whose} is limited, and this call names no model.`)
}

type BudgetRule = Rule & Partial<Pick<ModelRule, 'matches'>>

export function addBudgets(hold: Hold, needs: Need[], rules: readonly BudgetRule[], facts: CallFacts): void {
  for (const rule of rules) for (const counter of rule.budgets) needs.push({ rule, counter, amount: amountOf(hold, rule, counter, facts) })
}

/** Of a call that nothing bounds a limit that is only watched holds nothing, and counts what it takes. */
function amountOf(hold: Hold, rule: BudgetRule, { quantity }: CounterRule, facts: CallFacts): number {
  if (quantity === 'calls') return 1
  try {
    return facts.worst(quantity, rule.matches)
  } catch (error) {
    if (!rule.shadow || !(error instanceof SoakpError) || error.code !== 'cost_unbounded') throw error
    hold.wouldRefuse ??= error.code
    return 0
  }
}
