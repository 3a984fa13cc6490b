import { compilePointers, scanJson } from '../../lib/json-scan.js'
import type { Batch } from '../../providers/index.js'
import type { Provider } from '../../providers/provider.js'
import { bareModel } from '../body/inspect.js'
import { callOf, type ItemCall } from './item.js'
import { type BatchSums, type ModelSum, noSums } from './sums.js'

/** What a batch says for all of its requests. */
export interface BatchJob {
  /** As it says them, in its path and its body: more than one is a contradiction. */
  readonly models: readonly string[]
  readonly endpoint: ItemCall | undefined
  /** Something else answers in a model's place. */
  readonly hasAgent: boolean
}

/** Texts that stand in the body at these pointers; a value of another kind is an empty one. */
export function textsAt(body: Buffer, ...pointers: (string | undefined)[]): string[] {
  const wanted = pointers.filter(pointer => pointer !== undefined)
  const scan = wanted.length === 0 ? undefined : scanJson(body, compilePointers(wanted))
  if (!scan?.ok) return []
  return scan.found.flatMap(({ value }) => (value === null ? [] : [typeof value === 'string' ? value : '']))
}

export function readJob(batch: Batch, provider: Provider, path: string, body: Buffer): BatchJob {
  const inPath = batch.modelInPath?.exec(path)?.[1]
  const models = [...(inPath === undefined ? [] : [inPath]), ...(batch.model ?? []).flatMap(pointer => textsAt(body, pointer))]
  const [endpoint] = textsAt(body, batch.endpoint)
  return {
    models: [...new Set(models.map(model => bareModel(model, provider.dialect)))],
    endpoint: endpoint === undefined ? undefined : callOf(provider, 'POST', endpoint),
    hasAgent: textsAt(body, batch.agent).length > 0,
  }
}

/** What its requests ask for, given what the batch says for all of them. */
export function withJob(given: BatchSums, { models, endpoint, hasAgent }: BatchJob): BatchSums {
  const sums = structuredClone(given)
  const own = Object.keys(sums.models).filter(model => model !== '')
  const [model] = models
  if (models.length > 1 || (model !== undefined && own.some(name => name !== model)))
    return { ...sums, fault: 'they name other models than the batch does' }
  const unnamed = sums.models['']
  if (hasAgent) sums.models[''] = { ...(unnamed ?? nothing), inputTokens: null }
  else if (model !== undefined && unnamed) {
    delete sums.models['']
    sums.models[model] = added(sums.models[model], unnamed)
  }
  if (!endpoint) return sums
  if (sums.paths.some(path => path !== '' && path !== endpoint.path))
    return { ...sums, fault: 'they are for other calls than the batch says' }
  sums.paths = [endpoint.path]
  const { estimate } = endpoint.endpoint ?? {}
  if (estimate !== true) sums.mostOutput = 0
  for (const sum of Object.values(sums.models)) {
    if (estimate === undefined) sum.inputTokens = null
    if (estimate !== true) sum.unsaid = sum.outputTokens = 0
  }
  return sums
}

/** Of several files. Undefined: one of them was not seen. */
export function sumOfAll(all: readonly (BatchSums | undefined)[]): BatchSums | undefined {
  const sums = noSums()
  for (const one of all) {
    if (!one) return undefined
    if (one.fault !== undefined) sums.fault = one.fault
    sums.requests += one.requests
    sums.mostOutput = Math.max(sums.mostOutput, one.mostOutput)
    sums.paths = [...new Set([...sums.paths, ...one.paths])]
    sums.names = [...sums.names, ...one.names]
    for (const [model, sum] of Object.entries(one.models)) sums.models[model] = added(sums.models[model], sum)
  }
  return all.length === 0 ? undefined : sums
}

const nothing: ModelSum = { requests: 0, inputTokens: 0, largestInput: 0, outputTokens: 0, unsaid: 0 }

function added(a: ModelSum = nothing, b: ModelSum): ModelSum {
  return {
    requests: a.requests + b.requests,
    inputTokens: a.inputTokens === null || b.inputTokens === null ? null : a.inputTokens + b.inputTokens,
    largestInput: Math.max(a.largestInput, b.largestInput),
    outputTokens: a.outputTokens + b.outputTokens,
    unsaid: a.unsaid + b.unsaid,
  }
}
