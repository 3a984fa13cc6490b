import { rulesOf } from '../../access/rules.js'
import { SoakpError } from '../../errors.js'
import type { Found } from '../../lib/json-scan.js'
import { isPromise, type MaybePromise } from '../../lib/maybe.js'
import { type OwnershipPlan, ownershipOf } from '../../providers/index.js'
import type { OwnedRecord } from '../../stores/records.js'
import type { Exchange } from '../exchange.js'
import type { Keeping } from '../owned/keeping.js'
import type { StreamLearner } from '../owned/made.js'
import { namedIn } from '../owned/owned.js'
import type { Ownership } from '../owned/ownership.js'

export interface SocketOwnedDeps {
  readonly ownership: Pick<Ownership, 'admitForm'>
  readonly keeping: Pick<Keeping, 'learner' | 'keep'>
}

/** What is not stored at the provider can be named on its own connection alone; so much of it is remembered. */
const remembered = 5_000

const unstored = Buffer.from('"store":false')
const stored = Buffer.from('"store":true')

/** Things that belong to somebody, in the messages of one connection. */
export class SocketOwned {
  readonly #exchange: Exchange
  readonly #plan: OwnershipPlan
  readonly #deps: SocketOwnedDeps
  readonly #learner: StreamLearner | undefined
  /** What was made here and is kept nowhere. */
  readonly #own = new Set<string>()
  #stores = true

  private constructor(exchange: Exchange, plan: OwnershipPlan, deps: SocketOwnedDeps) {
    this.#exchange = exchange
    this.#plan = plan
    this.#deps = deps
    this.#learner = deps.keeping.learner(exchange)
  }

  /** Undefined: nothing that passes here belongs to somebody. */
  static for(exchange: Exchange, deps: SocketOwnedDeps): SocketOwned | undefined {
    const plan = exchange.endpoint && ownershipOf(exchange.endpoint)
    return plan && plan.jsonNames.length > 0 ? new SocketOwned(exchange, plan, deps) : undefined
  }

  /** Holds what a client's message names against whose it is. Throws or rejects with `resource_not_found`, `invalid_body`. */
  client(message: Buffer, found: readonly Found[]): MaybePromise<undefined> {
    const { grant } = this.#exchange
    if (!grant || rulesOf(grant.record).reachesAll || found.length === 0) return undefined
    const named = namedIn(this.#plan, found, message, rulesOf(grant.record))
    const owned = named?.filter(({ kind, id }) => kind !== undefined && !this.#own.has(`${kind} ${id}`))
    const admitted = owned && this.#deps.ownership.admitForm(this.#exchange, owned)
    return isPromise(admitted) ? admitted.then(() => undefined) : undefined
  }

  /** What the provider's message tells of is written down before the client is told; rejects where it cannot be. Undefined: nothing new. */
  server(message: Buffer): Promise<void> | undefined {
    const learner = this.#learner
    if (!learner) return undefined
    learner.event(message)
    const made = learner.take()
    if (made === undefined) return undefined
    if (message.includes(unstored)) this.#stores = false
    else if (message.includes(stored)) this.#stores = true
    if (this.#stores) return this.#keep(made)
    for (const { kind, id } of made) this.#own.add(`${kind} ${id}`)
    for (const oldest of this.#own) {
      if (this.#own.size <= remembered) break
      this.#own.delete(oldest)
    }
    return undefined
  }

  #keep(records: readonly OwnedRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#deps.keeping.keep(records, error => {
        if (error === undefined) resolve()
        else reject(new SoakpError('store_unavailable', undefined, { cause: error }))
      })
    })
  }
}
