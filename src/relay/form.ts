import { type Readable, Transform, type TransformCallback } from 'node:stream'
import type { Rules } from '../access/rules.js'
import { SoakpError } from '../errors.js'
import { createFormScan } from '../lib/form-scan.js'
import type { Endpoint } from '../providers/provider.js'
import type { Exchange } from './exchange.js'
import { judgeModels, modelsOfTarget } from './inspect.js'
import type { Kept } from './keep.js'

/**
 * A form on its way out under a rule about models: it streams, but its last bytes, the closing boundary among them, stay here until the model was seen
 * and allowed. What is refused never becomes a whole request, and never whole in `kept`. `refused` gets the refusal; the stream is then destroyed, which aborts the upstream call.
 */
export function createForm(
  exchange: Exchange,
  upload: Readable,
  endpoint: Endpoint,
  rules: Rules,
  refused: (error: SoakpError) => void,
  kept?: Kept,
): Transform {
  const fields = new Set(endpoint.models.flatMap(place => (place.in === 'multipart' ? [place.field] : [])))
  const scan = createFormScan(rawContentType(exchange), fields)
  let held: Buffer[] = []
  let heldBytes = 0

  function fail(stream: Transform, error: unknown): void {
    const refusal = error instanceof SoakpError ? error : new SoakpError('internal', undefined, { cause: error })
    refused(refusal)
    stream.destroy()
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
      try {
        const { fault, values } = scan.end()
        if (fault !== undefined)
          throw new SoakpError(fault === 'ambiguous' ? 'ambiguous_body' : 'invalid_body', fault === 'ambiguous' ? undefined : fault)
        const models = [...modelsOfTarget(exchange, rules), ...values]
        exchange.model = models[0] ?? null
        judgeModels(rules, models, endpoint)
      } catch (error) {
        return fail(form, error)
      }
      kept?.end()
      for (const piece of held) form.push(piece)
      held = []
      done()
    },
  })
  upload.on('close', () => {
    if (!upload.readableEnded) form.destroy()
  })
  form.on('close', () => upload.destroy())
  upload.pipe(form)
  return form
}

/** The boundary is sensitive to case; `head.contentType` is folded. */
function rawContentType(exchange: Exchange): string {
  const raw = exchange.call.request.rawHeaders
  for (let at = 0; at < raw.length; at += 2) if ((raw[at] as string).toLowerCase() === 'content-type') return raw[at + 1] as string
  return ''
}
