import { type Command, Option } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Soakp } from '../../soakp.js'
import type { LimitKind, LimitRecord } from '../../stores/records.js'
import { shown } from '../argv.js'
import { findApp, findKey } from './find.js'
import { budgetOption, countOption, quotaOption } from './options.js'

export interface LimitOptions {
  readonly model?: string
  readonly rate?: string | false
  readonly concurrency?: number | false
  readonly quota?: readonly string[] | false
  readonly budget?: readonly string[] | false
  readonly shadow?: boolean
}

export const targetHelp = 'a key, grant or app by its id, user:NAME, or tenant for all calls'

export function modelOption(): Option {
  return new Option('--model <glob>', "only calls of models called so; * stands for anything: 'gpt-4o*'")
}

export function addLimitOptions(command: Command): Command {
  command
    .addOption(modelOption())
    .option('--rate <rate>', 'calls in a time: 60/m; per s, m, h or d')
    .addOption(countOption('--concurrency <n>', 'calls open at once'))
    .addOption(quotaOption('--quota <quotas...>', 'calls in a calendar window: 1000/d; per h, d, month or total'))
    .addOption(budgetOption('--budget <budgets...>', 'money or model tokens in a calendar window: 5usd/month, 1000000tokens/d'))
    .option('--shadow', 'its quotas and budgets refuse nothing; who would have been refused is written down')
  for (const [flag, what] of [
    ['rate', 'no limit of calls in a time'],
    ['concurrency', 'no limit of calls open at once'],
    ['quota', 'no quotas'],
    ['budget', 'no budgets'],
    ['shadow', 'its quotas and budgets refuse'],
  ] as const) {
    command.option(`--no-${flag}`, what)
  }
  return command
}

export interface Target {
  readonly kind: LimitKind
  readonly subject: string
}

/** Throws `usage`, and `key_not_found`, `grant_not_found`, `app_not_found` for what is not there. */
export async function findTarget({ store, access, apps }: Pick<Soakp, 'store' | 'access' | 'apps'>, text: string): Promise<Target> {
  if (text === 'tenant') return { kind: 'tenant', subject: 'default' }
  if (text.startsWith('user:') && text.length > 5) return { kind: 'user', subject: text.slice(5) }
  if (text.startsWith('key_')) return { kind: 'key', subject: (await findKey(store, text)).id }
  if (text.startsWith('grt_')) return { kind: 'grant', subject: (await access.show(text)).grant.id }
  if (text.startsWith('app_')) return { kind: 'app', subject: (await findApp(apps, text)).id }
  throw new SoakpError('usage', `${shown(text)} is nothing that can be limited.`, { hint: `it is ${targetHelp}` })
}

/** The same without looking whether it is there, so that the limit on what is gone can be taken away. */
export function readTarget(text: string): Target {
  if (text === 'tenant') return { kind: 'tenant', subject: 'default' }
  const kinds: Readonly<Record<string, LimitKind>> = { key_: 'key', grt_: 'grant', app_: 'app' }
  const kind = kinds[text.slice(0, 4)]
  if (kind) return { kind, subject: text }
  if (text.startsWith('user:') && text.length > 5) return { kind: 'user', subject: text.slice(5) }
  throw new SoakpError('usage', `${shown(text)} is nothing that can be limited.`, { hint: `it is ${targetHelp}` })
}

export function isSame(limit: LimitRecord, { kind, subject }: Target, model: string): boolean {
  return limit.kind === kind && limit.subject === subject && limit.model === model
}
