import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Cli } from '../cli.js'
import { checkedModel, checkedProvider } from '../input/price.js'

/** `soakp price remove`: the listed price holds again. What calls were charged stays. */
export function priceRemove(cli: Cli): Command {
  return new Command('remove')
    .description('take prices of your own away; what calls were charged stays')
    .argument('<provider>', 'as it was set')
    .argument('<model>', 'as it was set')
    .action(async (providerName: string, modelName: string) => {
      const provider = checkedProvider(providerName)
      const model = checkedModel(modelName)
      const { store } = await cli.open()
      if (!(await store.removePrice(provider, model)))
        throw new SoakpError('price_not_found', `${provider}/${model}`, { hint: '`soakp price list` shows what you set' })
      cli.result({ provider, model, removed: true }, `${provider}/${model} has no price of yours any more`)
    })
}
