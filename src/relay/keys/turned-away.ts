import { SoakpError } from '../../errors.js'
import { concernsCallOnly, quotaSpent, retryDelayMs } from '../../providers/index.js'
import type { KeyRecord } from '../../stores/records.js'
import { routeOf } from '../authorize.js'
import type { Exchange } from '../exchange.js'
import type { ReplyHead } from '../headers.js'
import { retryAfterMs } from '../retry-after.js'
import { restName } from './choose.js'
import type { Rests } from './rests.js'
import type { TellVerdict } from './verdicts.js'

/** What an error reply means for the key that the call went with. */
export interface TurnedAway {
  /** The provider refuses the key itself. */
  readonly isRefused: boolean
  /** Another key may fare better. */
  readonly mayGoElsewhere: boolean
}

export interface TurnedAwayDeps {
  readonly tellVerdict: TellVerdict
  readonly rests: Pick<Rests, 'rest'>
  /** Epoch milliseconds. */
  readonly now: () => number
}

/** Reads what an error reply says of the key, and notes it. `text`: its body. */
export type ReadTurnedAway = (exchange: Exchange, key: KeyRecord, status: number, head: ReplyHead, text: string) => TurnedAway

const refused: TurnedAway = { isRefused: true, mayGoElsewhere: true }
const elsewhere: TurnedAway = { isRefused: false, mayGoElsewhere: true }
const stays: TurnedAway = { isRefused: false, mayGoElsewhere: false }

export function createTurnedAway({ tellVerdict, rests, now }: TurnedAwayDeps): ReadTurnedAway {
  return (exchange, key, status, head, text) => {
    if (routeOf(key).provider.keyRefused(status, text)) {
      tellVerdict(key, 'refused')
      return refused
    }
    if (quotaSpent(status, text)) {
      tellVerdict(key, 'spent')
      return elsewhere
    }
    if (status === 429 && !concernsCallOnly(text)) {
      const statedMs = retryAfterMs(head.headers, now()) ?? retryDelayMs(text)
      rests.rest(key, restName(exchange), status, statedMs)
      const { rivals } = exchange
      if (rivals) rivals.waitMs = Math.min(rivals.waitMs ?? Number.POSITIVE_INFINITY, statedMs ?? 1000)
      return elsewhere
    }
    return status === 429 || status === 402 || (status >= 500 && exchange.grant?.record.retry5xx === true) ? elsewhere : stays
  }
}

/** What the client is told where the key is refused: that another one only has to be waited for, where that is so; it can mend that, and not the other. */
export function keyRejected({ rivals }: Exchange): SoakpError {
  if (rivals?.waitMs === undefined) return new SoakpError('provider_key_rejected')
  return new SoakpError('keys_resting', undefined, { retryAfterSeconds: Math.max(1, Math.ceil(rivals.waitMs / 1000)) })
}
