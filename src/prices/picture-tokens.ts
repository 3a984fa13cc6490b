/** How a model that is billed by tokens counts pictures, at most. */
export interface PictureTokens {
  /** Of one picture that it makes. */
  readonly output: number
  /** Of one picture that it is given. */
  readonly input: number
}

interface Row {
  readonly models: readonly string[]
  /** By quality; what is asked for in any other word may be the best. */
  readonly output: { readonly low: number; readonly medium: number; readonly high: number }
  /** Where it is square and of a thousand pixels. */
  readonly square?: { readonly low: number; readonly medium: number; readonly high: number }
  readonly input: number
}

/** What is written beside a picture. */
const words = 1000

/**
 * OpenAI's table (https://platform.openai.com/docs/guides/image-generation, "Cost and latency"), which its later models share, and for `gpt-image-2`, whose pictures are
 * of any size, its calculator's formula at the 8 294 400 pixels that are the most it makes (community.openai.com/t/1382699). Pictures that are given: 65 and 129 for each
 * tile of 512 pixels, and 6240 more in high fidelity; for `gpt-image-2` nothing is written down, so as much as any model of OpenAI's counts.
 */
const rows: readonly Row[] = [
  {
    models: ['gpt-image-1', 'gpt-image-1-mini', 'gpt-image-1.5'],
    output: { low: 408, medium: 1584, high: 6240 },
    square: { low: 272, medium: 1056, high: 4160 },
    input: 10_000,
  },
  { models: ['gpt-image-2'], output: { low: 660, medium: 5931, high: 23_721 }, input: 50_000 },
]

/** Undefined: not known of this model. `partial`: each preview on the way is a hundred more. */
export function pictureTokens(model: string, quality: unknown, size: unknown, partial: number): PictureTokens | undefined {
  const name = model.toLowerCase()
  const row = rows.find(({ models }) => models.some(known => name === known || name.startsWith(`${known}-20`)))
  if (!row) return undefined
  const sizes = size === '1024x1024' && row.square ? row.square : row.output
  const picture = quality === 'low' || quality === 'medium' ? sizes[quality] : sizes.high
  return { output: picture + 100 * partial + words, input: row.input }
}
