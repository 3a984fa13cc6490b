import { type Command, Option } from 'commander'
import { SoakpError } from '../../errors.js'
import { anyKey, type GrantScope } from '../../stores/records.js'
import type { GrantPatch } from '../../stores/store.js'
import { budgetOption, countOption, dollarsOption, durationOption, listOption, quotaOption } from './options.js'

/** What `token create` and `token set` both take; `false` is the `--no-…` form. */
export interface GrantOptions {
  readonly provider?: readonly string[]
  readonly key?: readonly string[]
  readonly all?: boolean
  readonly name?: string
  readonly subject?: string | false
  readonly ttl?: number
  readonly models?: readonly string[] | false
  readonly endpoints?: readonly string[] | false
  readonly origin?: readonly string[] | false
  readonly ip?: readonly string[] | false
  readonly rate?: string | false
  readonly concurrency?: number | false
  readonly maxOutput?: number | false
  readonly retry5xx?: boolean
  /** `true`: no thumbprint was given. */
  readonly dpop?: string | boolean
  readonly quota?: readonly string[] | false
  readonly budget?: readonly string[] | false
  readonly maxCostPerCall?: number | false
  readonly clamp?: boolean
  readonly shadow?: boolean
  readonly letFinish?: boolean
}

/** How quotas and budgets are kept; of grants and apps alike. */
export function addSpendingOptions(command: Command): Command {
  return command
    .addOption(dollarsOption('--max-cost-per-call <usd>', 'what to hold under a budget for a call whose worst cost is not known'))
    .option('--clamp', 'give calls that ask for more output than --max-output that much, instead of refusing them')
    .option('--let-finish', 'let a stream that passes a budget midway go on to its end, instead of cutting it')
    .option('--shadow', 'quotas and budgets refuse nothing; who would have been refused is written down')
}

/** What of these was given, as it is stored. */
export function readSpending({
  maxCostPerCall,
  clamp,
  letFinish,
  shadow,
}: GrantOptions): Pick<GrantPatch, 'maxCallMicroDollars' | 'clampOutput' | 'letFinish' | 'shadow'> {
  return {
    ...(maxCostPerCall !== undefined && { maxCallMicroDollars: maxCostPerCall || null }),
    ...(clamp !== undefined && { clampOutput: clamp }),
    ...(letFinish !== undefined && { letFinish }),
    ...(shadow !== undefined && { shadow }),
  }
}

export const clearingSpending = [
  ['max-cost-per-call', 'refuse calls under a budget whose worst cost is not known'],
  ['clamp', 'refuse calls that ask for more output than --max-output'],
  ['let-finish', 'cut streams that pass a budget midway'],
  ['shadow', 'quotas and budgets refuse'],
] as const

/** Which keys it opens. */
export function addScopeOptions(command: Command): Command {
  return command
    .addOption(listOption('--provider <names...>', 'opens every key of these providers'))
    .addOption(listOption('--key <ids...>', 'opens these keys'))
    .option('--all', 'opens every provider')
}

export function addGrantOptions(command: Command): Command {
  return addSpendingOptions(addRuleOptions(command))
}

function addRuleOptions(command: Command): Command {
  return addScopeOptions(command)
    .option('--name <text>', 'how you will recognise it')
    .option('--subject <text>', 'for whom it is')
    .addOption(durationOption('--ttl <duration>', 'how long it lasts: 30s, 15m, 24h, 30d', 1000))
    .addOption(listOption('--models <globs...>', "only these models; * stands for anything: 'gpt-4o*'"))
    .addOption(
      new Option('--endpoints <patterns...>', "'inference', 'account' for what it makes itself, '*' for new ones too, or '[METHOD ]/path'"),
    )
    .addOption(listOption('--origin <urls...>', 'only from pages of these web origins'))
    .addOption(listOption('--ip <cidrs...>', 'only from these addresses'))
    .option('--rate <rate>', 'calls in a time: 60/m; per s, m, h or d')
    .addOption(countOption('--concurrency <n>', 'calls open at once'))
    .addOption(quotaOption('--quota <quotas...>', 'calls in a calendar window: 1000/d; per h, d, month or total'))
    .addOption(budgetOption('--budget <budgets...>', 'money or model tokens in a calendar window: 5usd/month, 1000000tokens/d'))
    .addOption(countOption('--max-output <n>', 'model tokens a call may ask for'))
    .option(
      '--dpop [thumbprint]',
      'only with a proof of this key (--dpop=THUMBPRINT, RFC 7638), or of the one that the token is bound to at /auth/refresh',
    )
    .option('--retry-5xx', 'send a call that the provider failed again with another key; it may be done and billed twice')
}

/** Takes limits off again: for `token set`. */
export function addClearingOptions(command: Command): Command {
  for (const [flag, what] of [
    ['subject', 'no subject'],
    ['models', 'any model'],
    ['endpoints', 'inference, the default'],
    ['origin', 'from any origin, and without one'],
    ['ip', 'from any address'],
    ['rate', 'no limit of calls in a time'],
    ['concurrency', 'no limit of calls open at once'],
    ['quota', 'no quotas'],
    ['budget', 'no budgets'],
    ...clearingSpending,
    ['max-output', 'no limit of output'],
    ['retry-5xx', 'what the provider failed is passed on'],
    ['dpop', 'no proof of a key, but for tokens that are bound already'],
  ] as const) {
    command.option(`--no-${flag}`, what)
  }
  return command
}

/** `--dpop` as it is stored. */
export function readDpop(dpop: string | boolean): string | null {
  return dpop === true ? anyKey : dpop || null
}

/** At most one of the three says what a grant opens; `undefined`: none was given. Throws `usage`. Whether it is there, `Access` looks. */
export function readScope({ provider, key, all }: GrantOptions): GrantScope | undefined {
  if ([provider, key, all].filter(option => option !== undefined).length > 1) {
    throw new SoakpError('usage', '--provider, --key and --all exclude each other.')
  }
  if (all) return { kind: 'all' }
  if (provider) return { kind: 'providers', providers: [...new Set(provider)] }
  return key && { kind: 'keys', keys: [...new Set(key)] }
}
