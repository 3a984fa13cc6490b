import { SoakpClientError } from './error.js'

/** An access token as `/auth/token`, `/auth/exchange` or `/auth/refresh` answers it; a backend may pass that on as it is. */
export interface IssuedToken {
  readonly token: string
  /** Seconds. */
  readonly expiresIn?: number
  readonly expiresAt?: string
  /** There, if the token can be exchanged for a new one at `/auth/refresh`. */
  readonly refreshableUntil?: string
}

/** The token in use. Times are of this machine's clock, in milliseconds. */
export interface HeldToken {
  readonly token: string
  readonly renewAt: number
  readonly endsAt: number
  readonly refreshable: boolean
}

export interface Tokens {
  /** One that lasts. Calls that ask at once wait for the same answer. */
  get(): Promise<HeldToken>
  /** It was refused: the next call gets another. */
  drop(held: HeldToken): void
  /** Forgets the token and tells which it was; one that is on its way is waited for, and is it. */
  take(): Promise<HeldToken | undefined>
  /** How often that was done: a call from before must not bring a new one. */
  readonly taken: number
}

/** So long before its end a token is renewed, or at four fifths of a short life. */
const marginMs = 60_000
/** After a renewal that failed, while the old one still lasts. */
const patienceMs = 5_000

/** `first`: from whoever vouches for the user. `again`: in place of one that is refreshable. */
export function createTokens(first: () => Promise<IssuedToken | string>, again: (held: HeldToken) => Promise<IssuedToken>): Tokens {
  let held: HeldToken | undefined
  let flight: Promise<HeldToken> | undefined
  let taken = 0

  async function renew(old: HeldToken | undefined): Promise<HeldToken> {
    const refreshed = old?.refreshable && Date.now() < old.endsAt ? await again(old).catch(() => undefined) : undefined
    return toHeld(refreshed ?? (await first()))
  }

  async function fly(): Promise<HeldToken> {
    const old = held
    try {
      const fresh = await renew(old)
      held = fresh
      return fresh
    } catch (error) {
      if (old === undefined || held !== old || Date.now() >= old.endsAt) throw error
      held = { ...old, renewAt: Date.now() + patienceMs }
      return held
    } finally {
      flight = undefined
    }
  }

  return {
    async get() {
      if (held !== undefined && Date.now() < held.renewAt) return held
      flight ??= fly()
      return flight
    },
    drop(refused) {
      if (held?.token === refused.token) held = undefined
    },
    async take() {
      taken++
      await flight?.catch(() => {})
      const last = held
      held = undefined
      return last
    },
    get taken() {
      return taken
    },
  }
}

/** What an app's own function gave, whatever that is. */
function toHeld(issued: IssuedToken | string | null | undefined): HeldToken {
  const { token, expiresIn, expiresAt, refreshableUntil }: Partial<IssuedToken> =
    typeof issued === 'string' ? { token: issued } : (issued ?? {})
  if (typeof token !== 'string' || token === '') throw new SoakpClientError('no access token came: { token, expiresIn } was expected')
  const now = Date.now()
  const lives = [Number(expiresIn) * 1000, lifeOf(token), Date.parse(expiresAt ?? '') - now]
  const lifeMs = lives.find(life => life !== undefined && !Number.isNaN(life)) ?? marginMs
  return {
    token,
    endsAt: now + lifeMs,
    renewAt: now + Math.max(lifeMs - marginMs, lifeMs * 0.8),
    refreshable: refreshableUntil !== undefined,
  }
}

/** By what the token says of itself: this machine's clock may be wrong by hours, the difference of two times is not. */
function lifeOf(token: string): number | undefined {
  try {
    const { iat, exp } = JSON.parse(atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')))
    return typeof iat === 'number' && typeof exp === 'number' ? (exp - iat) * 1000 : undefined
  } catch {
    return undefined
  }
}
