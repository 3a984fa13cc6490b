/** A name that some pointer goes through, at one level of a document. */
export interface Name {
  readonly text: string
  readonly bytes: Buffer
  readonly folded: string
  /** Its bit in the set of names seen in one object. */
  readonly bit: number
  readonly node: Node
}

/** One level of the tree that several pointers share. */
export interface Node {
  /** The pointer that ends here. */
  wanted: string | undefined
  readonly names: Name[]
  /** What every member of an array or object is. */
  star: Node | undefined
  /** No name in `names`, however it is escaped, is longer in bytes. */
  longestEscaped: number
}

export interface Pointers {
  readonly list: readonly string[]
  readonly root: Node
  /** Names that are looked for in every object, at whatever depth. */
  readonly anywhere: Node | undefined
}

/**
 * Folds what any parser might take for the same letter: case, the Kelvin sign, the long s, dotless i. Upper case first, because some of these have
 * only an upper-case form in ASCII.
 */
export function fold(text: string): string {
  return text.toUpperCase().toLowerCase().normalize('NFKC')
}

function newNode(): Node {
  return { wanted: undefined, names: [], star: undefined, longestEscaped: 0 }
}

function child(node: Node, segment: string): Node {
  if (segment === '*') {
    if (node.names.length > 0) throw new Error('a level of pointers has names or a star, not both')
    node.star ??= newNode()
    return node.star
  }
  if (node.star || node.names.length > 30) throw new Error('a level of pointers has names or a star, not both, and 31 names at most')
  const known = node.names.find(name => name.text === segment)
  if (known) return known.node
  const name = { text: segment, bytes: Buffer.from(segment), folded: fold(segment), bit: 1 << node.names.length, node: newNode() }
  node.names.push(name)
  // `\u0000` is six bytes for one character
  node.longestEscaped = Math.max(node.longestEscaped, 6 * segment.length)
  return name.node
}

/**
 * Prepares JSON pointers (RFC 6901, a segment `*` stands for every member, a first segment `**` for any depth) for `scanJson`. Throws on a set that cannot be
 * scanned for.
 */
export function compilePointers(list: readonly string[]): Pointers {
  const root = newNode()
  let anywhere: Node | undefined
  for (const pointer of list) {
    if (!pointer.startsWith('/')) throw new Error(`not a JSON pointer: ${pointer}`)
    const isDeep = pointer.startsWith('/**/')
    if (isDeep) anywhere ??= newNode()
    let node = isDeep && anywhere ? anywhere : root
    for (const segment of pointer.slice(isDeep ? 4 : 1).split('/')) node = child(node, segment.replaceAll('~1', '/').replaceAll('~0', '~'))
    node.wanted = pointer
  }
  return { list, root, anywhere }
}

/** A value at one of the pointers. Offsets are bytes; `end` is behind its last. `value` is undefined for an object or array. */
export interface Found {
  readonly pointer: string
  readonly start: number
  readonly end: number
  readonly value: string | number | boolean | null | undefined
}

/**
 * `invalid`: not JSON by RFC 8259, or not UTF-8; `too_deep`: nested more than 512 levels; `too_many`: more than 100 000 values at the pointers; `ambiguous`: a name
 * on the way to a pointer stands twice in its object, or in another spelling that a careless parser takes for it.
 */
export type ScanFault = 'invalid' | 'too_deep' | 'too_many' | 'ambiguous'

export type Scan =
  | { readonly ok: true; readonly found: readonly Found[]; readonly root: 'object' | 'other'; readonly rootStart: number }
  | { readonly ok: false; readonly fault: ScanFault; readonly at: number; readonly name?: string }
