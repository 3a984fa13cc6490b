/** No access token could be had, or a call was meant for somebody else. What a provider or the relay answers is no such error: that is a reply, as of any `fetch`. */
export class SoakpClientError extends Error {
  override readonly name = 'SoakpClientError'
  /** One of soakp's codes, where it answered with one. */
  readonly code: string | undefined
  readonly status: number | undefined

  constructor(message: string, options: { readonly cause?: unknown; readonly code?: string | undefined; readonly status?: number } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = options.code
    this.status = options.status
  }
}

/** What soakp answered in place of a token, as RFC 9457 has it. */
export async function refusedBy(response: Response, what: string): Promise<SoakpClientError> {
  const body: unknown = await response.json().catch(() => undefined)
  const { code, title, detail } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const words = [title, detail].filter(word => typeof word === 'string').join(' ') || `status ${response.status}`
  return new SoakpClientError(`${what}: ${words}`, { code: typeof code === 'string' ? code : undefined, status: response.status })
}
