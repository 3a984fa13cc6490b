import type { GrantRecord } from '../records.js'

/** What a grant and an app's template have in common and SQLite has no type for: lists and objects are kept as JSON, yes and no as 1 and 0. */
type Lists = 'scope' | 'models' | 'endpoints' | 'origins' | 'addresses' | 'quotas' | 'budgets'
type Flags = 'retry5xx' | 'clampOutput' | 'shadow' | 'letFinish' | 'cutStreams'
export type RuleName = Lists | Flags
export type RuleColumns = Readonly<Record<Lists, string> & Record<Flags, number>>
type RuleValues = Pick<GrantRecord, RuleName>

export function rulesToColumns(rules: RuleValues): RuleColumns {
  return {
    scope: JSON.stringify(rules.scope),
    models: JSON.stringify(rules.models),
    endpoints: JSON.stringify(rules.endpoints),
    origins: JSON.stringify(rules.origins),
    addresses: JSON.stringify(rules.addresses),
    quotas: JSON.stringify(rules.quotas),
    budgets: JSON.stringify(rules.budgets),
    retry5xx: Number(rules.retry5xx),
    clampOutput: Number(rules.clampOutput),
    shadow: Number(rules.shadow),
    letFinish: Number(rules.letFinish),
    cutStreams: Number(rules.cutStreams),
  }
}

export function rulesOfColumns(row: RuleColumns): RuleValues {
  return {
    scope: JSON.parse(row.scope),
    models: JSON.parse(row.models),
    endpoints: JSON.parse(row.endpoints),
    origins: JSON.parse(row.origins),
    addresses: JSON.parse(row.addresses),
    quotas: JSON.parse(row.quotas),
    budgets: JSON.parse(row.budgets),
    retry5xx: row.retry5xx === 1,
    clampOutput: row.clampOutput === 1,
    shadow: row.shadow === 1,
    letFinish: row.letFinish === 1,
    cutStreams: row.cutStreams === 1,
  }
}
