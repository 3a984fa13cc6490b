import { object } from './usage.js'

/** Statuses with which a provider may say that what a key may spend is spent. */
const statuses: ReadonlySet<number> = new Set([400, 402, 403, 429])

/**
 * What `error.code` or `error.type` says then. Sources: platform.openai.com/docs/guides/error-codes, console.groq.com/docs/spend-limits,
 * docs.anthropic.com/en/api/errors.
 */
const codes: ReadonlySet<string> = new Set([
  'insufficient_quota',
  'billing_hard_limit_reached',
  'billing_not_active',
  'billing_error',
  'blocked_api_access',
  'insufficient_balance',
  'insufficient_credits',
])

/**
 * How `error.message` begins then: Anthropic, DeepSeek, OpenRouter, Gemini. Not Gemini's "You exceeded your current quota", which it says of a
 * minute's rate as well.
 */
const messages =
  /^(?:Your credit balance is too low|You have reached your specified (?:workspace )?API usage limits|Insufficient (?:Balance|credits)|Your prepayment credits are depleted|Key limit exceeded)/i

/** A call that asked for more than is left says nothing of smaller ones: any client could put a key to rest by it. */
const tooDear = /fewer max_tokens|can only afford|more credits are required to run this request/i

/** Whether an error reply means that what the key may spend is spent, which no waiting mends. `body` is its first 64 KB as text. */
export function quotaSpent(status: number, body: string): boolean {
  if (!statuses.has(status) || tooDear.test(body)) return false
  const error = errorOf(body)
  const message = typeof error?.message === 'string' ? error.message : ''
  return status === 402 || codes.has(String(error?.code)) || codes.has(String(error?.type)) || messages.test(message)
}

/** How long a provider asks to wait in the body: Google's `RetryInfo` (google.rpc), `"retryDelay": "37s"`. */
export function retryDelayMs(body: string): number | undefined {
  const seconds = /"retryDelay"\s*:\s*"(\d{1,6}(?:\.\d+)?)s"/.exec(body)?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1000
}

function errorOf(body: string): ReturnType<typeof object> {
  try {
    const parsed: unknown = JSON.parse(body)
    // Google sends errors of streams in a list
    return object(object(Array.isArray(parsed) ? parsed[0] : parsed)?.error)
  } catch {
    return undefined
  }
}
