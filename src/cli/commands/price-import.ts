import { readFile, stat } from 'node:fs/promises'
import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { PriceRecord } from '../../stores/records.js'
import type { Cli } from '../cli.js'
import { checkedModel, checkedProvider, parseTarget, priceView, ratesFrom } from '../input/price.js'

const maxBytes = 10 * 1024 * 1024

/** `soakp price import`: a file as `soakp --json price list` writes it. All of it is checked before any of it is taken. */
export function priceImport(cli: Cli): Command {
  return new Command('import')
    .description('set many prices from a file, as `soakp --json price list` writes it')
    .argument('<file>', 'JSON: [{"provider", "model", "from"?, "prices": {"input": 2.5, …} or "sameAs": "openai/gpt-4o"}]')
    .action(async (file: string) => {
      const records = await readPrices(file, cli.now())
      const { store } = await cli.open()
      await store.putPrices(records)
      cli.result(records.map(priceView), `${records.length} prices set`)
    })
}

async function readPrices(file: string, now: number): Promise<PriceRecord[]> {
  if ((await stat(file)).size > maxBytes) throw new SoakpError('usage', `${file} is larger than 10 MB.`)
  const rows = parsed(await readFile(file, 'utf8'), file)
  if (!Array.isArray(rows)) throw new SoakpError('usage', `${file} holds no list.`)
  return rows.map((row, index) => {
    try {
      return readPrice(row, now)
    } catch (error) {
      if (!(error instanceof SoakpError)) throw error
      throw new SoakpError('usage', `Row ${index + 1} of ${file}: ${(error.code === 'usage' && error.detail) || error.message}`, {
        cause: error,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      })
    }
  })
}

function parsed(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new SoakpError('usage', `${file} is no JSON.`, { cause })
  }
}

function readPrice(row: unknown, now: number): PriceRecord {
  const { provider, model, from, prices, sameAs, ...unknown } = Object(row) as Record<string, unknown>
  const [stranger] = Object.keys(unknown)
  if (stranger !== undefined) throw new SoakpError('usage', `It has a member ${stranger.slice(0, 40)}, which means nothing.`)
  if (typeof provider !== 'string' || typeof model !== 'string') throw new SoakpError('usage', 'It names no provider and model.')
  const fromMs = typeof from === 'string' ? Date.parse(from) : from === undefined || from === null ? 0 : Number.NaN
  if (Number.isNaN(fromMs)) throw new SoakpError('usage', 'Its "from" is no time such as 2026-11-01T00:00:00Z.')
  const common = { provider: checkedProvider(provider), model: checkedModel(model), fromMs, createdAtMs: now }
  if (typeof sameAs === 'string' && prices === undefined) {
    const target = parseTarget(sameAs)
    return { ...common, rates: null, sameAs: `${target.provider}/${target.model}` }
  }
  if (typeof prices !== 'object' || prices === null || sameAs !== undefined)
    throw new SoakpError('usage', 'It has to have either "prices" or "sameAs".')
  return { ...common, rates: ratesFrom(prices as Record<string, unknown>), sameAs: null }
}
