import { modelTokenKinds } from '../../lib/model-tokens.js'
import { toDollars } from '../../lib/money.js'
import type { Entry } from '../../stores/records.js'
import { time } from '../format.js'

/** An entry as JSON: times in RFC 3339, money in dollars. */
export function entryView({
  id,
  startedAtMs,
  costMicroDollars,
  grantId,
  tokenId,
  keyId,
  subject,
  ...entry
}: Entry): Record<string, unknown> {
  return {
    id,
    startedAt: time(startedAtMs),
    ...entry,
    grant: grantId,
    token: tokenId,
    key: keyId,
    user: subject,
    costUsd: costMicroDollars === null ? null : toDollars(costMicroDollars),
  }
}

/** In a fixed order, which later versions only add to. */
export const entryColumns = [
  'id',
  'attempt',
  'final',
  'startedAt',
  'tenant',
  'grant',
  'token',
  'user',
  'app',
  'key',
  'provider',
  'method',
  'endpoint',
  'model',
  'status',
  'outcome',
  'errorCode',
  'usageSource',
  ...modelTokenKinds,
  'units',
  'unit',
  'costUsd',
  'price',
  'bytesIn',
  'bytesOut',
  'durationMs',
  'firstByteMs',
  'address',
  'upstreamRequestId',
] as const
