import { type Readable, Transform, type TransformCallback } from 'node:stream'
import type { Rules } from '../../access/rules.js'
import { SoakpError } from '../../errors.js'
import { createFormScan, type FormScan } from '../../lib/form-scan.js'
import { isPromise, type MaybePromise } from '../../lib/maybe.js'
import { ownershipOf } from '../../providers/index.js'
import type { Endpoint } from '../../providers/provider.js'
import { dialectOf, type Exchange } from '../exchange.js'
import type { Kept } from '../keys/keep.js'
import { type Named, namedAt } from '../owned/owned.js'
import type { Ownership } from '../owned/ownership.js'
import { isCountedForm, judgeModels, modelsOfTarget } from './inspect.js'

interface FormOptions {
  readonly rules: Rules
  readonly ownership: Pick<Ownership, 'admitForm'>
  /** Gets the refusal; the stream is then destroyed, which aborts the upstream call. */
  readonly refused: (error: SoakpError) => void
  readonly kept: Kept | undefined
}

/**
 * A form on its way out under a rule about models or about whose things it names: it streams, but its last bytes, the closing boundary among them, stay here until what
 * matters was seen and allowed. What is refused never becomes a whole request, and never whole in `kept`.
 */
export function createForm(exchange: Exchange, upload: Readable, endpoint: Endpoint, options: FormOptions): Transform {
  const { rules, ownership, refused, kept } = options
  const scan = createFormScan(rawContentType(exchange), fieldsOf(endpoint))
  let held: Buffer[] = []
  let heldBytes = 0

  function fail(stream: Transform, error: unknown): void {
    const refusal = error instanceof SoakpError ? error : new SoakpError('internal', undefined, { cause: error })
    refused(refusal)
    stream.destroy()
  }

  function judge(): MaybePromise<void> {
    const { fields } = judgeFields(exchange, scan, endpoint, rules)
    return rules.reachesAll ? undefined : ownership.admitForm(exchange, namedInForm(endpoint, fields))
  }

  const form = new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      kept?.add(chunk)
      const fault = scan.feed(chunk)
      if (fault !== undefined) return fail(form, new SoakpError('invalid_body', fault))
      held.push(chunk)
      heldBytes += chunk.length
      while (held.length > 1 && heldBytes - (held[0] as Buffer).length >= scan.closingBytes) {
        const first = held.shift() as Buffer
        heldBytes -= first.length
        form.push(first)
      }
      done()
    },
    flush(done: TransformCallback) {
      const pass = () => {
        kept?.end()
        for (const piece of held) form.push(piece)
        held = []
        done()
      }
      try {
        const judged = judge()
        if (isPromise(judged)) judged.then(pass).catch(error => fail(form, error))
        else pass()
      } catch (error) {
        fail(form, error)
      }
    },
  })
  upload.on('close', () => {
    if (!upload.readableEnded) form.destroy()
  })
  form.on('close', () => upload.destroy())
  upload.pipe(form)
  return form
}

/** A form that was read whole. Throws as the gate for those that stream refuses. */
export function inspectForm(exchange: Exchange, endpoint: Endpoint, rules: Rules, body: Buffer): void {
  const counted = isCountedForm(exchange)
  const many = counted ? manyFields(exchange) : []
  const wanted = counted ? [...fieldsOf(endpoint), ...many, ...countedFields] : fieldsOf(endpoint)
  const scan = createFormScan(rawContentType(exchange), new Set(wanted), counted)
  scan.feed(body)
  const { fields, parts } = judgeFields(exchange, scan, endpoint, rules)
  const named = namedInForm(endpoint, fields)
  if (named.length > 0) exchange.named = named
  const whole = { body, original: body, injectedUsage: false }
  exchange.inspected = counted ? { ...whole, choices: choicesIn(fields, many), form: { fields, parts } } : whole
}

/** What limits look at beside the model. */
const countedFields = ['quality', 'size', 'partial_images']

/** Fields that say how many answers are wanted: where JSON has them at the top. */
function manyFields(exchange: Exchange): readonly string[] {
  const { choicesPointers = [] } = dialectOf(exchange) ?? {}
  return choicesPointers.map(pointer => pointer.slice(1))
}

/** `NaN` where one says something else than a plain count. */
function choicesIn(fields: ReadonlyMap<string, string>, names: readonly string[]): number {
  const stated = names.flatMap(name => fields.get(name)?.trim() ?? [])
  return stated.every(text => /^\d{1,6}$/.test(text)) ? Math.max(1, ...stated.map(Number)) : Number.NaN
}

function fieldsOf(endpoint: Endpoint): Set<string> {
  const models = endpoint.models.flatMap(place => (place.in === 'multipart' ? [place.field] : []))
  return new Set([...models, ...(ownershipOf(endpoint)?.formNames ?? []).map(({ at }) => at)])
}

/** The form's fields, once its models have been judged. */
function judgeFields(exchange: Exchange, scan: FormScan, endpoint: Endpoint, rules: Rules) {
  const { fault, fields, parts } = scan.end()
  if (fault !== undefined)
    throw new SoakpError(fault === 'ambiguous' ? 'ambiguous_body' : 'invalid_body', fault === 'ambiguous' ? undefined : fault)
  const stated = endpoint.models.flatMap(place => (place.in === 'multipart' ? (fields.get(place.field) ?? []) : []))
  const models = [...modelsOfTarget(exchange, rules), ...stated]
  exchange.model = models[0] ?? null
  judgeModels(rules, models, endpoint)
  return { fields, parts }
}

function namedInForm(endpoint: Endpoint, fields: ReadonlyMap<string, string>): Named[] {
  return (ownershipOf(endpoint)?.formNames ?? []).flatMap(place => {
    const text = fields.get(place.at)
    return (text === undefined ? undefined : namedAt(place, text)) ?? []
  })
}

/** The boundary is sensitive to case; `head.contentType` is folded. */
export function rawContentType(exchange: Exchange): string {
  const raw = exchange.call.request.rawHeaders
  for (let at = 0; at < raw.length; at += 2) if ((raw[at] as string).toLowerCase() === 'content-type') return raw[at + 1] as string
  return ''
}
