import { source } from '../match.js'
import { isPlain } from '../path.js'
import type { Endpoint, Provider } from '../provider.js'
import type { Condition, Ownership, Place, Way } from './resource.js'

/** A way, ready to be asked. */
export interface CompiledWay {
  readonly way: Way
  readonly method: string
  readonly path: RegExp
}

/** What a row says of ownership, ready to be asked; worked out once per row. */
export interface OwnershipPlan {
  readonly owns: Ownership
  readonly ways: readonly CompiledWay[]
  readonly jsonNames: readonly Place[]
  readonly formNames: readonly Place[]
  readonly queryNames: readonly Place[]
  /** Everything of a body that the plan depends on. */
  readonly pointers: readonly string[]
  readonly byPointer: ReadonlyMap<string, Place>
  /** Pointers of `unless`. */
  readonly conditions: readonly Condition[]
}

const plans = new WeakMap<Endpoint, OwnershipPlan>()

/** Undefined: the row has nothing to do with things that belong to somebody. */
export function ownershipOf(endpoint: Endpoint): OwnershipPlan | undefined {
  if (!endpoint.owns) return undefined
  let plan = plans.get(endpoint)
  if (!plan) {
    plan = compile(endpoint, endpoint.owns)
    plans.set(endpoint, plan)
  }
  return plan
}

function compile({ pattern }: Endpoint, owns: Ownership): OwnershipPlan {
  const { root, names } = owns
  const at = root === undefined ? -1 : pattern.indexOf(root)
  if (root !== undefined && at < 0) throw new Error(`${pattern} does not hold ${root}`)
  const prefix = at > 0 ? source(pattern.slice(0, at)) : ''
  const jsonNames = names.filter(place => place.in === 'json')
  const conditions = owns.ways.flatMap(way => way.when ?? [])
  const unless = jsonNames.flatMap(({ unless }) => (unless ? [unless.at, around(unless.at)] : []))
  return {
    owns,
    ways: root === undefined ? [] : owns.ways.map(way => compileWay(way, prefix)),
    jsonNames,
    formNames: names.filter(place => place.in === 'form'),
    queryNames: names.filter(place => place.in === 'query'),
    pointers: [...jsonNames.map(place => place.at), ...unless, ...conditions.map(condition => condition.at)],
    byPointer: new Map(jsonNames.map(place => [place.at, place])),
    conditions,
  }
}

/** The object in which a pointer's last member stands. */
export function around(pointer: string): string {
  return pointer.slice(0, pointer.lastIndexOf('/'))
}

function compileWay(way: Way, prefix: string): CompiledWay {
  const gap = way.spec.indexOf(' ')
  // an id ends where a verb begins: `batches/ID:cancel`
  const path = source(way.spec.slice(gap + 1)).replace('\\{id\\}', '([^/:]+)')
  return { way, method: way.spec.slice(0, gap), path: new RegExp(`^${prefix.replace(/\((?!\?)/g, '(?:')}${path}$`) }
}

/** Which way a call goes, and what it names in its path. Undefined: none that is known. `paths`: every path that the call may be at the provider. */
export function wayOf(plan: OwnershipPlan, method: string, paths: readonly string[]): { way: Way; id: string | undefined } | undefined {
  if (plan.owns.root === undefined) return plan.owns.ways[0] && { way: plan.owns.ways[0], id: undefined }
  for (const { way, method: wanted, path } of plan.ways) {
    // a HEAD would tell how long a list is
    if (wanted !== '*' && wanted !== (method === 'HEAD' && !way.lists ? 'GET' : method)) continue
    for (const text of paths) {
      // what can be read in two ways names nothing for certain
      const found = isPlain(text) ? path.exec(text) : null
      if (found) return { way, id: found[1] }
    }
  }
  return undefined
}

/** Words for what belongs to somebody at a provider: those that `OwnedRecord.kind` can be. */
export function resourceKinds({ endpoints }: Pick<Provider, 'endpoints'>): ReadonlySet<string> {
  const kinds = new Set<string>()
  for (const { owns } of endpoints) {
    if (!owns) continue
    const ofWays = owns.ways.flatMap(({ kind, makes = [], lists }) => [kind, lists?.kind, ...makes.map(made => made.kind)])
    for (const kind of [owns.kind, ...ofWays, ...owns.names.map(place => place.kind)]) if (kind !== undefined) kinds.add(kind)
  }
  return kinds
}
