/** A token that an API takes, and when it stops to. */
export interface AccessToken {
  readonly token: string
  readonly expiresAtMs: number
}

/** Asks for a token when the last one is about to run out; askers that come together share one request. A failed request is not remembered. */
export function renewedToken(now: () => number, request: () => Promise<AccessToken>): () => Promise<string> {
  let current: Promise<AccessToken> | undefined
  let known: AccessToken | undefined
  return async () => {
    if (known !== undefined && known.expiresAtMs - now() > 60_000) return known.token
    current ??= request().finally(() => {
      current = undefined
    })
    known = await current
    return known.token
  }
}
