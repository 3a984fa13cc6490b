import { compilePointers, type Found, type Pointers, scanJson } from '../../lib/json-scan.js'
import type { List, Made, Way } from '../../providers/resources/resource.js'

/** One page of a list, read without being built. */
export interface Page {
  readonly body: Buffer
  readonly scan: readonly Found[]
  /** In the order of the page. */
  readonly items: readonly Item[]
  /** What to ask the next page with; undefined: this is the last one. */
  readonly next: string | true | undefined
}

export interface Item {
  readonly id: string
  readonly bytes: Buffer
  /** What the item says of other things. */
  readonly told: readonly { readonly made: Made; readonly value: unknown }[]
}

interface Compiled {
  readonly pointers: Pointers
  readonly told: ReadonlyMap<string, Made>
}

const compiled = new WeakMap<Way, Compiled>()

function compiledFor(way: Way, list: List): Compiled {
  let known = compiled.get(way)
  if (!known) {
    const { items, id, paging, counts = [] } = list
    const told = new Map((way.makes ?? []).map(made => [`${items}/*${made.at}`, made]))
    const members = [paging?.more, paging?.first, paging?.last, ...counts].flatMap(name => (name === undefined ? [] : [`/${name}`]))
    known = { pointers: compilePointers([...new Set([items, `${items}/*`, `${items}/*${id}`, ...told.keys(), ...members])]), told }
    compiled.set(way, known)
  }
  return known
}

/** Undefined for a reply that is no such list: then nothing of it may be shown. */
export function readPage(way: Way, list: List, body: Buffer): Page | undefined {
  const { pointers, told } = compiledFor(way, list)
  const scan = scanJson(body, pointers)
  if (!scan.ok || scan.root !== 'object') return undefined
  const { found } = scan
  const items: Item[] = []
  for (let at = 0; at < found.length; at++) {
    const { pointer, start, end } = found[at] as Found
    if (pointer !== `${list.items}/*`) continue
    let id: string | undefined
    const says: Item['told'][number][] = []
    for (let next = at + 1; next < found.length && (found[next] as Found).start < end; next++) {
      const { pointer: where, value } = found[next] as Found
      const made = told.get(where)
      if (where === `${list.items}/*${list.id}` && typeof value === 'string') id = list.take ? list.take.exec(value)?.[1] : value
      else if (made) says.push({ made, value })
    }
    // what has no id is nobody's
    items.push({ id: id ?? '', bytes: body.subarray(start, end), told: says })
  }
  return { body, scan: found, items, next: nextOf(list, found) }
}

function nextOf({ paging }: List, found: readonly Found[]): string | true | undefined {
  if (!paging) return undefined
  const value = found.find(({ pointer }) => pointer === `/${paging.more}`)?.value
  if (typeof value === 'string' && value !== '') return value
  return value === true ? true : undefined
}

/** The query by which the page behind this one is asked for; undefined: it cannot be. */
export function queryForNext(list: List, query: string, page: Page): string | undefined {
  const { paging } = list
  if (!paging || page.next === undefined) return undefined
  const parameters = new URLSearchParams(query)
  if (paging.byId) {
    const backwards = paging.before !== undefined && parameters.has(paging.before)
    const item = backwards ? page.items[0] : page.items.at(-1)
    if (!item?.id) return undefined
    parameters.set(backwards ? (paging.before as string) : paging.after, item.id)
  } else if (page.next === true) parameters.set(paging.after, String(Number(parameters.get(paging.after) ?? 0) + 1))
  else if (/^https?:/.test(page.next)) return URL.canParse(page.next) ? new URL(page.next).search : undefined
  else parameters.set(paging.after, page.next)
  return `?${parameters}`
}

interface Edit {
  readonly start: number
  readonly end: number
  readonly text: Buffer
}

/** The page with these items alone; nothing else in it changes but what it says of its items. `total`: how many there are of one's own. */
export function writePage(list: List, page: Page, items: readonly Item[], total: number, more: boolean): Buffer {
  const { paging, counts = [] } = list
  const edits: Edit[] = []
  const set = (pointer: string, value: unknown) => {
    const at = page.scan.find(found => found.pointer === pointer)
    if (at) edits.push({ start: at.start, end: at.end, text: Buffer.from(JSON.stringify(value)) })
  }
  const array = page.scan.find(({ pointer }) => pointer === list.items)
  if (array) edits.push({ start: array.start, end: array.end, text: joined(items) })
  if (paging?.first) set(`/${paging.first}`, items[0]?.id ?? null)
  if (paging?.last) set(`/${paging.last}`, items.at(-1)?.id ?? null)
  if (paging && !more) set(`/${paging.more}`, page.next === true || paging.byId ? false : null)
  for (const count of counts) set(`/${count}`, total)
  return apply(page.body, edits)
}

function joined(items: readonly Item[]): Buffer {
  const comma = Buffer.from(',')
  const pieces = items.flatMap(({ bytes }, at) => (at === 0 ? [bytes] : [comma, bytes]))
  return Buffer.concat([Buffer.from('['), ...pieces, Buffer.from(']')])
}

function apply(body: Buffer, edits: readonly Edit[]): Buffer {
  const pieces: Buffer[] = []
  let at = 0
  for (const { start, end, text } of edits.toSorted((a, b) => a.start - b.start)) {
    pieces.push(body.subarray(at, start), text)
    at = end
  }
  return Buffer.concat([...pieces, body.subarray(at)])
}
