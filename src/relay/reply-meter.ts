import { statedUsage } from '../providers/index.js'
import type { Dialect } from '../providers/provider.js'
import { assumedBy, type Exchange } from './exchange.js'
import type { ReplyHead } from './headers.js'
import type { StreamLearner } from './made.js'
import { createMeter, type Meter } from './meter.js'

/** The meter of a call's reply; without a head, of one that never came. */
export function meterFor(exchange: Exchange, status: number, reply: ReplyHead | undefined, learner: StreamLearner | undefined): Meter {
  const { endpoint, provider, inspected, promptBytes } = exchange
  const dialect = (endpoint?.dialect ?? provider?.dialect) as Dialect
  return createMeter({
    dialect,
    status,
    contentType: reply?.contentType,
    contentEncoding: reply?.contentEncoding,
    injectedUsage: inspected?.injectedUsage === true,
    estimate: endpoint?.estimate !== undefined,
    requestBytes: promptBytes,
    stated: dialect.usageHeaders && reply ? statedUsage(dialect.usageHeaders, reply.headers) : undefined,
    assumed: assumedBy(exchange),
    ...(learner && { onEvent: (data: Buffer) => learner.event(data) }),
  })
}
