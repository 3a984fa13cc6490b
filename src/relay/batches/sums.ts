import type { Rules } from '../../access/rules.js'
import { compilePointers, type Found, scanJson } from '../../lib/json-scan.js'
import { type Batch, ownershipOf } from '../../providers/index.js'
import type { Dialect, Endpoint } from '../../providers/provider.js'
import { bareModel } from '../body/inspect.js'
import { wantedOf } from '../body/wanted.js'
import { namedIn } from '../owned/owned.js'
import { mostInputTokens } from '../spending/worst-input.js'
import type { ItemCall } from './item.js'

/** The most that all requests of a batch to one model can consume. */
export interface ModelSum {
  requests: number
  /** `null`: nothing bounds it. */
  inputTokens: number | null
  /** Of the largest request. */
  largestInput: number
  /** What they ask for, all choices together. */
  outputTokens: number
  /** Answers of those that do not say how long they may be. */
  unsaid: number
}

/** What was seen of a batch's requests; kept as JSON beside a file that holds them. */
export interface BatchSums {
  requests: number
  /** By name; under the empty one those that do not say it. */
  models: Record<string, ModelSum>
  /** The calls they stand for, as they name them; an empty one: they do not say. */
  paths: string[]
  /** The most that any of them asks for, all choices together. */
  mostOutput: number
  /** Whose things they name: kind and id. */
  names: (readonly [kind: string, id: string])[]
  /** Why they cannot be judged. */
  fault?: string
}

export const noSums = (): BatchSums => ({ requests: 0, models: {}, paths: [], mostOutput: 0, names: [] })

/** What a hostile file may fill memory with. */
const mostModels = 100
const mostPaths = 20
const mostNames = 1000

/** What one request asks for, as the call that it stands for would be judged. A text: why it cannot be. */
interface Item {
  readonly models: readonly string[]
  /** Of each choice; undefined: it does not say. */
  readonly output: number | undefined
  readonly choices: number
  readonly names: BatchSums['names']
}

/** As it was kept beside a file; undefined for what is no such sum. */
export function readSums(facts: string | null | undefined): BatchSums | undefined {
  return facts ? (JSON.parse(facts) as BatchSums) : undefined
}

/** The requests that stand in the body of the call that makes the batch, each as `item`. Undefined: none do, or it cannot be told. */
export function sumInline(
  inline: NonNullable<Batch['inline']>,
  item: ItemCall,
  body: Buffer,
  rules: Pick<Rules, 'reachesAll'>,
): BatchSums | undefined {
  const { bodies, unless = [] } = inline
  const scan = scanJson(body, compilePointers([bodies, ...unless]))
  if (!scan.ok || scan.found.length === 0 || scan.found.some(({ pointer }) => pointer !== bodies)) return undefined
  const sums = noSums()
  for (const { start, end } of scan.found) addItem(sums, item, body.subarray(start, end), rules)
  return sums
}

/** What a request names that does not say which call it is, if it is one of this kind. */
export function addNames(sums: BatchSums, { endpoint, dialect }: ItemCall, body: Buffer, rules: Pick<Rules, 'reachesAll'>): void {
  const item = endpoint && sums.fault === undefined ? readItem(endpoint, dialect, body, rules) : undefined
  if (typeof item === 'string') sums.fault ??= item
  else if (item) keepNames(sums, item.names)
}

function keepNames(sums: BatchSums, names: BatchSums['names']): void {
  for (const name of names) if (!sums.names.some(([kind, id]) => kind === name[0] && id === name[1])) sums.names.push(name)
  if (sums.names.length > mostNames) sums.fault ??= 'they name too many things'
}

/** Adds one request. `length`: of all that is said of it, which bounds what it brings in. */
export function addItem(sums: BatchSums, { path, endpoint, dialect }: ItemCall, body: Buffer, rules: Pick<Rules, 'reachesAll'>): void {
  sums.requests++
  if (sums.fault !== undefined) return
  if (!sums.paths.includes(path)) sums.paths.push(path)
  if (sums.paths.length > mostPaths) sums.fault ??= 'they stand for too many kinds of calls'
  const item = endpoint ? readItem(endpoint, dialect, body, rules) : { models: [], output: undefined, choices: 1, names: [] }
  if (typeof item === 'string') {
    sums.fault ??= item
    return
  }
  keepNames(sums, item.names)
  for (const model of item.models.length === 0 ? [''] : item.models) addTo(sums, model, endpoint, dialect, item, body)
}

function addTo(sums: BatchSums, model: string, endpoint: Endpoint | undefined, dialect: Dialect, item: Item, body: Buffer): void {
  // a name that would not be one of the object's own
  if (model === '__proto__') sums.fault ??= 'they name a model that is none'
  const known = Object.hasOwn(sums.models, model)
  if (!known && Object.keys(sums.models).length >= mostModels) sums.fault ??= 'they name too many models'
  if (sums.fault !== undefined) return
  const sum = known ? (sums.models[model] as ModelSum) : { requests: 0, inputTokens: 0, largestInput: 0, outputTokens: 0, unsaid: 0 }
  sums.models[model] = sum
  sum.requests++
  if (endpoint?.free) return
  if (endpoint === undefined || endpoint.estimate === true) {
    if (!(item.choices >= 1)) sum.unsaid++
    else if (item.output === undefined) sum.unsaid += item.choices
    else {
      sum.outputTokens += item.output * item.choices
      sums.mostOutput = Math.max(sums.mostOutput, item.output * item.choices)
    }
  }
  // any of several models may answer, and which of them is not known
  const isBounded = endpoint?.estimate !== undefined && item.models.length < 2 && item.choices >= 1
  const input = isBounded ? mostInputTokens(body, (endpoint.dialect ?? dialect).name) : undefined
  if (input === undefined) {
    sum.inputTokens = null
    return
  }
  if (sum.inputTokens !== null) sum.inputTokens += input
  sum.largestInput = Math.max(sum.largestInput, input)
}

function readItem(endpoint: Endpoint, dialect: Dialect, body: Buffer, rules: Pick<Rules, 'reachesAll'>): Item | string {
  const plan = wantedOf(endpoint, endpoint.dialect ?? dialect)
  const scan = scanJson(body, plan.pointers)
  if (!scan.ok) return scan.fault === 'ambiguous' ? 'a name stands twice in one of them' : 'one of them is no JSON'
  if (scan.root !== 'object') return 'one of them is no object'
  const models: string[] = []
  const outputs: Found['value'][] = []
  let choices = 1
  for (const { pointer, value } of scan.found) {
    if (plan.models.has(pointer)) {
      if (typeof value === 'string') models.push(bareModel(value, dialect))
      else if (value !== null && !(value === undefined && plan.modelHolders.has(pointer)))
        return 'one of them names a model by something else than a text'
    } else if (plan.maxOutput.has(pointer)) {
      if (value !== null) outputs.push(value)
    } else if (plan.choices.has(pointer) && value !== null) choices = Math.max(choices, typeof value === 'number' ? value : Number.NaN)
  }
  const plain = outputs.every(value => typeof value === 'number' && value >= 0) ? (outputs as number[]) : undefined
  const output = plain === undefined || plain.length === 0 ? undefined : Math.ceil(Math.max(...plain))
  const named = namesIn(endpoint, scan.found, body, rules)
  return typeof named === 'string' ? named : { models: [...new Set(models)], output, choices, names: named }
}

function namesIn(endpoint: Endpoint, found: readonly Found[], body: Buffer, rules: Pick<Rules, 'reachesAll'>): BatchSums['names'] | string {
  const ownership = ownershipOf(endpoint)
  if (!ownership) return []
  try {
    return (namedIn(ownership, found, body, rules) ?? []).flatMap(({ kind, id }) => (kind === undefined ? [] : [[kind, id] as const]))
  } catch {
    return 'one of them names a thing by something else than a text'
  }
}
