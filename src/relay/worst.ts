import { SoakpError } from '../errors.js'
import type { CallFacts } from '../limits/limits.js'
import type { Prices } from '../prices/prices.js'
import type { KeyRecord } from '../stores/records.js'
import type { Exchange } from './exchange.js'

/** What a provider may put around a prompt by itself: tools make Anthropic add some hundred model tokens. */
const aroundTokens = 1000

/**
 * Most model tokens that one picture is billed as, whatever its size: OpenAI's small models count 2833 and 5667 for each of 8 tiles
 * (https://platform.openai.com/docs/guides/images-vision), Anthropic's newest up to 4784 (https://docs.claude.com/en/docs/build-with-claude/vision).
 */
const pictureTokens: Readonly<Record<string, number>> = { openai: 50_000, anthropic: 5_000 }

const needles = (...names: string[]) => names.map(name => Buffer.from(`"${name}`))

const pictures: Readonly<Record<string, readonly Buffer[]>> = {
  openai: needles('image_url":', 'input_image"'),
  anthropic: needles('image"'),
}

/** Members and types that bring in what is not in the body, or let the provider work on by itself: then nothing here bounds the input. */
const unbounded = needles(
  'previous_response_id"',
  'conversation"',
  'file_id"',
  'file_url"',
  'file_data"',
  'input_file"',
  'input_audio"',
  'document"',
  'container"',
  'fileData"',
  'file_uri"',
  'fileUri"',
  'inlineData"',
  'inline_data"',
  'cachedContent"',
  'cached_content"',
  'web_search',
  'web_fetch',
  'file_search',
  'code_interpreter',
  'code_execution',
  'codeExecution"',
  'computer_use',
  'computer_',
  'bash_',
  'image_generation"',
  'mcp',
  'googleSearch',
  'google_search',
  'googleMaps"',
  'urlContext"',
  'url_context"',
  'search_parameters"',
  'plugins"',
  'documents"',
  'connectors"',
  'prompt":{',
  'prompt": {',
)

/** A letter written as an escape: a name that hides from a search for its bytes. */
const hidden = /\\u00[2-7]/i

/** The most model tokens that a request can bring in: its bytes, and what its pictures may count as. Undefined: nothing bounds it. */
export function mostInputTokens(body: Buffer, dialect: string): number | undefined {
  const plain =
    body.includes('\\u00') && hidden.test(body.toString('latin1')) ? Buffer.from(JSON.stringify(JSON.parse(body.toString('utf8')))) : body
  for (const needle of unbounded) if (plain.includes(needle)) return undefined
  let most = body.length + aroundTokens
  for (const needle of pictures[dialect] ?? pictures.openai ?? []) {
    for (let at = plain.indexOf(needle); at >= 0; at = plain.indexOf(needle, at + 1)) most += pictureTokens[dialect] ?? 50_000
  }
  return most
}

const reading: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS'])

/** What limits ask of a call whose body was looked at. Nothing is worked out before a budget asks. */
export function factsOf(exchange: Exchange, key: KeyRecord, prices: Pick<Prices, 'find'>): CallFacts {
  const { endpoint, inspected } = exchange
  const model = inspected?.severalModels ? null : exchange.model
  return {
    keyId: key.id,
    model,
    mayNameModel: endpoint === undefined || endpoint.models.length > 0,
    worst: quantity => worstOf(exchange, prices, quantity),
  }
}

interface Most {
  readonly inputTokens: number
  readonly maxOutputTokens: number | undefined
  readonly choices: number
}

/** Throws `cost_unbounded` where nothing bounds it and the grant does not say what to assume. */
function worstOf(exchange: Exchange, prices: Pick<Prices, 'find'>, quantity: 'microDollars' | 'tokens'): number {
  const { endpoint, call, grant } = exchange
  if (endpoint?.free || (reading.has(call.request.method) && !endpoint?.perCall && !call.upgrade)) return 0
  const most = endpoint?.estimate === undefined ? undefined : mostOf(exchange)
  if (quantity === 'tokens') {
    if (endpoint?.perCall || endpoint?.countsText) return 0
    const { inputTokens, maxOutputTokens, choices } = most ?? {}
    if (inputTokens !== undefined && maxOutputTokens !== undefined) return inputTokens + maxOutputTokens * (choices ?? 1)
    throw notBounded(exchange, most)
  }
  const worst = dollarsOf(exchange, prices, most) ?? grant?.record.maxCallMicroDollars
  if (worst === undefined || worst === null) throw notBounded(exchange, most)
  return worst
}

function dollarsOf(exchange: Exchange, prices: Pick<Prices, 'find'>, most: Most | undefined): number | undefined {
  const { endpoint, call, model, inspected } = exchange
  const price = prices.find(call.provider, model, call.startedAtMs)
  if (!price) return undefined
  if (most) return price.worstCase(most)
  if (endpoint?.perCall) return price.worstCase({ inputTokens: 0, maxOutputTokens: 0, units: 1, unit: endpoint.perCall })
  if (inspected?.characters === undefined) return undefined
  return price.worstCase({ inputTokens: 0, maxOutputTokens: 0, units: inspected.characters, unit: 'characters' })
}

function mostOf({ endpoint, provider, inspected }: Exchange): Most | undefined {
  // servers take a wish that is none, and any number of answers, for something else than it says
  if (!inspected || inspected.severalModels || !((inspected.choices ?? 1) >= 1)) return undefined
  const inputTokens = mostInputTokens(inspected.original, (endpoint?.dialect ?? provider?.dialect)?.name ?? '')
  if (inputTokens === undefined) return undefined
  return { inputTokens, maxOutputTokens: endpoint?.estimate === 'input' ? 0 : inspected.maxOutput, choices: inspected.choices ?? 1 }
}

function notBounded({ endpoint, model, inspected }: Exchange, most: Most | undefined): SoakpError {
  const assume = 'the operator can say what to assume: soakp token set ID --max-cost-per-call USD'
  if (most && inspected?.maxOutput === undefined && endpoint?.estimate === true)
    return new SoakpError('cost_unbounded', 'It does not say how much output is wanted.', {
      hint: `say so, as in max_tokens; or ${assume}`,
    })
  if (most && model !== null) return new SoakpError('cost_unbounded', `No price is known of ${model.slice(0, 100)}.`, { hint: assume })
  return new SoakpError('cost_unbounded', 'It brings in what is not in its body, or has no price by size.', { hint: assume })
}
