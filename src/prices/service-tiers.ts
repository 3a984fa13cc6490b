/**
 * What a way of serving costs beside the usual one, where the provider's reply says that the call was served so: a factor on everything. By our name of the
 * provider; the first row whose models match counts. What stands in no row has no known price, and is not guessed.
 */
interface TierRow {
  readonly tier: string
  readonly factor: number
  /** Names of models, without the date of a snapshot; absent: all. */
  readonly models?: readonly string[]
}

/** https://platform.openai.com/docs/pricing (flex, batch: half) and https://openai.com/api-priority-processing, both as of 2026-06. */
const openai: readonly TierRow[] = [
  { tier: 'flex', factor: 0.5 },
  { tier: 'batch', factor: 0.5 },
  { tier: 'priority', factor: 1.8, models: ['gpt-5-mini'] },
  { tier: 'priority', factor: 2.5, models: ['gpt-5.5'] },
  {
    tier: 'priority',
    factor: 2,
    models: ['gpt-5', 'gpt-5.1', 'gpt-5.2', 'gpt-5.4', 'gpt-5.4-mini', 'gpt-5-codex', 'gpt-5.1-codex', 'gpt-4.1-nano'],
  },
  { tier: 'priority', factor: 1.75, models: ['gpt-4.1', 'gpt-4.1-mini', 'o3', 'gpt-4o-2024-05-13'] },
  { tier: 'priority', factor: 5 / 3, models: ['gpt-4o-mini'] },
  { tier: 'priority', factor: 1.7, models: ['gpt-4o'] },
]

/** https://platform.claude.com/docs/en/about-claude/pricing as of 2026-04: batches half, inference in the US alone a tenth more, `speed: "fast"` six times. */
const anthropic: readonly TierRow[] = [
  { tier: 'batch', factor: 0.5 },
  { tier: 'us', factor: 1.1 },
  { tier: 'fast', factor: 6, models: ['claude-opus-4-6', 'claude-opus-4-7'] },
]

/** https://ai.google.dev/gemini-api/docs/optimization as of 2026-08. Priority costs 75 to 100 % more, by model: not guessed. */
const google: readonly TierRow[] = [
  { tier: 'flex', factor: 0.5 },
  { tier: 'batch', factor: 0.5 },
  { tier: 'on_demand_flex', factor: 0.5 },
]

/** Flex and performance cost what on-demand costs (https://console.groq.com/docs/service-tiers as of 2025-10). */
const groq: readonly TierRow[] = [
  { tier: 'flex', factor: 1 },
  { tier: 'batch', factor: 0.5 },
]

/** https://docs.mistral.ai/studio-api/batch-processing as of 2026-11. */
const mistral: readonly TierRow[] = [{ tier: 'batch', factor: 0.5 }]

const rows: Readonly<Record<string, readonly TierRow[]>> = {
  openai,
  'azure-openai': [{ tier: 'batch', factor: 0.5 }],
  anthropic,
  gemini: google,
  vertex: google,
  groq,
  mistral,
}

/** Undefined: nobody knows what this costs. `tier`: as in `Usage`, several joined by `+`. */
export function tierFactor(provider: string, model: string, tier: string): number | undefined {
  let factor = 1
  for (const part of tier.split('+')) {
    const row = rows[provider]?.find(
      row => row.tier === part && (row.models === undefined || row.models.some(name => model === name || model.startsWith(`${name}-20`))),
    )
    if (!row) return undefined
    factor *= row.factor
  }
  return factor
}
