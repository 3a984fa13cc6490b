import { InvalidArgumentError, Option } from 'commander'
import { parseDuration } from '../lib/duration.js'

/** A duration option, in milliseconds. */
export function durationOption(flags: string, description: string, atLeastMs = 1): Option {
  return new Option(flags, description).argParser(text => {
    const ms = parseDuration(text)
    if (ms === undefined || ms < atLeastMs) throw new InvalidArgumentError('It is a duration such as 30s, 15m, 24h or 30d.')
    return ms
  })
}

/** A whole number above zero. */
export function countOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(text => {
    if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is a whole number above zero.')
    return Number(text)
  })
}

/** A list: several values, or one with commas between, or the option several times. */
export function listOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string, before: string[] | boolean | undefined) => {
    const parts = text.split(',').map(part => part.trim())
    if (parts.includes('')) throw new InvalidArgumentError('It holds an empty value.')
    return [...(Array.isArray(before) ? before : []), ...parts]
  })
}
