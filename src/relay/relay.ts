import type { Call } from './call.js'

export interface Relay {
  /** Takes the call and answers it; never throws, never rejects. */
  handle(call: Call): void
  /** Calls whose reply is not finished or whose entry is not committed. */
  readonly openCalls: number
  /** Origins that any live grant allows, for preflights. */
  allowsOrigin(origin: string): boolean | Promise<boolean>
  /** Lets open calls finish for `graceMs`, then cuts them; resolves when every entry is committed. */
  drain(graceMs: number): Promise<void>
}
