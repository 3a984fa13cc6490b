import type { Batch } from './batch.js'

/**
 * What stays at a provider after a call, found again by an id, and therefore belongs to whoever made it: files, stored replies, batches … As data: a row of a provider's table says
 * which of its calls make such a thing, name one, list them and end one.
 */

/** Where a request names something. A kind is a word of ours: ids of one kind are never taken for those of another. */
export interface Place {
  /** Undefined: it is nobody's, but only one account knows it, so that the call stays with one key. */
  readonly kind?: string
  readonly in: 'json' | 'query' | 'form'
  /** A JSON pointer (a segment `*` stands for every member), or the name of a parameter or field. */
  readonly at: string
  /** The id is its first group; a text that it does not match names nothing of this kind. */
  readonly take?: RegExp
  /** Most of the kind are everybody's: only what another grant is known to have made is refused. */
  readonly mostlyPublic?: true
  /** Not looked at where the object around it says one of these at `at`, a pointer with as many stars. */
  readonly unless?: { readonly at: string; readonly is: readonly string[] }
}

/** Where a reply says what was made. */
export interface Made {
  readonly kind: string
  /** A JSON pointer into the reply, or into an event of a stream; or `header NAME`. */
  readonly at: string
  readonly take?: RegExp
  /** How long the provider keeps it, in days; without it, until it is deleted. */
  readonly days?: number
}

/** How a list is read and filtered. All members are of the reply's top level. */
export interface List {
  /** Pointer of the array, such as `/data`. */
  readonly items: string
  readonly kind: string
  /** Where an item's id stands, relative to the item. */
  readonly id: string
  readonly take?: RegExp
  readonly paging?: Paging
  /** Members that count all there are; they are set to the number of one's own. */
  readonly counts?: readonly string[]
}

/** How the next page is asked for. */
export interface Paging {
  /** Query parameters by which the next page and the one before are asked for. */
  readonly after: string
  readonly before?: string
  /** Member of the reply that says whether there is more (`true`), or holds what to ask the next page with (a text). */
  readonly more: string
  /** The next page is asked for with the last item's id rather than with what `more` holds. */
  readonly byId?: true
  /** Members that repeat the first and the last item's id. */
  readonly first?: string
  readonly last?: string
}

/** When a call makes something: any of these holds. `is`: the value stands there; `isNot`: it does not; neither: there is something. */
export interface Condition {
  readonly at: string
  readonly is?: boolean
  readonly isNot?: boolean
  readonly like?: RegExp
}

/** One kind of call. */
export interface Way {
  /** `METHOD /path`, beginning at the row's root: `{id}` names one of the row's kind, `*` is any segment, a last segment `**` the rest or nothing. */
  readonly spec: string
  /** Kind of `{id}`, where it is not the row's. */
  readonly kind?: string
  readonly makes?: readonly Made[]
  readonly when?: readonly Condition[]
  readonly lists?: List
  readonly forgets?: true
  /** What it makes is work that is done later, and paid for then. */
  readonly batch?: Batch
  /** What it makes is a file, which may hold such work: a form, with `purpose` and `file`. */
  readonly holdsBatch?: true
  /** Billed with nothing, whatever it sends. */
  readonly free?: true
}

/** What a row of a provider's table has to do with things that belong to somebody. */
export interface Ownership {
  readonly kind: string
  /** The part of the row's pattern at which the paths of `ways` begin. Undefined: the row has one way, whatever the path. */
  readonly root?: string
  readonly ways: readonly Way[]
  /** What its requests may name beside the path. */
  readonly names: readonly Place[]
  /** Its replies say again what a call consumed that was counted when it was made, or is counted when it has ended. */
  readonly retells?: true
  /** `{id}` is everybody's unless another grant is known to have made it. */
  readonly mostlyPublic?: true
}

/** Places in JSON bodies. */
export function inJson(kind: string, ...pointers: string[]): Place[] {
  return pointers.map(at => ({ kind, in: 'json', at }))
}

export function inQuery(kind: string, ...names: string[]): Place[] {
  return names.map(at => ({ kind, in: 'query', at }))
}

interface Conventions {
  /** Where the row's pattern ends before the collection does: what it has of the path. */
  readonly under?: string
  readonly makes?: readonly Made[]
  readonly batch?: Batch
  readonly holdsBatch?: true
  /** What every call about one says of others: of a batch, the files it wrote. */
  readonly tells?: readonly Made[]
  readonly list?: List
  readonly names?: readonly Place[]
  readonly ways?: readonly Way[]
}

/** What most are: made by POST, listed by GET, ended by DELETE, and everything beneath an id is its owner's. Ways of one's own are tried first. */
export function collection(
  kind: string,
  root: string,
  { under, makes, batch, holdsBatch, tells, list, names = [], ways = [] }: Conventions,
): Ownership {
  const told = tells ? { makes: tells } : {}
  const later = { ...(batch && { batch }), ...(holdsBatch && { holdsBatch, free: true as const }) }
  return {
    kind,
    root: under ?? root,
    names,
    ways: [
      ...ways,
      ...(makes ? [{ spec: `POST ${root}`, makes: [...makes, ...(tells ?? [])], ...later }] : []),
      ...(list ? [{ spec: `GET ${root}`, lists: list, ...told }] : []),
      { spec: `DELETE ${root}/{id}`, forgets: true },
      ...(batch ? [{ spec: `POST ${root}/{id}/cancel`, ...told, free: true as const }] : []),
      { spec: `* ${root}/{id}/**`, ...told },
    ],
  }
}
