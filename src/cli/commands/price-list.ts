import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { minute, table } from '../format.js'
import { type Moment, momentMs, momentOption } from '../options.js'
import { priceText, priceView } from '../price-input.js'

interface Options {
  readonly unpriced?: boolean
  readonly since?: Moment
}

const defaultSinceMs = 30 * 86_400_000

/** `soakp price list`: the operator's own prices, or what was used without one. */
export function priceList(cli: Cli): Command {
  return new Command('list')
    .description('list the prices you set; listed prices come with soakp')
    .option('--unpriced', 'list instead what was used and has no price')
    .addOption(momentOption('--since <when>', 'with --unpriced: from when on (default: 30d)'))
    .action(async ({ unpriced, since }: Options) => {
      if (unpriced) return listUnpriced(cli, since ? momentMs(since, cli.now()) : cli.now() - defaultSinceMs)
      const { store } = await cli.open()
      const prices = await store.listPrices()
      if (prices.length === 0) cli.note('no prices of your own; listed ones are used where there are any')
      const text = table(prices, [
        { title: 'PROVIDER', value: price => price.provider },
        { title: 'MODEL', value: price => price.model },
        { title: 'FROM', value: price => (price.fromMs === 0 ? null : minute(price.fromMs)) },
        { title: 'PRICE', value: priceText },
      ])
      cli.result(prices.map(priceView), prices.length === 0 ? '' : text)
    })
}

async function listUnpriced(cli: Cli, sinceMs: number): Promise<void> {
  const { store } = await cli.open()
  const rows = (await store.usage({ by: ['provider', 'model'], sinceMs })).filter(row => row.unpriced > 0)
  if (rows.length === 0) cli.note('everything that was used has a price')
  const text = table(rows, [
    { title: 'PROVIDER', value: row => row.values[0] },
    { title: 'MODEL', value: row => row.values[1] },
    { title: 'CALLS', value: row => row.unpriced, right: true },
    { title: 'INPUT', value: row => row.inputTokens, right: true },
    { title: 'OUTPUT', value: row => row.outputTokens, right: true },
  ])
  cli.result(
    rows.map(({ values: [provider, model], unpriced, inputTokens, outputTokens, units }) => ({
      provider,
      model,
      unpricedCalls: unpriced,
      inputTokens,
      outputTokens,
      units,
    })),
    rows.length === 0 ? '' : text,
  )
}
