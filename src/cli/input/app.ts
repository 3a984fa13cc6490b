import { type Command, Option } from 'commander'
import type { AppPatch } from '../../stores/store.js'
import { addScopeOptions, addSpendingOptions, clearingSpending, type GrantOptions, readScope, readSpending } from './grant.js'
import { budgetOption, countOption, durationOption, listOption, quotaOption } from './options.js'

/** What `app create` and `app set` both take; `false` is the `--no-…` form. */
export interface AppOptions
  extends Pick<
    GrantOptions,
    | 'provider'
    | 'key'
    | 'all'
    | 'name'
    | 'models'
    | 'endpoints'
    | 'origin'
    | 'ip'
    | 'rate'
    | 'concurrency'
    | 'maxOutput'
    | 'quota'
    | 'budget'
    | 'maxCostPerCall'
    | 'clamp'
    | 'letFinish'
    | 'shadow'
  > {
  readonly userRate?: string | false
  readonly userConcurrency?: number | false
  readonly userQuota?: readonly string[] | false
  readonly userBudget?: readonly string[] | false
  readonly userTtl?: number
  readonly session?: number | false
  readonly maxUsers?: number
  readonly dpop?: boolean
}

export function addAppOptions(command: Command): Command {
  return addSpendingOptions(addRuleOptions(command))
}

function addRuleOptions(command: Command): Command {
  return addScopeOptions(command)
    .addOption(listOption('--models <globs...>', "only these models; * stands for anything: 'gpt-4o*'"))
    .addOption(
      new Option('--endpoints <patterns...>', "'inference', 'account' for what it makes itself, '*' for new ones too, or '[METHOD ]/path'"),
    )
    .addOption(listOption('--origin <urls...>', 'only from pages of these web origins'))
    .addOption(listOption('--ip <cidrs...>', 'only from these addresses'))
    .addOption(countOption('--max-output <n>', 'model tokens a call may ask for'))
    .option('--rate <rate>', 'calls of all its users together in a time: 600/m; per s, m, h or d')
    .addOption(countOption('--concurrency <n>', 'calls of all its users together open at once'))
    .addOption(
      quotaOption('--quota <quotas...>', 'calls of all its users together in a calendar window: 100000/d; per h, d, month or total'),
    )
    .addOption(budgetOption('--budget <budgets...>', 'money or model tokens of all its users together: 100usd/month'))
    .option('--user-rate <rate>', 'calls of each user in a time: 20/m')
    .addOption(countOption('--user-concurrency <n>', 'calls of each user open at once'))
    .addOption(quotaOption('--user-quota <quotas...>', 'calls of each user in a calendar window: 50/d'))
    .addOption(budgetOption('--user-budget <budgets...>', 'money or model tokens of each user: 1usd/month'))
    .addOption(durationOption('--user-ttl <duration>', "how long a user's access token lasts, at most 7d (default: 1h)", 1000))
    .addOption(durationOption('--session <duration>', 'for how long a user can exchange it for a new one (default: 24h)', 1000))
    .option('--dpop', "bind every access token to a key in the user's browser or app (DPoP)")
    .addOption(countOption('--max-users <n>', 'users that may have an access token at once (default: 100000)'))
}

/** Takes limits off again. */
export function addAppClearingOptions(command: Command): Command {
  for (const [flag, what] of [
    ['models', 'any model'],
    ['endpoints', 'inference, the default'],
    ['origin', 'from any origin, and without one'],
    ['ip', 'from any address'],
    ['max-output', 'no limit of output'],
    ['rate', 'no limit of calls in a time'],
    ['concurrency', 'no limit of calls open at once'],
    ['user-rate', 'no limit of calls of a user in a time'],
    ['user-concurrency', 'no limit of calls of a user open at once'],
    ['dpop', 'no key is asked for, but for tokens that are bound already'],
    ['quota', 'no quotas of all its users together'],
    ['budget', 'no budgets of all its users together'],
    ['user-quota', 'no quotas of a user'],
    ['user-budget', 'no budgets of a user'],
    ...clearingSpending,
  ] as const) {
    command.option(`--no-${flag}`, what)
  }
  return command
}

/** What was given, as it is stored. Throws `usage`. */
export function readAppOptions(options: AppOptions): AppPatch {
  const { name, models, endpoints, origin, ip, maxOutput, rate, concurrency } = options
  const { userRate, userConcurrency, userTtl, session, maxUsers, dpop, quota, budget, userQuota, userBudget } = options
  const scope = readScope(options)
  return {
    ...(scope && { scope }),
    ...(name !== undefined && { name }),
    ...(models !== undefined && { models: models || [] }),
    ...(endpoints !== undefined && { endpoints: endpoints || [] }),
    ...(origin !== undefined && { origins: origin || [] }),
    ...(ip !== undefined && { addresses: ip || [] }),
    ...(maxOutput !== undefined && { maxOutputTokens: maxOutput || null }),
    ...(rate !== undefined && { rate: rate || null }),
    ...(concurrency !== undefined && { concurrency: concurrency || null }),
    ...(userRate !== undefined && { userRate: userRate || null }),
    ...(userConcurrency !== undefined && { userConcurrency: userConcurrency || null }),
    ...(quota !== undefined && { quotas: quota || [] }),
    ...(budget !== undefined && { budgets: budget || [] }),
    ...(userQuota !== undefined && { userQuotas: userQuota || [] }),
    ...(userBudget !== undefined && { userBudgets: userBudget || [] }),
    ...readSpending(options),
    ...(userTtl !== undefined && { userTtlMs: userTtl }),
    ...(session !== undefined && { sessionMs: session || 0 }),
    ...(maxUsers !== undefined && { maxUsers }),
    ...(dpop !== undefined && { dpop }),
  }
}
