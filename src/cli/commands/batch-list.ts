import { Command } from 'commander'
import { formatDollars } from '../../lib/money.js'
import type { BatchRecord } from '../../stores/records.js'
import type { Cli } from '../cli.js'
import { table, time } from '../format.js'

/** `soakp batch list`: work that providers do later, and what is held for it. */
export function batchList(cli: Cli): Command {
  return new Command('list')
    .description('list batches under way, and what is held for them')
    .option('--settled', 'also those that have ended, for ten weeks')
    .action(async ({ settled }: { settled?: true }) => {
      const { store } = await cli.open()
      const batches = await store.listBatches(settled ? {} : { open: true })
      if (batches.length === 0) cli.note('no batches')
      const text = table(batches, [
        { title: 'ID', value: batch => batch.id },
        { title: 'PROVIDER', value: batch => batch.provider },
        { title: 'GRANT', value: batch => batch.grantId },
        { title: 'CALL', value: batch => batch.callId },
        { title: 'REQUESTS', value: batch => batch.requests, right: true },
        { title: 'HELD $', value: batch => heldText(batch), right: true },
        { title: 'MADE', value: batch => time(batch.createdAtMs) },
        { title: 'ASKED FOR', value: batch => `${batch.polls} times` },
        { title: 'NEXT', value: batch => (batch.settledAtMs === null ? time(batch.nextPollAtMs) : 'settled') },
      ])
      cli.result(batches.map(view), batches.length === 0 ? '' : text)
    })
}

function held({ holds }: BatchRecord): number | null {
  const money = holds.filter(({ quantity }) => quantity === 'microDollars').map(({ amount }) => amount)
  return money.length === 0 ? null : Math.max(...money)
}

function heldText(batch: BatchRecord): string | null {
  const amount = batch.settledAtMs === null ? held(batch) : null
  return amount === null ? null : formatDollars(amount)
}

function view(batch: BatchRecord) {
  const { id, provider, grantId, callId, keyId, models, requests, createdAtMs, nextPollAtMs, polls, settledAtMs } = batch
  const amount = held(batch)
  return {
    ...{ id, provider, grantId, callId, keyId, models, requests, polls },
    heldUsd: settledAtMs !== null || amount === null ? null : amount / 1e6,
    createdAt: time(createdAtMs),
    nextPollAt: settledAtMs === null ? time(nextPollAtMs) : null,
    settledAt: settledAtMs === null ? null : time(settledAtMs),
  }
}
