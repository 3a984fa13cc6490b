import type { Rules } from '../../access/rules.js'
import { SoakpError } from '../../errors.js'
import type { Found } from '../../lib/json-scan.js'
import { around, type OwnershipPlan } from '../../providers/index.js'
import type { Condition, Place, Way } from '../../providers/resources/resource.js'

/** Something that a request names. Without a kind it is nobody's, but only one account knows it. */
export interface Named {
  readonly kind: string | undefined
  readonly id: string
  readonly mostlyPublic: boolean
}

/** What a call does with things that belong to somebody. */
export interface OwnedWay {
  readonly way: Way
  /** What the path names, of `kind`. */
  readonly kind: string
  readonly id: string | undefined
}

/** Longer texts are no ids, and are not looked up. */
const longestId = 1024

/** What a text at a place names; undefined: nothing of this kind. */
export function namedAt(place: Place, text: string): Named | undefined {
  const id = place.take ? place.take.exec(text)?.[1] : text
  if (id === undefined || (id === '' && !place.take)) return undefined
  return { kind: place.kind, id: id.slice(0, longestId), mostlyPublic: place.mostlyPublic === true }
}

/**
 * What a body names, by what was found in it in the order it stands there. Throws `invalid_body` where a place holds something else than a text: a careless
 * parser may read an id out of it.
 */
export function namedIn(plan: OwnershipPlan, found: readonly Found[], body: Buffer, rules: Pick<Rules, 'reachesAll'>): Named[] | undefined {
  const named: Named[] = []
  for (let at = 0; at < found.length; at++) {
    const { pointer, value, start } = found[at] as Found
    const place = plan.byPointer.get(pointer)
    if (!place || value === null || isExempt(place, found, at)) continue
    if (typeof value === 'string') {
      const one = namedAt(place, value)
      if (one) named.push(one)
    } else if (!rules.reachesAll && !mayBeOther(place, plan, body[start])) throw new SoakpError('invalid_body', `${pointer} is not a text.`)
  }
  return named.length === 0 ? undefined : named
}

/** An object with the id in it, where the table knows such; anything at a place that is recognised by its text alone. */
function mayBeOther({ kind, at, take }: Place, plan: OwnershipPlan, first: number | undefined): boolean {
  if (kind === undefined || (take !== undefined && (first !== openBracket || at.endsWith('*')))) return true
  const below = first === openBrace ? `${at}/` : first === openBracket ? `${at}/*` : undefined
  return below !== undefined && plan.pointers.some(pointer => pointer.startsWith(below))
}

const openBrace = 0x7b
const openBracket = 0x5b

/** Whether the object around the place says that it is whole in itself. */
function isExempt({ unless }: Place, found: readonly Found[], at: number): boolean {
  if (!unless) return false
  const object = around(unless.at)
  const here = found[at] as Found
  for (let i = at - 1; i >= 0; i--) {
    const { pointer, start, end } = found[i] as Found
    if (pointer !== object || start > here.start || end < here.end) continue
    for (let next = i + 1; next < found.length; next++) {
      const said = found[next] as Found
      if (said.start >= end) return false
      if (said.pointer === unless.at && said.end < end) return typeof said.value === 'string' && unless.is.includes(said.value)
    }
    return false
  }
  return false
}

/** Whether any of the conditions holds for the body. */
export function holds(conditions: readonly Condition[] | undefined, found: readonly Found[]): boolean {
  return conditions === undefined || conditions.some(condition => meets(condition, found))
}

function meets({ at, is, isNot, like }: Condition, found: readonly Found[]): boolean {
  const values = found.filter(({ pointer }) => pointer === at)
  if (isNot !== undefined) return !values.some(({ value }) => value === isNot)
  if (is !== undefined) return values.some(({ value }) => value === is)
  if (like !== undefined) return values.some(({ value }) => typeof value === 'string' && like.test(value))
  return values.some(({ value }) => value !== null)
}
