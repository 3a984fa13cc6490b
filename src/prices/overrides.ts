import { compileGlobs } from '../lib/glob.js'
import { type RateName, type Rates, rateNames } from './rates.js'

/** A price that the operator set. It holds from `fromMs` on, until a later one of the same provider and model. */
export interface Override {
  readonly provider: string
  /** A name, or a glob in which `*` stands for any characters. */
  readonly model: string
  /** Epoch milliseconds. */
  readonly fromMs: number
  /** By names of rates.ts, in pico-dollars; `null` where `sameAs` says it. */
  readonly rates: Readonly<Record<string, number>> | null
  /** `PROVIDER/MODEL` whose listed price this is. */
  readonly sameAs: string | null
  readonly createdAtMs: number
}

export function isFor(override: Override, provider: string, model: string): boolean {
  return override.provider === provider && compileGlobs([override.model.toLowerCase()])(model.toLowerCase())
}

/** Names that this version does not know are left out: what they price is then unpriced. */
export function ratesOfOverride({ rates }: Override): Rates {
  const known: Partial<Record<RateName, number>> = {}
  for (const name of rateNames) {
    const rate = rates?.[name]
    if (rate !== undefined) known[name] = rate
  }
  return known
}
