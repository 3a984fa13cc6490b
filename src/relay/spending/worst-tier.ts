import { compilePointers, scanJson } from '../../lib/json-scan.js'
import type { AtMost, Price } from '../../prices/prices.js'

/** Where a request asks to be served otherwise than usual: OpenAI's and Groq's, Anthropic's, Google's. */
const wishes = compilePointers(['/service_tier', '/serviceTier', '/speed', '/inference_geo'])

/** Vertex AI has headers for it. */
const wishHeaders = ['x-vertex-ai-llm-shared-request-type', 'x-vertex-ai-llm-request-type'] as const

/** What providers call the usual way, or leave to the account's own settings. */
const usual: ReadonlySet<string> = new Set(['', 'default', 'standard', 'standard_only', 'auto', 'on_demand', 'shared', 'global'])

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** The most that a call can cost if it is served as it asks to be. Undefined: nobody knows a price for that, or for any of it. */
export function worstAsServed(price: Price, most: AtMost, body: Buffer | undefined, asked: Headers): number | undefined {
  const plainly = price.worstCase(most)
  const tier = tierOf(body, asked)
  if (plainly === undefined || tier === '') return plainly
  const served = tier === undefined ? undefined : price.worstCase(most, tier)
  // what is asked to be cheaper may be served as usual
  return served === undefined ? undefined : Math.max(plainly, served)
}

/** Parts of their names, and what may hide them in JSON: most bodies have none, and need not be scanned. */
const mayWish = /tier|Tier|speed|inference_geo|\\u/

/** As `Usage.tier`; empty: as usual; undefined: it cannot be told. */
function tierOf(body: Buffer | undefined, asked: Headers): string | undefined {
  const isAsked = wishHeaders.some(name => asked[name] !== undefined)
  const isWritten = body !== undefined && body.length > 0 && mayWish.test(body.toString('latin1'))
  return isAsked || isWritten ? namesOf(isWritten ? body : undefined, asked) : ''
}

function namesOf(body: Buffer | undefined, asked: Headers): string | undefined {
  const names = new Set<string>()
  const note = (text: unknown) => {
    const name = typeof text === 'string' ? text.toLowerCase() : ''
    if (!usual.has(name)) names.add(name)
  }
  for (const name of wishHeaders) for (const value of [asked[name] ?? []].flat()) note(value)
  if (body) {
    const scan = scanJson(body, wishes)
    if (!scan.ok) return undefined
    for (const { value } of scan.found) note(value)
  }
  return [...names].join('+')
}
