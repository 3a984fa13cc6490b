import { SoakpError } from '../errors.js'
import { parseRate } from '../lib/rate.js'
import { parseBudget, parseQuota, type Term } from '../lib/terms.js'
import { anyKey, type GrantRecord, type GrantScope } from '../stores/records.js'
import { isThumbprint } from './dpop-proof.js'
import { checkRules } from './rules.js'

/** Throws `usage` when the scope names a provider or key that is not there. */
export type CheckScope = (scope: GrantScope, tenant: string) => Promise<void>

const longestLifetimeMs = 10 * 366 * 86_400_000

/** Throws `usage` with what is wrong about the rules of a grant or of an app's template. */
export async function checkGrant(
  rules: Partial<Omit<GrantRecord, 'dpop'>> & { readonly dpop?: string | boolean | null },
  tenant: string,
  checkScope: CheckScope,
): Promise<void> {
  checkRules(rules)
  checkRate(rules.rate)
  checkTerms(rules.quotas, rules.budgets)
  checkCount('concurrency', rules.concurrency)
  checkCount('the output limit', rules.maxOutputTokens)
  checkName(rules.name)
  if (typeof rules.dpop === 'string' && rules.dpop !== anyKey && !isThumbprint(rules.dpop))
    throw new SoakpError(
      'usage',
      `${JSON.stringify(rules.dpop.slice(0, 60))} is no thumbprint of a key (RFC 7638: 43 characters of base64url).`,
    )
  if (rules.scope) {
    checkSize(rules.scope)
    await checkScope(rules.scope, tenant)
  }
}

export function checkName(name: string | undefined): void {
  if (name !== undefined && !/^[^\p{Cc}\p{Cf}]{1,200}$/u.test(name))
    throw new SoakpError('usage', 'A name has 1 to 200 characters, none of which moves the cursor or changes the direction.')
}

export function checkRate(rate: string | null | undefined): void {
  if (typeof rate === 'string' && !parseRate(rate)) throw new SoakpError('usage', `${JSON.stringify(rate)} is not a rate such as 60/m.`)
}

/** Throws `usage` where a quota or a budget cannot be meant, or two of them would be counted by one counter. */
export function checkTerms(quotas: readonly string[] = [], budgets: readonly string[] = []): void {
  const terms = [
    ...quotas.map(text => parsed(text, parseQuota, 'a quota such as 1000/d; per h, d, month or total')),
    ...budgets.map(text => parsed(text, parseBudget, 'a budget such as 5usd/month or 1000000tokens/d; per h, d, month or total')),
  ]
  const names = terms.map(({ quantity, window }) => `${quantity}/${window}`)
  if (new Set(names).size < names.length)
    throw new SoakpError('usage', 'There can be one quota, one budget of money and one of model tokens for each length of time.')
}

function parsed(text: string, parse: (text: string) => Term | undefined, form: string): Term {
  const term = parse(text)
  if (!term) throw new SoakpError('usage', `${JSON.stringify(text)} is not ${form}.`)
  return term
}

export function checkCount(what: string, count: number | null | undefined): void {
  if (count === null || count === undefined) return
  if (!Number.isSafeInteger(count) || count < 1) throw new SoakpError('usage', `For ${what} a whole number of at least 1 is needed.`)
}

export function checkLifetime(lifetimeMs: number | undefined): void {
  if (lifetimeMs !== undefined && !(lifetimeMs >= 1000 && lifetimeMs <= longestLifetimeMs))
    throw new SoakpError('usage', 'A lifetime is between one second and ten years.')
}

function checkSize(scope: GrantScope): void {
  const names = scope.kind === 'providers' ? scope.providers : scope.kind === 'keys' ? scope.keys : ['all']
  if (names.length === 0) throw new SoakpError('usage', 'A grant needs a provider, a key, or --all.')
  if (names.length > 200) throw new SoakpError('usage', 'At most 200 providers or keys fit into a grant.')
}
