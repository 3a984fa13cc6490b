import { Command, InvalidArgumentError, Option } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Cli } from '../cli.js'
import { type Moment, momentMs, momentOption } from '../input/options.js'
import { checkedModel, checkedProvider, freeRates, parsePrice, priceFields, priceText, priceView, ratesFrom } from '../input/price.js'

type Options = Readonly<Record<string, unknown>> & { readonly from?: Moment; readonly free?: boolean }

/** `soakp price set`: a price of the operator's own, which wins over every list. */
export function priceSet(cli: Cli): Command {
  const command = new Command('set')
    .description('set what a model costs you, instead of its listed price or where there is none')
    .argument('<provider>', 'as in paths: openai, azure-openai, the name of one of your own')
    .argument('<model>', 'its name, or a pattern in which * stands for any characters')
  for (const { name, what } of priceFields) command.addOption(dollarOption(name, what))
  return command
    .option('--free', 'it costs nothing, as a server of your own does')
    .addOption(
      momentOption(
        '--from <when>',
        'calls from then on have this price: a date, a time, or so long ago (default: now, or ever where it has none yet)',
      ),
    )
    .action(async (providerName: string, modelName: string, { from, free, ...prices }: Options) => {
      const provider = checkedProvider(providerName)
      const model = checkedModel(modelName)
      if (free && Object.keys(prices).length > 0) throw new SoakpError('usage', '--free and a price exclude each other.')
      const rates = free ? freeRates : ratesFrom(prices)
      const { store } = await cli.open()
      const isFirst = (await store.listPrices()).every(price => price.provider !== provider || price.model !== model)
      const fromMs = from ? momentMs(from, cli.now()) : isFirst ? 0 : cli.now()
      const record = { provider, model, fromMs, rates, sameAs: null, createdAtMs: cli.now() }
      await store.putPrices([record])
      cli.result(priceView(record), `${provider}/${model}: ${priceText(record)}`)
    })
}

function dollarOption(name: string, what: string): Option {
  return new Option(`--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)} <dollars>`, what).argParser(text => {
    const dollars = parsePrice(text)
    if (dollars === undefined) throw new InvalidArgumentError('It is an amount of dollars such as 2.50.')
    return dollars
  })
}
