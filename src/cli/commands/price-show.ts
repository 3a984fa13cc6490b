import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import { ownListVersion, sourceOf } from '../../prices/own-list.js'
import type { Cli } from '../cli.js'
import { facts } from '../format.js'
import { checkedModel, checkedProvider, pricesOf } from '../input/price.js'

/** `soakp price show`: what a model costs now, and who says so. */
export function priceShow(cli: Cli): Command {
  return new Command('show')
    .description('show what a model costs now, and which list says so')
    .argument('<provider>', 'as in paths')
    .argument('<model>', 'as requests name it')
    .action(async (providerName: string, modelName: string) => {
      const provider = checkedProvider(providerName)
      const model = checkedModel(modelName)
      const { prices } = await cli.open()
      const price = prices.find(provider, model, cli.now())
      if (!price)
        throw new SoakpError('price_not_found', `${provider}/${model}`, {
          hint: 'set it: soakp price set PROVIDER MODEL --input … --output …',
        })
      const dollars = pricesOf(price.rates)
      const listed = price.version.startsWith(`${ownListVersion}/`) ? sourceOf(provider, model) : undefined
      const larger = price.tiers.map(({ above, rates }) => ({ above, prices: pricesOf(rates) }))
      cli.result(
        {
          provider,
          model,
          version: price.version,
          prices: dollars,
          tiers: larger,
          ...(listed && { source: listed.source, verified: listed.isVerified }),
        },
        facts([
          ['price', price.version],
          ...Object.entries(dollars),
          ...(listed
            ? [
                ['read at', listed.source] as const,
                ['verified', listed.isVerified ? 'yes' : "no: it was not read on a page of the provider's own"] as const,
              ]
            : []),
          ...larger.flatMap(({ above, prices }) =>
            Object.entries(prices).map(([name, value]) => [`${name}, input above ${above}`, value] as const),
          ),
        ]),
      )
    })
}
