/** The ways of proving a name that can be done here. A CA may offer others; those are passed over. */
export type ChallengeType = 'dns-01' | 'http-01'

/** One thing a CA wants to see before it believes that a name is ours. */
export interface Challenge {
  readonly type: ChallengeType
  /** The name to prove: lower case, punycode, never with `*.`. */
  readonly identifier: string
  /** It proves `*.identifier` rather than `identifier`. Both may be asked at once: then two values stand at the same TXT name. */
  readonly wildcard: boolean
  /** RFC 8555 section 8.3: what a CA asks for below `/.well-known/acme-challenge/`. */
  readonly token: string
  /** Token, a dot and the account key's thumbprint: the answer over HTTP. */
  readonly keyAuthorization: string
  /** RFC 8555 section 8.4: the TXT value, base64url of the SHA-256 of `keyAuthorization`; bare, 43 characters. */
  readonly txtValue: string
}

/** What a solver gets to work with, for one call. */
export interface SolverContext {
  readonly now: () => number
  /** Ends what is under way. A clean-up gets one of its own, so that it is also done after the run was stopped; it is bounded in time. */
  readonly signal: AbortSignal
  /** Waits; rejects when the run is stopped. */
  readonly delay: (ms: number) => Promise<void>
  /** One line for a person who waits. Never a secret. */
  readonly tell: (line: string) => void
}

/**
 * Makes the answers to challenges visible and takes them away again. For every group that `plan` makes, in order: `prepare`, then the CA looks, then `cleanUp`,
 * whatever happened before, also where `prepare` threw or never ran.
 */
export interface Solver {
  readonly type: ChallengeType
  /** Splits all challenges of an order into groups whose answers can stand at the same time; each challenge is in exactly one. One group, where nothing speaks against it. */
  plan(challenges: readonly Challenge[], context: SolverContext): Promise<readonly (readonly Challenge[])[]>
  /** Resolves when the CA may look. Throws when it would look in vain. */
  prepare(challenges: readonly Challenge[], context: SolverContext): Promise<void>
  /** Removes what `prepare` may have made for these challenges, and nothing else. What is not there is success. */
  cleanUp(challenges: readonly Challenge[], context: SolverContext): Promise<void>
}
