import type { AppRecord } from './records.js'

/** What all users of an app share. */
export type AppLimits = Pick<AppRecord, 'rate' | 'concurrency' | 'quotas' | 'budgets'>

/** Whose calls a limit counts. `user`: of all grants with this subject; `tenant`: of all grants. */
export const limitKinds = ['grant', 'app', 'user', 'key', 'tenant'] as const
export type LimitKind = (typeof limitKinds)[number]

/** A limit that stands beside the grant's own. One for each of what it is on and each glob of models. */
export interface LimitRecord {
  readonly tenant: string
  readonly kind: LimitKind
  /** Id of the grant, app or key; name of the user; the tenant. */
  readonly subject: string
  /** Glob of the models whose calls it counts; empty: every call. */
  readonly model: string
  /** As of a grant. */
  readonly rate: string | null
  readonly concurrency: number | null
  readonly quotas: readonly string[]
  readonly budgets: readonly string[]
  readonly shadow: boolean
  readonly createdAtMs: number
}
