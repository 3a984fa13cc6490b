import { SoakpError } from '../../errors.js'
import { isPromise, type MaybePromise } from '../../lib/maybe.js'
import type { Charge } from '../../prices/prices.js'
import type { Usage } from '../../providers/provider.js'
import type { SocketEndpoint } from '../../providers/sockets/socket.js'
import type { Exchange } from '../exchange.js'
import { toSoakpError } from '../refuse.js'
import type { Admission } from '../spending/admission.js'
import { SocketBudget, type SocketBudgetDeps, type Unsettled } from './budget.js'
import { SocketOwned, type SocketOwnedDeps } from './owned.js'
import type { MessageJudge } from './rules.js'

/** Why a message does not go on. `ends`: and nothing after it. */
export interface Verdict {
  readonly error: SoakpError
  readonly ends: boolean
}

export interface GateDeps extends SocketBudgetDeps, SocketOwnedDeps {
  readonly admission: Pick<Admission, 'admit' | 'changeKey'>
}

/** Limits ask which model it is, which only a message of the client's will say. */
export function awaitsModel({ model, asks }: Exchange, row: SocketEndpoint | undefined): boolean {
  return model === null && row?.bound !== undefined && row.messageModels.length > 0 && (asks?.cost === true || asks?.model === true)
}

/** What the messages of a connection meet where a budget or ownership may have to ask the store. */
export class SocketGate {
  readonly #exchange: Exchange
  readonly #row: SocketEndpoint | undefined
  readonly #deps: GateDeps
  readonly #unsettled: () => Unsettled
  readonly #owned: SocketOwned | undefined
  #budget: SocketBudget | undefined
  #awaitsModel: boolean

  constructor(exchange: Exchange, row: SocketEndpoint | undefined, deps: GateDeps, unsettled: () => Unsettled) {
    this.#exchange = exchange
    this.#row = row
    this.#deps = deps
    this.#unsettled = unsettled
    this.#owned = SocketOwned.for(exchange, deps)
    this.#awaitsModel = awaitsModel(exchange, row)
    if (!this.#awaitsModel) this.#openBudget()
  }

  #openBudget(): undefined {
    const { hold } = this.#exchange
    if (hold && this.#exchange.asks?.cost === true && hold.budgets.length > 0)
      this.#budget = new SocketBudget(this.#exchange, this.#row, hold, this.#deps, this.#unsettled)
  }

  /** A message of the client's that its judge let pass. Undefined, now or later: it goes on. */
  client(judge: MessageJudge, message: Buffer): MaybePromise<Verdict | undefined> {
    const isOwned = this.#owned !== undefined && judge.found.length > 0
    if (!isOwned && this.#budget === undefined && !this.#awaitsModel) return undefined
    // another message may be judged while this one waits
    const { found, type, works, model, outputs, characters } = judge
    const read = { message, found, type, works, model, outputs, characters }
    const steps = [() => this.#owned?.client(message, found), () => this.#admit(read.model), () => this.#hold(read)]
    return run(steps, 0)
  }

  #admit(model: string | undefined): MaybePromise<Verdict | undefined> {
    const { asks, key, model: known } = this.#exchange
    if (!this.#awaitsModel) {
      if (asks?.model !== true || model === undefined || model === known || this.#row?.bound?.by !== 'calls') return undefined
      throw new SoakpError('model_not_allowed', 'A limit counts the model that this connection began with: open another one.')
    }
    if (known === null || !key) return undefined
    this.#awaitsModel = false
    const ends = (error: unknown): Verdict => ({ error: toSoakpError(error), ends: true })
    try {
      const admitted = this.#deps.admission.admit(this.#exchange, key)
      if (isPromise(admitted)) return admitted.then(() => this.#openBudget(), ends)
      return this.#openBudget()
    } catch (error) {
      return ends(error)
    }
  }

  #hold(read: Parameters<SocketBudget['client']>[0]): MaybePromise<Verdict | undefined> {
    const budget = this.#budget
    if (!budget) return undefined
    const { isCall, refusal } = budget.client(read)
    const told = (error: SoakpError | undefined) => {
      if (!error || (this.#letsFinish && !isCall)) return undefined
      budget.takeBack()
      return { error, ends: !isCall }
    }
    return isPromise(refusal) ? refusal.then(told) : told(refusal)
  }

  get #letsFinish(): boolean {
    return this.#exchange.grant?.record.letFinish === true
  }

  /** A message of the provider's that may tell of something new: rejects where that cannot be written down. Undefined: it may be told at once. */
  learn(message: Buffer): Promise<void> | undefined {
    return this.#owned?.server(message)
  }

  /** After a message of the provider's was metered. Resolves with why the connection must not go on. */
  server(message: Buffer, isCounted: boolean): MaybePromise<SoakpError | undefined> {
    return this.#budget && this.#unlessLet(this.#budget.server(message, isCounted))
  }

  tick(elapsedMs: number): MaybePromise<SoakpError | undefined> {
    return this.#budget && this.#unlessLet(this.#budget.tick(elapsedMs))
  }

  #unlessLet(refusal: MaybePromise<SoakpError | undefined>): MaybePromise<SoakpError | undefined> {
    return this.#letsFinish ? undefined : refusal
  }

  /** What nothing was reported of may have been billed as input, in model tokens. */
  get unreported(): number | undefined {
    return this.#budget?.unreported
  }

  charge(usage: Usage | undefined, model: string | undefined, isLast: boolean): Charge | undefined {
    return this.#budget?.charge(usage, model, isLast)
  }

  /** What it can consume is known, so that where nothing was reported, nothing was consumed. */
  get isBounded(): boolean {
    return this.#budget !== undefined && this.#row?.bound !== undefined
  }
}

type Step = () => MaybePromise<Verdict | undefined>

/** One after the other, until one says no. What is thrown refuses the message alone. */
function run(steps: readonly Step[], from: number): MaybePromise<Verdict | undefined> {
  const refused = (error: unknown): Verdict => ({ error: toSoakpError(error), ends: false })
  for (let at = from; at < steps.length; at++) {
    try {
      const verdict = (steps[at] as Step)()
      if (isPromise(verdict)) return verdict.then(said => said ?? run(steps, at + 1), refused)
      if (verdict) return verdict
    } catch (error) {
      return refused(error)
    }
  }
  return undefined
}
