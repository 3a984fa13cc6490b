import { compilePointers, type Pointers, scanJson } from '../../lib/json-scan.js'
import { secondsOfWav } from '../../lib/wav.js'
import { pictureTokens } from '../../prices/picture-tokens.js'
import type { AtMost, Price } from '../../prices/prices.js'
import { dialectOf, type Exchange, type Inspected } from '../exchange.js'
import { aroundTokens, mostInputTokens } from './worst-input.js'

/**
 * The most that a call can consume whose cost goes by something else than its text, as `Endpoint.bills` says. `price`: where one is known; it says by what the model is billed. Undefined: nothing
 * bounds it.
 */
export function mostBilled(exchange: Exchange, price: Price | undefined): AtMost | undefined {
  const { endpoint, inspected } = exchange
  if (!inspected || inspected.severalModels) return undefined
  if (endpoint?.bills === 'pictures') return ofPictures(exchange, inspected, price)
  return endpoint?.bills === 'sound' ? ofSound(inspected, price) : ofDocuments(exchange, inspected, price)
}

type Value = string | number | boolean | null | undefined

const picturePointers = compilePointers(['/quality', '/size', '/partial_images'])
/** Fields of a form in which pictures are, and what else it may say without costing more than its bytes. */
const pictureField = /^(?:image(?:\[\d{0,3}\])?|mask)$/

function ofPictures(exchange: Exchange, inspected: Inspected, price: Price | undefined): AtMost | undefined {
  const { model, endpoint } = exchange
  const many = inspected.choices ?? 1
  if (!(many >= 1)) return undefined
  const units = { units: many, unit: 'images' } as const
  const isByTokens = price ? price.rates.output !== undefined || price.rates.imageOutput !== undefined : !endpoint?.perCall
  if (!isByTokens) return { ...nothing, ...units }
  const wishes = inspected.form?.fields ?? fieldsOf(inspected.original, picturePointers)
  const partial = Number(wishes?.get('partial_images') ?? 0)
  const most = wishes && partial >= 0 ? pictureTokens(model ?? '', wishes.get('quality'), wishes.get('size'), partial) : undefined
  const inputTokens =
    most && (inspected.form ? inputOfForm(inspected, most.input) : mostInputTokens(inspected.original, dialectOf(exchange)?.name ?? ''))
  if (!most || inputTokens === undefined) return undefined
  return { inputTokens, maxOutputTokens: most.output, choices: many, ...(price?.rates.images !== undefined && units) }
}

const nothing = { inputTokens: 0, maxOutputTokens: 0 } as const

function inputOfForm({ form }: Inspected, perPicture: number): number | undefined {
  let most = aroundTokens
  for (const { name, isFile, start, end } of form?.parts ?? []) {
    const isPicture = pictureField.test(name)
    if (isPicture !== isFile) return undefined
    most += isPicture ? perPicture : end - start
  }
  return most
}

/** What the form of a transcript may say without costing more. What is not here may fetch a file, or count channels and speakers apart. */
const soundFields: ReadonlySet<string> = new Set([
  'file',
  'model',
  'model_id',
  'language',
  'language_code',
  'prompt',
  'response_format',
  'temperature',
  'stream',
  'timestamp_granularities',
  'timestamp_granularities[]',
  'timestamps_granularity',
  'include',
  'include[]',
])

/** Models that are billed by tokens hear no more than their context holds; for the others the file says how long it is, if it is of plain samples. */
function ofSound({ form, original }: Inspected, price: Price | undefined): AtMost | undefined {
  const files = form?.parts.filter(({ isFile }) => isFile) ?? []
  const [file] = files
  if (!form || !file || files.length > 1 || file.name !== 'file' || form.parts.some(({ name }) => !soundFields.has(name))) return undefined
  if (price?.rates.audioSeconds === undefined) {
    const context = price?.contextTokens
    return context === undefined ? undefined : { inputTokens: context, maxOutputTokens: context }
  }
  const units = secondsOfWav(original.subarray(file.start, file.end))
  return units === undefined ? undefined : { ...nothing, units, unit: 'audioSeconds' }
}

const documentPointers = compilePointers(['/query', '/documents/*', '/texts/*'])
/** A document that is longer than this, together with the query, counts as several (https://docs.cohere.com/docs/how-does-cohere-pricing-work). */
const tokensOfDocument = 500
const documentsOfUnit = 100

/** Cohere counts searches of a hundred documents, others all tokens, the question anew for each document. No text has more tokens than bytes. */
function ofDocuments(exchange: Exchange, { original }: Inspected, price: Price | undefined): AtMost | undefined {
  const scan = scanJson(original, documentPointers)
  if (!scan.ok) return undefined
  const query = scan.found.find(({ pointer }) => pointer === '/query')
  const queryBytes = query ? query.end - query.start : original.length
  const documents = scan.found.length - (query ? 1 : 0)
  if (price?.rates.searchUnits !== undefined) {
    const pieces = documents + Math.ceil(original.length / Math.max(1, tokensOfDocument - queryBytes))
    return { ...nothing, units: Math.max(1, Math.ceil(pieces / documentsOfUnit)), unit: 'searchUnits' }
  }
  const text = mostInputTokens(original, dialectOf(exchange)?.name ?? '')
  return text === undefined ? undefined : { inputTokens: text + documents * queryBytes, maxOutputTokens: 0 }
}

function fieldsOf(body: Buffer, pointers: Pointers): ReadonlyMap<string, Value> | undefined {
  const scan = scanJson(body, pointers)
  return scan.ok ? new Map(scan.found.map(({ pointer, value }) => [pointer.slice(1), value])) : undefined
}
