import { compilePointers, type Pointers } from '../../lib/json-scan.js'
import { streamOptionsPointers } from '../../lib/json-splice.js'
import { type OwnershipPlan, ownershipOf } from '../../providers/index.js'
import type { Dialect, Endpoint } from '../../providers/provider.js'

/** What is looked for in the body of a call. */
export interface Wanted {
  readonly pointers: Pointers
  readonly models: ReadonlySet<string>
  /** Where the model stands that the call is first of all for. */
  readonly mainModel: string | undefined
  /** Of `models`, those at which may also be something that has models in it. */
  readonly modelHolders: ReadonlySet<string>
  readonly maxOutput: ReadonlySet<string>
  readonly choices: ReadonlySet<string>
  readonly texts: ReadonlySet<string>
  readonly stream: string | undefined
  readonly putOff: string | undefined
  readonly ownership: OwnershipPlan | undefined
}

const wanted = new WeakMap<Endpoint, Wanted>()

export function wantedOf(endpoint: Endpoint, dialect: Dialect): Wanted {
  let plan = wanted.get(endpoint)
  if (!plan) {
    const models = endpoint.models.flatMap(place => (place.in === 'json' ? [place.pointer] : []))
    const stream = dialect.streamPointer
    const ownership = ownershipOf(endpoint)
    const putOff = endpoint.owns?.ways.find(({ batch }) => batch?.one?.by !== undefined)?.batch?.one?.by
    const pointers = [
      ...models,
      ...dialect.maxOutputPointers,
      ...dialect.choicesPointers,
      ...(stream ? [stream] : []),
      ...(putOff ? [putOff] : []),
      ...(endpoint.includeUsage ? streamOptionsPointers : []),
      ...(endpoint.countsText ?? []),
      ...(endpoint.prompts ? [endpoint.prompts] : []),
      ...(ownership?.pointers ?? []),
    ]
    plan = {
      pointers: compilePointers([...new Set(pointers)]),
      models: new Set(models),
      mainModel: models[0],
      modelHolders: new Set(models.filter(pointer => models.some(deeper => deeper.startsWith(`${pointer}/`)))),
      maxOutput: new Set(dialect.maxOutputPointers),
      choices: new Set(dialect.choicesPointers),
      texts: new Set(endpoint.countsText),
      stream,
      putOff,
      ownership,
    }
    wanted.set(endpoint, plan)
  }
  return plan
}
