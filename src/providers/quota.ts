import { object } from './usage.js'

/** Statuses with which a provider may say that what a key may spend is spent. */
const statuses: ReadonlySet<number> = new Set([400, 402, 403, 429, 456])

/** With these no word is needed: 456 is DeepL's own. */
const plain: ReadonlySet<number> = new Set([402, 456])

/**
 * What `error.code` or `error.type` says then. Sources: platform.openai.com/docs/guides/error-codes, console.groq.com/docs/spend-limits,
 * docs.anthropic.com/en/api/errors, docs.z.ai/api-reference/api-code (1113, 1309), api-dashboard.search.brave.com (QUOTA_LIMITED).
 */
const codes: ReadonlySet<string> = new Set([
  'insufficient_quota',
  'billing_hard_limit_reached',
  'billing_not_active',
  'billing_error',
  'blocked_api_access',
  'insufficient_balance',
  'insufficient_credits',
  '1113',
  '1309',
  'QUOTA_LIMITED',
])

/**
 * How `error.message` begins then: Anthropic, DeepSeek, OpenRouter, Gemini. Not Gemini's "You exceeded your current quota", which it says of a
 * minute's rate as well.
 */
const messages =
  /^(?:Your credit balance is too low|You have reached your specified (?:workspace )?API usage limits|Insufficient (?:Balance|credits)|Your prepayment credits are depleted|Key limit exceeded)/i

/** How xAI's `error`, which is a text, says it. It begins so: further on may stand what a client sent. */
const spentTeam = /^Your (?:newly created )?team \S* ?(?:has either used all available credits|doesn't have any credits)/i

/** A call that asked for more than is left says nothing of smaller ones: any client could put a key to rest by it. */
const tooDear = /fewer max_tokens|can only afford|more credits are required to run this request/i

/** Whether an error reply means that what the key may spend is spent, which no waiting mends. `body` is its first 64 KB as text. */
export function quotaSpent(status: number, body: string): boolean {
  if (!statuses.has(status) || tooDear.test(body)) return false
  if (plain.has(status)) return true
  const said = errorOf(body)
  if (typeof said === 'string') return spentTeam.test(said)
  const error = object(said)
  const message = typeof error?.message === 'string' ? error.message : ''
  return codes.has(String(error?.code)) || codes.has(String(error?.type)) || messages.test(message)
}

/** OpenAI's 429 for one call that is larger than what a whole minute allows: smaller ones are welcome. */
const tooLarge = /^Request too large/

/** Whether a 429 is about this call alone, so that the key need not rest for others. */
export function concernsCallOnly(body: string): boolean {
  if (!body.includes('Request too large')) return false
  const message = object(errorOf(body))?.message
  return typeof message === 'string' && tooLarge.test(message)
}

/** How long a provider asks to wait in the body: Google's `RetryInfo` (google.rpc), `"retryDelay": "37s"`. */
export function retryDelayMs(body: string): number | undefined {
  const seconds = /"retryDelay"\s*:\s*"(\d{1,6}(?:\.\d+)?)s"/.exec(body)?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1000
}

function errorOf(body: string): unknown {
  try {
    const parsed: unknown = JSON.parse(body)
    // Google sends errors of streams in a list
    return object(Array.isArray(parsed) ? parsed[0] : parsed)?.error
  } catch {
    return undefined
  }
}
