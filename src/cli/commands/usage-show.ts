import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import { formatDollars } from '../../lib/money.js'
import { batchMethod, type Entry } from '../../stores/records.js'
import type { Cli } from '../cli.js'
import { facts, time } from '../format.js'
import { entryView } from '../view/entry.js'

/** `soakp usage show`: one call, with every attempt that it took. */
export function usageShow(cli: Cli): Command {
  return new Command('show')
    .description('all that is known of one call, attempt by attempt')
    .argument('<id>', 'the call, as in the reply header x-request-id: call_…')
    .action(async (id: string) => {
      const { store } = await cli.open()
      const entries = await store.listEntries({ id })
      if (entries.length === 0) {
        throw new SoakpError('call_not_found', id, {
          hint: 'calls of unknown clients leave no line, and single lines may have been forgotten since (SOAKP_KEEP_ENTRIES)',
        })
      }
      cli.result(entries.map(entryView), entries.map(text).join('\n\n'))
    })
}

function text(entry: Entry): string {
  const { inputTokens, outputTokens, cachedInputTokens, cacheWriteInputTokens, reasoningTokens, units, unit } = entry
  return facts([
    ['call', entry.id],
    [
      'attempt',
      entry.method === batchMethod
        ? 'none: what the batch used that it made'
        : `${entry.attempt}${entry.final ? '' : ', another one followed'}`,
    ],
    ['started', time(entry.startedAtMs)],
    ['grant', entry.grantId],
    ['token', entry.tokenId],
    ['user', entry.subject],
    ['app', entry.app],
    ['from', entry.address],
    ['endpoint', `${entry.method} ${entry.endpoint}`],
    ['provider', entry.provider],
    ['model', entry.model],
    ['key', entry.keyId],
    ['status', entry.status],
    ['outcome', entry.errorCode === null ? entry.outcome : `${entry.outcome}: ${entry.errorCode}`],
    ['input', `${inputTokens} model tokens, ${cachedInputTokens} of them cached, ${cacheWriteInputTokens} written to the cache`],
    ['output', `${outputTokens} model tokens, ${reasoningTokens} of them reasoning`],
    ...(unit === null ? [] : [[unit, units] as const]),
    ['counted by', entry.usageSource],
    [
      'cost',
      entry.costMicroDollars === null ? (entry.usageSource === 'none' ? null : 'unpriced') : `$${formatDollars(entry.costMicroDollars)}`,
    ],
    ['price', entry.price],
    ['bytes', `${entry.bytesIn} in, ${entry.bytesOut} out`],
    ['took', `${entry.durationMs} ms${entry.firstByteMs === null ? '' : `, the first byte ${entry.firstByteMs} ms`}`],
    ["provider's id", entry.upstreamRequestId],
  ])
}
