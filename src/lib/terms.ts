import { formatDollars, parseDollars } from './money.js'

/** Calendar windows in UTC; `total` never ends. */
export type WindowName = 'hour' | 'day' | 'month' | 'total'

/** What is counted. */
export type Quantity = 'calls' | 'microDollars' | 'tokens'

/** So much of something in a calendar window. */
export interface Term {
  readonly quantity: Quantity
  readonly limit: number
  readonly window: WindowName
}

const windows: Readonly<Record<string, WindowName>> = {
  h: 'hour',
  hour: 'hour',
  d: 'day',
  day: 'day',
  mo: 'month',
  month: 'month',
  total: 'total',
}

/** `1000/d`, `20000/month`, `50/total`: calls in a window. Undefined for anything else; zero is a limit too. */
export function parseQuota(text: string): Term | undefined {
  const [, digits, unit = ''] = /^(\d{1,12})\/([a-z]+)$/.exec(text) ?? []
  const window = Object.hasOwn(windows, unit) ? windows[unit] : undefined
  return digits === undefined || window === undefined ? undefined : { quantity: 'calls', limit: Number(digits), window }
}

/** `5usd/month`, `$0.50/d`, `1000000tokens/day`, `20usd/total`: money or model tokens in a window. Undefined for anything else. */
export function parseBudget(text: string): Term | undefined {
  const [, amount = '', unit = ''] = /^(.{1,24})\/([a-z]+)$/.exec(text) ?? []
  const window = Object.hasOwn(windows, unit) ? windows[unit] : undefined
  if (window === undefined) return undefined
  const [, tokens] = /^(\d{1,15}) ?tokens?$/.exec(amount) ?? []
  if (tokens !== undefined) return { quantity: 'tokens', limit: Number(tokens), window }
  // a bare number could mean either
  const limit = /usd|\$/i.test(amount) ? parseDollars(amount) : undefined
  return limit === undefined ? undefined : { quantity: 'microDollars', limit, window }
}

/** As it is shown and kept: `1000/day`, `5.00usd/month`, `1000000tokens/day`. */
export function formatTerm({ quantity, limit, window }: Term): string {
  return `${formatAmount(quantity, limit, '')}/${window}`
}

/** `12`, `0.0025usd`, `1000tokens`; `gap` stands between number and unit. */
export function formatAmount(quantity: Quantity, amount: number, gap = ' '): string {
  if (quantity === 'microDollars') return `${formatDollars(amount)}${gap}usd`
  return quantity === 'tokens' ? `${amount}${gap}tokens` : `${amount}`
}
