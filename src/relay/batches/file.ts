import type { Rules } from '../../access/rules.js'
import { createFormScan } from '../../lib/form-scan.js'
import { compilePointers, scanJson } from '../../lib/json-scan.js'
import { Lines } from '../../lib/lines.js'
import type { Provider } from '../../providers/provider.js'
import { callOf } from './item.js'
import { addItem, addNames, type BatchSums, noSums } from './sums.js'

/** Reads along as a file is uploaded that may hold the requests of a batch, and keeps the sum of what they ask for. */
export interface BatchFile {
  add(piece: Buffer): void
  end(): void
  /** Undefined: it is no file of requests, or did not come to its end. */
  readonly sums: BatchSums | undefined
}

/** A longer request is not judged. */
const mostLineBytes = 16 * 1024 * 1024

const pointers = compilePointers(['/method', '/url', '/body'])
const purpose = new Set(['purpose'])

/** What else a request may be that does not say which call it is: these name things at places of their own. */
const otherCalls = ['/v1/ocr', '/v1/audio/transcriptions']

/** `contentType` of the form, as it was sent. */
export function createBatchFile(contentType: string, provider: Provider, rules: Pick<Rules, 'reachesAll'>): BatchFile {
  const sums = noSums()
  let isOver = false
  let found: BatchSums | undefined
  const lines = new Lines(mostLineBytes, {
    line(bytes) {
      // what is no list of requests at its beginning is none
      if (sums.fault !== undefined || isBlank(bytes)) return
      const fault = readLine(sums, bytes, provider, rules)
      if (fault !== undefined) sums.fault = fault
    },
    tooLong() {
      sums.fault ??= 'one of them is too long'
    },
  })
  const form = createFormScan(contentType, purpose, false, {
    name: 'file',
    take(bytes) {
      if (sums.fault === undefined) lines.feed(bytes)
    },
  })

  return {
    add(piece) {
      if (!isOver) form.feed(piece)
    },
    end() {
      if (isOver) return
      isOver = true
      lines.end()
      const { fault, fields } = form.end()
      if (fault !== undefined && fault !== 'ambiguous') return
      if (fault === 'ambiguous') sums.fault ??= 'the form has two files, or says twice what it is for'
      if (fault === 'ambiguous' || fields.get('purpose') === 'batch') found = sums
    },
    get sums() {
      return found
    },
  }
}

const isBlank = (bytes: Buffer): boolean => bytes.length === 0 || bytes.every(byte => byte === 0x20 || byte === 0x0d || byte === 0x09)

/** A text: why it cannot be judged. */
function readLine(sums: BatchSums, line: Buffer, provider: Provider, rules: Pick<Rules, 'reachesAll'>): string | undefined {
  const scan = scanJson(line, pointers)
  if (!scan.ok) return scan.fault === 'ambiguous' ? 'a name stands twice in one of them' : 'one of them is no JSON'
  const at = (pointer: string) => scan.found.find(one => one.pointer === pointer)
  const body = at('/body')
  const url = at('/url')?.value ?? ''
  const method = at('/method')?.value ?? 'POST'
  if (!body || typeof url !== 'string' || typeof method !== 'string') return 'one of them is no request'
  const bytes = line.subarray(body.start, body.end)
  addItem(sums, callOf(provider, method, url), bytes, rules)
  // which call it is, the batch will say
  if (url === '') for (const path of otherCalls) addNames(sums, callOf(provider, method, path), bytes, rules)
  return undefined
}
