import { Command } from 'commander'
import { ownPrices } from '../../prices/own-list.js'
import type { Cli } from '../cli.js'
import { minute, table } from '../format.js'
import { type Moment, momentMs, momentOption } from '../input/options.js'
import { pricesOf, priceText, priceView } from '../input/price.js'

interface Options {
  readonly unpriced?: boolean
  readonly builtIn?: boolean
  readonly since?: Moment
}

const defaultSinceMs = 30 * 86_400_000

/** `soakp price list`: the operator's own prices, or what was used without one. */
export function priceList(cli: Cli): Command {
  return new Command('list')
    .description('list the prices you set; listed prices come with soakp')
    .option('--unpriced', 'list instead what was used and has no price')
    .option('--built-in', "list instead soakp's own short list, with where each price was read")
    .addOption(momentOption('--since <when>', 'with --unpriced: from when on (default: 30d)'))
    .action(async ({ unpriced, builtIn, since }: Options) => {
      if (builtIn) return listBuiltIn(cli)
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

/** Listed prices of the bundled list are thousands, and each is shown by `price show`. */
function listBuiltIn(cli: Cli): void {
  const prices = ownPrices()
  const text = table(prices, [
    { title: 'PROVIDER', value: price => price.provider },
    { title: 'MODEL', value: price => price.model },
    { title: 'PRICE', value: ({ rates }) => priceText({ rates, sameAs: null }) },
    { title: 'VERIFIED', value: ({ isVerified }) => (isVerified ? 'yes' : 'no') },
    { title: 'SOURCE', value: price => price.source },
  ])
  if (prices.some(({ isVerified }) => !isVerified))
    cli.note('what is not verified was not read on a page of the provider: set your own with `soakp price set`')
  cli.result(
    prices.map(({ provider, model, rates, source, isVerified }) => ({
      provider,
      model,
      prices: pricesOf(rates),
      source,
      verified: isVerified,
    })),
    text,
  )
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
