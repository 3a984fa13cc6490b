import { InvalidArgumentError, Option } from 'commander'

import { dnsServer, Refusal } from '../../config/types.js'
import { parseDuration } from '../../lib/duration.js'
import { parseDollars } from '../../lib/money.js'
import { formatTerm, parseBudget, parseQuota, type Term } from '../../lib/terms.js'

/** A duration option, in milliseconds. */
export function durationOption(flags: string, description: string, atLeastMs = 1): Option {
  return new Option(flags, description).argParser(text => {
    const ms = parseDuration(text)
    if (ms === undefined || ms < atLeastMs) throw new InvalidArgumentError('It is a duration such as 30s, 15m, 24h or 30d.')
    return ms
  })
}

/** A moment: so long ago, or a date or time in UTC. */
export type Moment = { readonly agoMs: number } | { readonly atMs: number }

export function momentOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text): Moment => {
    const agoMs = parseDuration(text)
    if (agoMs !== undefined && agoMs > 0) return { agoMs }
    const [, date, time = 'T00:00:00Z'] =
      /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/.exec(text) ?? []
    const atMs = date === undefined ? Number.NaN : Date.parse(`${date}${time}`)
    if (Number.isNaN(atMs))
      throw new InvalidArgumentError('It is a duration such as 24h or 30d, a date such as 2026-11-01, or a time such as 2026-11-01T12:00Z.')
    return { atMs }
  })
}

export function momentMs(moment: Moment, now: number): number {
  return 'agoMs' in moment ? now - moment.agoMs : moment.atMs
}

/** A whole number above zero. */
export function countOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(text => {
    if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is a whole number above zero.')
    return Number(text)
  })
}

/** A key's part of the calls among its like. */
export function weightOption(): Option {
  return new Option(
    '--weight <n>',
    'its part of the calls among several keys (1 unless said otherwise); 0: only when no other can',
  ).argParser(text => {
    if (!/^\d{1,4}$/.test(text) || Number(text) > 1000) throw new InvalidArgumentError('It is a whole number from 0 to 1000.')
    return Number(text)
  })
}

/** A list: several values, or one with commas between, or the option several times. `check` throws for a part that is none. */
export function listOption(flags: string, description: string, check: (part: string) => void = () => {}): Option {
  return new Option(flags, description).argParser((text: string, before: string[] | boolean | undefined) => {
    const parts = text.split(',').map(part => part.trim())
    if (parts.includes('')) throw new InvalidArgumentError('It holds an empty value.')
    for (const part of parts) check(part)
    return [...(Array.isArray(before) ? before : []), ...parts]
  })
}

/** DNS servers to be asked, for one command or one certificate. */
export function resolverOption(): Option {
  return listOption('--resolver <host...>', 'ask these resolvers (HOST or HOST:PORT) instead of those in the settings', part => {
    try {
      dnsServer.parse(part, '')
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      throw new InvalidArgumentError('It is HOST or HOST:PORT; a name without a dot needs its port.')
    }
  })
}

/** Enough of a look to find a slip; the rest is for whoever writes there. */
export function emailOption(description: string): Option {
  return new Option('--email <address>', description).argParser(text => {
    if (!/^[^\s@<>,;?%]+@[^\s@<>,;?%]+\.[^\s@<>,;?%.]+$/.test(text))
      throw new InvalidArgumentError('It is an address such as you@example.com.')
    return text
  })
}

/** Quotas, as they are kept: `1000/day`. */
export function quotaOption(flags: string, description: string): Option {
  return termOption(flags, description, parseQuota, 'It is a quota such as 1000/d; per h, d, month or total.')
}

/** Budgets, as they are kept: `5.00usd/month`. */
export function budgetOption(flags: string, description: string): Option {
  return termOption(flags, description, parseBudget, 'It is a budget such as 5usd/month or 1000000tokens/d; per h, d, month or total.')
}

function termOption(flags: string, description: string, parse: (text: string) => Term | undefined, form: string): Option {
  return new Option(flags, description).argParser((text: string, before: string[] | boolean | undefined) => {
    const terms = text.split(',').map(part => {
      const term = parse(part.trim())
      if (!term) throw new InvalidArgumentError(form)
      return formatTerm(term)
    })
    return [...(Array.isArray(before) ? before : []), ...terms]
  })
}

/** Dollars, in micro-dollars; above zero. */
export function dollarsOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(text => {
    const microDollars = parseDollars(text)
    if (!microDollars) throw new InvalidArgumentError('It is an amount of dollars such as 0.25 or 2usd.')
    return microDollars
  })
}
