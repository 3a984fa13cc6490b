import type { Rules } from '../../access/rules.js'
import { SoakpError } from '../../errors.js'
import { type Found, type Scan, scanJson } from '../../lib/json-scan.js'
import { spliceStreamOptions } from '../../lib/json-splice.js'
import { type OwnershipPlan, ownershipOf } from '../../providers/index.js'
import type { Dialect, Endpoint } from '../../providers/provider.js'
import type { GrantRecord } from '../../stores/records.js'
import type { Exchange, Inspected, UnifiedCall } from '../exchange.js'
import { holds, namedIn } from '../owned/owned.js'
import { bareName } from '../query-name.js'
import { clampOutput } from '../spending/clamp.js'
import { wantedOf } from './wanted.js'

/** How a body is treated on its way out. `read`: into memory, scanned; `stream`: as it comes; `form`: as it comes, the model looked for underway; `none`: there is none. */
export type BodyPlan = 'read' | 'stream' | 'form' | 'none'

const isForm = (contentType: string) => contentType.startsWith('multipart/form-data')
const isJson = (contentType: string) => contentType.startsWith('application/json') || /^[^;]*\+json/.test(contentType)

const mayGenerate = (method: string | undefined) => method !== 'GET' && method !== 'HEAD' && method !== 'DELETE'

/** Whether a rule of the grant depends on what this call's body says. */
function isRuled(exchange: Exchange, rules: Rules, grant: GrantRecord): boolean {
  return (
    rules.limitsModels ||
    exchange.asks?.model === true ||
    isCosted(exchange) ||
    isKept(exchange, rules) ||
    (grant.maxOutputTokens !== null && exchange.endpoint?.estimate === true)
  )
}

/** A budget depends on what it asks for. */
function isCosted({ asks, endpoint }: Exchange): boolean {
  return asks?.cost === true && endpoint !== undefined && (endpoint.estimate ?? endpoint.countsText ?? endpoint.bills) !== undefined
}

/** Limits ask for what stands in a form, before the call leaves. */
export function isCountedForm({ asks, endpoint }: Exchange): boolean {
  if (asks === undefined || endpoint === undefined) return false
  return (asks.cost && endpoint.bills !== undefined) || (asks.model && hasFormField(endpoint))
}

function hasFormField(endpoint: Endpoint): boolean {
  return endpoint.models.some(place => place.in === 'multipart')
}

/** Whether a body may name things of others, which has to be seen. */
function isKept({ endpoint }: Exchange, rules: Rules): boolean {
  if (endpoint?.owns === undefined || rules.reachesAll) return false
  return (ownershipOf(endpoint)?.jsonNames.length ?? 0) > 0
}

/** Whether a form may name things of others. */
function mayNameInForm({ endpoint }: Exchange, rules: Rules): boolean {
  if (endpoint?.owns === undefined || rules.reachesAll) return false
  return (ownershipOf(endpoint)?.formNames.length ?? 0) > 0
}

/** Whether something depends on the fields of the call's form. */
export function isRuledForm(exchange: Exchange, rules: Rules): boolean {
  const { endpoint } = exchange
  return (
    (rules.limitsModels && endpoint !== undefined && hasFormField(endpoint)) || isCountedForm(exchange) || mayNameInForm(exchange, rules)
  )
}

/** A body in another charset than UTF-8 may hold other names than the ones seen in its bytes. */
const otherCharset = /;\s*charset\s*=\s*(?!"?utf-?8\b)/

/**
 * Throws where a rule cannot be held against the call: `model_unknown`, `output_too_large` where nothing is known of the endpoint, `encoded_body` and
 * `invalid_body` where the body cannot be looked into.
 */
export function planBody(exchange: Exchange, rules: Rules, grant: GrantRecord): BodyPlan {
  const { head, endpoint } = exchange
  const ruled = isRuled(exchange, rules, grant)
  if (!head) throw new SoakpError('internal', 'planBody before readHead')
  if (rules.limitsModels && !endpoint) throw new SoakpError('model_unknown', 'soakp does not know this endpoint.')
  if (!endpoint && grant.maxOutputTokens !== null && mayGenerate(exchange.call.request.method))
    throw new SoakpError('output_too_large', 'soakp does not know this endpoint.')
  if (!head.hasBody) return 'none'
  if (!endpoint) return 'stream'
  const kept = isKept(exchange, rules)
  if (ruled && head.encoded && (kept || endpoint.models.length > 0)) throw new SoakpError('encoded_body')
  if (isForm(head.contentType)) {
    if (isCountedForm(exchange)) return 'read'
    if (mayNameInForm(exchange, rules)) return exchange.rivals ? 'read' : 'form'
    if (hasFormField(endpoint)) return rules.limitsModels ? 'form' : 'stream'
    if (!ruled) return 'stream'
  }
  const inBody =
    kept ||
    endpoint.models.some(place => place.in === 'json') ||
    endpoint.includeUsage === true ||
    endpoint.estimate === true ||
    endpoint.countsText !== undefined ||
    (endpoint.bills !== undefined && isCosted(exchange))
  if (!inBody || head.encoded) return 'stream'
  if (ruled && otherCharset.test(head.contentType)) throw new SoakpError('invalid_body', 'Send it as UTF-8.')
  // under a rule a body is read whatever it calls itself: some providers take JSON under any type
  return ruled || isJson(head.contentType) ? 'read' : 'stream'
}

/** Judges a body that was read, and asks for usage in a stream where the client did not. Throws `model_not_allowed`, `model_unknown`, `output_too_large`, `ambiguous_body`, `invalid_body`. */
export function inspectBody(
  exchange: Exchange,
  rules: Rules,
  grant: GrantRecord,
  dialect: Dialect,
  body: Buffer,
  mayAsk: boolean,
): Inspected {
  const { endpoint } = exchange
  if (!endpoint) return { body, original: body, injectedUsage: false }
  const plan = wantedOf(endpoint, dialect)
  const scan = scanJson(body, plan.pointers)
  if (!scan.ok) {
    if (!isRuled(exchange, rules, grant)) return { body, original: body, injectedUsage: false, unread: true }
    throw new SoakpError(scan.fault === 'ambiguous' ? 'ambiguous_body' : 'invalid_body')
  }
  const models = modelsOfTarget(exchange, rules)
  let main = models[0]
  let streams = false
  let isPutOff = false
  const outputs: Found['value'][] = []
  let choices = 1
  let prompts = 0
  let characters = 0
  for (const { pointer, value, start } of scan.found) {
    if (plan.models.has(pointer)) {
      if (typeof value === 'string') {
        const model = bareModel(value, dialect)
        models.push(model)
        if (pointer === plan.mainModel) main ??= model
      } else if (value !== null && rules.limitsModels && !(value === undefined && plan.modelHolders.has(pointer)))
        throw new SoakpError('model_unknown', `${pointer} is not a text.`)
    } else if (plan.maxOutput.has(pointer)) {
      if (value !== null) outputs.push(value)
    } else if (plan.choices.has(pointer)) {
      if (value !== null) choices = Math.max(choices, typeof value === 'number' ? value : Number.NaN)
    } else if (plan.texts.has(pointer)) characters += typeof value === 'string' ? codePoints(value) : 0
    else if (pointer === plan.stream) streams = value === true
    else if (pointer === plan.putOff) isPutOff ||= value !== null && value !== false
    else if (pointer === endpoint.prompts && (typeof value === 'string' || body[start] === openBracket)) prompts++
  }
  choices *= Math.max(1, prompts)
  if (plan.ownership) look(exchange, plan.ownership, scan.found, body, rules)
  exchange.model = main ?? models[0] ?? null
  judgeModels(rules, models, endpoint)
  if (grant.clampOutput && grant.maxOutputTokens !== null && endpoint.estimate === true && scan.root === 'object') {
    const stated = scan.found.filter(({ pointer }) => plan.maxOutput.has(pointer))
    const clamped = clampOutput(exchange, dialect, body, stated, scan.rootStart, choices, grant.maxOutputTokens)
    if (clamped) return inspectBody(exchange, rules, grant, dialect, clamped, mayAsk)
  } else judgeOutput(grant, endpoint, outputs, choices)
  // literals of one shape: a spread of objects costs an ordinary call microseconds
  const maxOutput = mostOf(outputs)
  const severalModels = areDifferent(models)
  const said = characters > 0 ? characters : undefined
  if (isPutOff) return { body, original: body, injectedUsage: false, maxOutput, choices, severalModels, characters: said, putOff: true }
  if (characters === 0 && mayAsk && endpoint.includeUsage && streams) {
    const splice = spliceStreamOptions(body, scan as Extract<Scan, { ok: true }>)
    return { body: splice.body, original: body, injectedUsage: splice.injected, maxOutput, choices, severalModels, characters: said }
  }
  return { body, original: body, injectedUsage: false, maxOutput, choices, severalModels, characters: said }
}

const openBracket = 0x5b

function areDifferent(models: readonly string[]): boolean {
  for (const model of models) if (model !== models[0]) return true
  return false
}

/** The largest of what was stated, if all of it is plain counts. */
function mostOf(outputs: readonly Found['value'][]): number | undefined {
  let most: number | undefined
  for (const value of outputs) {
    if (typeof value !== 'number' || !(value >= 0)) return undefined
    most = Math.max(most ?? 0, Math.ceil(value))
  }
  return most
}

/** What a body names of things that belong to somebody, and whether the call will leave one behind. */
function look(exchange: Exchange, ownership: OwnershipPlan, found: readonly Found[], body: Buffer, rules: Rules): void {
  exchange.named = namedIn(ownership, found, body, rules)
  const { owns } = ownership
  const way = owns.root === undefined ? owns.ways[0] : undefined
  if (way && holds(way.when, found)) exchange.way = { way, kind: owns.kind, id: undefined }
}

/** Providers bill an emoji as one character, not as the two that a string has. */
function codePoints(text: string): number {
  let pairs = 0
  for (let at = 0; at < text.length; at++) if ((text.charCodeAt(at) & 0xfc00) === 0xd800) pairs++
  return text.length - pairs
}

/** A model's name without what may stand before it. */
export function bareModel(name: string, { modelPrefix }: Dialect): string {
  return modelPrefix !== undefined && name.startsWith(modelPrefix) ? name.slice(modelPrefix.length) : name
}

/** Models that stand in the path or the query. Throws `ambiguous_body` where a rule meets two of one name. */
export function modelsOfTarget(exchange: Exchange, rules: Rules): string[] {
  const { endpoint, call } = exchange
  const models = exchange.model === null ? [] : [exchange.model]
  for (const place of endpoint?.models ?? []) {
    if (place.in !== 'query' || call.query === '') continue
    const named = [...new URLSearchParams(call.query)].filter(([name]) => bareName(name) === place.name)
    if (rules.limitsModels && (named.length > 1 || named.some(([name]) => name !== place.name)))
      throw new SoakpError('ambiguous_body', `The query names ${place.name} twice, or in another spelling.`)
    for (const [, value] of named) models.push(value)
  }
  return models
}

/** Judges a call whose body says nothing of a model: it can only stand in the path or the query. */
export function inspectTarget(exchange: Exchange, rules: Rules): void {
  if (!exchange.endpoint) return
  const models = modelsOfTarget(exchange, rules)
  exchange.model = models[0] ?? null
  judgeModels(rules, models, exchange.endpoint)
}

/** A form whose model was read, and replaced, before its provider was known. */
export function inspectUnifiedForm(exchange: Exchange, rules: Rules, { body, model }: UnifiedCall): void {
  exchange.model = model
  if (exchange.endpoint) judgeModels(rules, [model], exchange.endpoint)
  exchange.inspected = { body, original: body, injectedUsage: false }
}

/** A form's models, once they have been seen. */
export function judgeModels(rules: Rules, models: readonly string[], endpoint: Endpoint): void {
  if (!rules.limitsModels) return
  const refused = models.find(model => !rules.allowsModel(model) && !rules.allowsModel(model.replace(/^models\//, '')))
  if (refused !== undefined) throw new SoakpError('model_not_allowed', JSON.stringify(refused.slice(0, 100)))
  // endpoints without a place for a model, such as the list of models, have nothing to judge
  if (models.length === 0 && endpoint.models.length > 0) throw new SoakpError('model_unknown')
}

/** Servers take a text or a number below one for something else than it says, so only a plain count is one. */
function judgeOutput(grant: GrantRecord, endpoint: Endpoint, outputs: readonly Found['value'][], choices: number): void {
  const limit = grant.maxOutputTokens
  if (limit === null || endpoint.estimate !== true) return
  if (outputs.length === 0) throw new SoakpError('output_too_large', `Say how much is wanted: at most ${limit} model tokens.`)
  for (const value of outputs) {
    if (typeof value !== 'number' || !(value >= 1 && value * choices <= limit))
      throw new SoakpError('output_too_large', `At most ${limit} model tokens, all choices together.`)
  }
}
