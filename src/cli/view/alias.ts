import type { AliasRecord } from '../../stores/records.js'
import { time } from '../format.js'

export function aliasView({ name, target, createdAtMs }: AliasRecord): Record<string, unknown> {
  return { name, target, createdAt: time(createdAtMs) }
}
