import { type Rules, rulesOf } from '../../access/rules.js'
import { SoakpError } from '../../errors.js'
import { pathReadings } from '../../providers/index.js'
import type { Exchange } from '../exchange.js'
import { matchItem } from './item.js'
import type { BatchSums } from './sums.js'

/**
 * Holds the grant's rules against each request of a batch, as if it had come by itself. Throws `model_not_allowed`, `model_unknown`, `output_too_large`, `endpoint_not_open`, and
 * `invalid_body` for requests that cannot be judged.
 */
export function judgeBatch(exchange: Exchange, sums: BatchSums | undefined): void {
  const { grant } = exchange
  if (!grant) throw new SoakpError('internal', 'a batch without a grant')
  const { record } = grant
  const rules = rulesOf(record)
  const isRuled = rules.limitsModels || record.maxOutputTokens !== null || !rules.opensInference
  if (sums?.fault !== undefined && (isRuled || !rules.reachesAll))
    throw new SoakpError('invalid_body', `The requests of the batch cannot be judged: ${sums.fault}.`)
  if (sums) judgePaths(exchange, sums)
  if (rules.limitsModels) judgeModels(rules, sums)
  if (record.maxOutputTokens !== null) judgeOutput(record.maxOutputTokens, sums)
}

function judgeModels(rules: Rules, sums: BatchSums | undefined): void {
  const models = Object.keys(sums?.models ?? {})
  if (models.length === 0 || models.includes(''))
    throw new SoakpError(
      'model_unknown',
      'Upload the file of its requests through soakp, with the purpose batch; each has to say its model.',
    )
  const refused = models.find(model => !rules.allowsModel(model) && !rules.allowsModel(model.replace(/^models\//, '')))
  if (refused !== undefined) throw new SoakpError('model_not_allowed', JSON.stringify(refused.slice(0, 100)))
}

function judgeOutput(limit: number, sums: BatchSums | undefined): void {
  if (!sums)
    throw new SoakpError('output_too_large', `It is not known how much its requests ask for; each may ask for ${limit} model tokens.`)
  const isUnsaid = Object.values(sums.models).some(({ unsaid }) => unsaid > 0)
  if (isUnsaid)
    throw new SoakpError('output_too_large', `Each of its requests has to say how much is wanted: at most ${limit} model tokens.`)
  if (sums.mostOutput > limit)
    throw new SoakpError('output_too_large', `At most ${limit} model tokens for each of its requests, all choices together.`)
}

/** Only inference is work of a batch. */
function judgePaths({ call, grant, provider }: Exchange, { paths }: BatchSums): void {
  if (!grant || !provider) return
  const rules = rulesOf(grant.record)
  for (const path of paths) {
    const row = matchItem(provider, path)
    if (row === 'closed') throw notOpen(path)
    if (row !== 'new' && rules.opensInference) continue
    const kind = row === 'new' ? ({ class: 'new', rowPattern: undefined } as const) : { class: row.class, rowPattern: row.pattern }
    if (!rules.opens({ ...kind, provider: call.provider, method: 'POST', readings: pathReadings(path) })) throw notOpen(path)
  }
}

function notOpen(path: string): SoakpError {
  return new SoakpError('endpoint_not_open', `One of the batch's requests is for ${path.replace(/[^A-Za-z0-9/_.:~-]/g, '*')}.`)
}
