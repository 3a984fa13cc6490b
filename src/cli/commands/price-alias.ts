import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Cli } from '../cli.js'
import { parseTarget, priceText, priceView } from '../input/price.js'

/** `soakp price alias`: a deployment, or a name of one's own, that costs what a listed model costs. */
export function priceAlias(cli: Cli): Command {
  return new Command('alias')
    .description('let a model cost what another one costs: for deployments and names that no list knows')
    .argument('<name=model>', 'as in azure-openai/our-chat=azure-openai/gpt-4o')
    .action(async (text: string) => {
      const [name = '', target = '', ...rest] = text.split('=')
      if (rest.length > 0 || target === '')
        throw new SoakpError('usage', 'It is written PROVIDER/MODEL=PROVIDER/MODEL.', {
          hint: 'as in azure-openai/our-chat=azure-openai/gpt-4o',
        })
      const { provider, model } = parseTarget(name)
      const other = parseTarget(target)
      const sameAs = `${other.provider}/${other.model}`
      const { store, prices } = await cli.open()
      if (!prices.find(other.provider, other.model, cli.now()))
        throw new SoakpError('price_not_found', sameAs, { hint: 'set it: soakp price set PROVIDER MODEL --input … --output …' })
      const record = { provider, model, fromMs: 0, rates: null, sameAs, createdAtMs: cli.now() }
      await store.removePrice(provider, model)
      await store.putPrices([record])
      cli.result(priceView(record), `${provider}/${model}: ${priceText(record)}`)
    })
}
