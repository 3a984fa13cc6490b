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

/** A list: several values, or one with commas between, or the option several times. */
export function listOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string, before: string[] | boolean | undefined) => {
    const parts = text.split(',').map(part => part.trim())
    if (parts.includes('')) throw new InvalidArgumentError('It holds an empty value.')
    return [...(Array.isArray(before) ? before : []), ...parts]
  })
}
