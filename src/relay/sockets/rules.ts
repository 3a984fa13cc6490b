import type { Rules } from '../../access/rules.js'
import { SoakpError } from '../../errors.js'
import { compilePointers, type Found, type Pointers, scanJson } from '../../lib/json-scan.js'
import { NameSearch } from '../../lib/name-search.js'
import { type OwnershipPlan, ownershipOf } from '../../providers/index.js'
import type { Dialect } from '../../providers/provider.js'
import type { SocketEndpoint } from '../../providers/sockets/socket.js'
import type { GrantRecord } from '../../stores/records.js'
import { bareModel, judgeModels, modelsOfTarget } from '../body/inspect.js'
import type { Exchange } from '../exchange.js'

/** Holds the messages of one client against its grant. */
export interface MessageJudge {
  /** What goes on to the provider, usually the very same bytes. Throws what is wrong with the message. */
  judge(message: Buffer, isBinary: boolean): Buffer
  /** Characters of texts that are billed by them, so far. */
  readonly characters: number
  /** What the last message said, as far as it was looked into. */
  readonly found: readonly Found[]
  readonly type: string | undefined
  readonly works: boolean
  readonly model: string | undefined
  readonly outputs: readonly Found['value'][]
  /** Messages have named more than one model. */
  readonly namesSeveral: boolean
}

/** What depends on what messages say, beside the grant's own rules. */
export interface MessageNeeds {
  /** A budget, or a limit on a model. */
  readonly isCosted: boolean
  /** Things that belong to somebody may be named. */
  readonly isOwned: boolean
}

const none: readonly never[] = []

interface Wanted {
  readonly passes: readonly Pointers[]
  readonly models: ReadonlySet<string>
  readonly maxOutput: ReadonlySet<string>
  readonly credentials: ReadonlySet<string>
  readonly texts: ReadonlySet<string>
  /** One of these stands in a message that names what may belong to somebody. */
  readonly names: NameSearch
}

const wanted = new WeakMap<SocketEndpoint, Wanted>()

function wantedOf(row: SocketEndpoint): Wanted {
  let plan = wanted.get(row)
  if (!plan) {
    const own = ownershipOf(row)
    const bound = row.bound?.by === 'answers' ? [...row.bound.outputs, ...row.bound.media.map(({ at }) => at)] : []
    const all = ['/type', ...row.messageModels, ...row.maxOutputPointers, ...row.credentialPointers, ...row.textPointers, ...bound]
    plan = {
      passes: partition([...new Set([...all, ...(own?.pointers ?? [])])]),
      names: namesOf(own),
      models: new Set(row.messageModels),
      maxOutput: new Set(row.maxOutputPointers),
      credentials: new Set(row.credentialPointers),
      texts: new Set(row.textPointers),
    }
    wanted.set(row, plan)
  }
  return plan
}

/** Names behind which something may stand that belongs to somebody. */
function namesOf(own: OwnershipPlan | undefined): NameSearch {
  return new NameSearch((own?.jsonNames ?? []).map(({ at }) => at.split('/').findLast(name => name !== '*') ?? ''))
}

/** A level of pointers has names or a star: where the rows need both, the message is scanned once for each. */
function partition(pointers: readonly string[]): Pointers[] {
  try {
    return [compilePointers(pointers)]
  } catch {
    // they need both
  }
  const stars = pointers.filter(pointer => pointer.includes('/*/'))
  const plain = pointers.filter(pointer => !stars.includes(pointer))
  return stars.length === 0 ? [compilePointers(plain)] : [compilePointers(plain), compilePointers(stars)]
}

/**
 * Judges the upgrade by what stands in its path and query, and returns the judge of what follows. Throws `model_not_allowed`, `model_unknown`, and `output_too_large` where a
 * limit on the output could not be held.
 */
export function createMessageJudge(
  exchange: Exchange,
  row: SocketEndpoint | undefined,
  rules: Rules,
  grant: GrantRecord,
  needs: MessageNeeds,
): MessageJudge {
  if (!row) {
    if (rules.limitsModels) throw new SoakpError('model_unknown', 'soakp does not know this endpoint.')
    if (grant.maxOutputTokens !== null) throw new SoakpError('output_too_large', 'soakp does not know this endpoint.')
    const nothing = { found: none, type: undefined, works: false, model: undefined, outputs: none, namesSeveral: false }
    return { judge: message => message, characters: 0, ...nothing }
  }
  const longest = row.bound?.by === 'answers' ? row.bound.longest : Number.POSITIVE_INFINITY
  const limitsOutput = grant.maxOutputTokens !== null && row.estimates === 'tokens' && grant.maxOutputTokens < longest
  if (limitsOutput && row.maxOutputPointers.length === 0) throw unlimited(longest)
  const models = modelsOfTarget(exchange, rules)
  exchange.model = models[0] ?? null
  if (needs.isCosted && new Set(models).size > 1) throw new SoakpError('ambiguous_body', 'The query names two models.')
  if (models.length > 0 || row.messageModels.length === 0) judgeModels(rules, models, row)
  return new Judge(exchange, row, rules, limitsOutput ? grant.maxOutputTokens : null, models.length > 0, needs)
}

function unlimited(longest: number): SoakpError {
  const why = Number.isFinite(longest)
    ? `Answers on this kind of connection can have ${longest} model tokens.`
    : 'The output of this kind of connection cannot be limited.'
  return new SoakpError('output_too_large', why)
}

class Judge implements MessageJudge {
  readonly #exchange: Exchange
  readonly #row: SocketEndpoint
  readonly #wanted: Wanted
  readonly #rules: Rules
  readonly #dialect: Dialect | undefined
  readonly #maxOutput: number | null
  /** Something about each message decides whether it may go on. */
  readonly #isRuled: boolean
  readonly #needs: MessageNeeds
  #knowsModel: boolean
  characters = 0
  found: readonly Found[] = none
  type: string | undefined
  works = false
  model: string | undefined
  outputs: readonly Found['value'][] = none
  namesSeveral = false

  constructor(exchange: Exchange, row: SocketEndpoint, rules: Rules, maxOutput: number | null, knowsModel: boolean, needs: MessageNeeds) {
    this.#exchange = exchange
    this.#row = row
    this.#wanted = wantedOf(row)
    this.#rules = rules
    this.#dialect = row.dialect ?? exchange.provider?.dialect
    this.#maxOutput = maxOutput
    this.#needs = needs
    this.#isRuled = rules.limitsModels || maxOutput !== null || row.credentialPointers.length > 0 || needs.isCosted
    this.#knowsModel = knowsModel
  }

  judge(message: Buffer, isBinary: boolean): Buffer {
    const row = this.#row
    if (this.found !== none) this.#forget()
    if (isBinary && row.takesMedia) {
      this.#needModel()
      return message
    }
    const asksModel = row.messageModels.length > 0 && this.#exchange.model === null
    const mayName = this.#needs.isOwned && this.#wanted.names.mayStandIn(message)
    if (!this.#isRuled && !asksModel && !mayName && row.textPointers.length === 0) return message
    const found = this.#scan(message, this.#isRuled || mayName)
    if (found === undefined) return message
    this.found = found
    return this.#judgeFound(message, found)
  }

  #forget(): void {
    this.found = this.outputs = none
    this.type = this.model = undefined
    this.works = false
  }

  /** Undefined: it is no JSON, and no rule asks. */
  #scan(message: Buffer, isRuled: boolean): readonly Found[] | undefined {
    const found: Found[] = []
    for (const pointers of this.#wanted.passes) {
      const scan = scanJson(message, pointers)
      if (scan.ok && scan.root === 'object') found.push(...scan.found)
      else if (isRuled)
        throw new SoakpError(
          !scan.ok && scan.fault === 'ambiguous' ? 'ambiguous_body' : 'invalid_body',
          'It is no JSON object that can be checked.',
        )
      else return undefined
    }
    return found
  }

  #judgeFound(message: Buffer, found: readonly Found[]): Buffer {
    const wanted = this.#wanted
    const models: string[] = []
    const outputs: Found['value'][] = []
    let type: Found['value']
    let credential: Found['value'] | undefined
    for (const { pointer, value } of found) {
      if (pointer === '/type') type = value
      else if (wanted.texts.has(pointer)) this.characters += typeof value === 'string' ? [...value].length : 0
      else if (value === null) continue
      else if (wanted.models.has(pointer)) models.push(this.#modelOf(pointer, value))
      else if (wanted.maxOutput.has(pointer)) outputs.push(value)
      else if (wanted.credentials.has(pointer)) credential = this.#credentialOf(value)
    }
    this.type = typeof type === 'string' ? type : undefined
    this.works = this.type !== undefined && this.#row.workTypes.includes(this.type)
    this.outputs = outputs
    this.#judgeModels(models, this.works)
    if (this.works) this.#judgeOutput(outputs)
    return credential === undefined ? message : this.#withoutCredential(message)
  }

  #modelOf(pointer: string, value: Found['value']): string {
    if (typeof value === 'string') return this.#dialect ? bareModel(value, this.#dialect) : value
    if (this.#rules.limitsModels) throw new SoakpError('model_unknown', `${pointer} is not a text.`)
    return ''
  }

  #judgeModels(models: readonly string[], works: boolean): void {
    if (models.length > 0) {
      judgeModels(this.#rules, models, this.#row)
      this.model = models[0] || undefined
      this.#exchange.model ??= models[0] || null
      this.namesSeveral ||= models[0] !== this.#exchange.model
      this.#knowsModel = true
    } else if (works && this.#rules.limitsModels) throw new SoakpError('model_unknown', 'The message has to name its model.')
    this.#needModel()
  }

  #needModel(): void {
    if (
      !this.#knowsModel &&
      (this.#rules.limitsModels || (this.#needs.isCosted && this.#row.bound !== undefined)) &&
      this.#row.messageModels.length > 0
    )
      throw new SoakpError('model_unknown', 'The first message has to name it.')
  }

  /** Only a plain count below the limit is one. */
  #judgeOutput(outputs: readonly Found['value'][]): void {
    const limit = this.#maxOutput
    if (limit === null) return
    const good = outputs.length > 0 && outputs.every(value => typeof value === 'number' && value >= 1 && value <= limit)
    if (!good) throw new SoakpError('output_too_large', `Say how much is wanted: at most ${limit} model tokens.`)
  }

  /** The access token itself is taken out; any other credential would change whose account is used. */
  #credentialOf(value: Found['value']): Found['value'] | undefined {
    const token = this.#exchange.head?.token
    if (value === '') return undefined
    if (typeof value === 'string' && token !== undefined && (value === token || value.replace(/^bearer\s+/i, '') === token)) return value
    throw new SoakpError('several_tokens', 'A message carries another credential than the connection was opened with.')
  }

  #withoutCredential(message: Buffer): Buffer {
    const value: Record<string, unknown> = JSON.parse(message.toString('utf8'))
    for (const pointer of this.#row.credentialPointers) delete value[pointer.slice(1)]
    return Buffer.from(JSON.stringify(value))
  }
}
