import { statedUsage } from '../../providers/index.js'
import type { Endpoint } from '../../providers/provider.js'
import { assumedBy, dialectOf, type Exchange } from '../exchange.js'
import type { ReplyHead } from '../headers.js'
import type { StreamLearner } from '../owned/made.js'
import { createMeter, type Meter, unread } from './meter.js'

/** The meter of a call's reply; without a head, of one that never came. */
export function meterFor(exchange: Exchange, status: number, reply: ReplyHead | undefined, learner: StreamLearner | undefined): Meter {
  const { endpoint, inspected, promptBytes } = exchange
  if (endpoint?.class === 'account' && tellsOfLater(endpoint)) return unread
  if (endpoint?.owns?.retells || exchange.way?.way.free) return unread
  const dialect = dialectOf(exchange)
  if (!dialect) return unread
  return createMeter({
    dialect,
    status,
    contentType: reply?.contentType,
    contentEncoding: reply?.contentEncoding,
    injectedUsage: inspected?.injectedUsage === true,
    // of what goes on by itself nothing can be told by what came of it
    estimate: endpoint?.estimate !== undefined && exchange.batch === undefined,
    requestBytes: promptBytes,
    stated: dialect.usageHeaders && reply ? statedUsage(dialect.usageHeaders, reply.headers) : undefined,
    assumed: assumedBy(exchange),
    ...(learner && { onEvent: (data: Buffer) => learner.event(data) }),
  })
}

/** What a batch used stands in its state and in its results, however often they are read; it is counted once, when the batch has ended. */
function tellsOfLater({ owns }: Endpoint): boolean {
  return owns?.ways.some(({ batch, holdsBatch }) => batch !== undefined || holdsBatch) === true
}
