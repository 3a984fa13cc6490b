/** Money is integer micro-dollars (1 USD = 1 000 000) wherever it is added up, so that sums stay exact; dollars are for people. */
const microDollarsPerDollar = 1_000_000

/** `5`, `0.25`, `5usd`, `$5` in micro-dollars; `undefined` for anything else, below zero, finer than a micro-dollar, or past what adds up exactly. */
export function parseDollars(text: string): number | undefined {
  const [, whole, fraction = ''] = /^\$?(\d{1,9})(?:\.(\d{1,6}))?(?: ?usd)?$/i.exec(text) ?? []
  if (whole === undefined) return undefined
  return Number(whole) * microDollarsPerDollar + Number(fraction.padEnd(6, '0'))
}

const zero = 48

/** As people write it, with two decimals or as many as it takes: `5.00`, `0.0025`. */
export function formatDollars(microDollars: number): string {
  const size = Math.abs(microDollars)
  // the one before keeps the zeros in front
  const fraction = String(microDollarsPerDollar + (size % microDollarsPerDollar))
  let end = fraction.length
  while (end > 3 && fraction.charCodeAt(end - 1) === zero) end--
  return `${microDollars < 0 ? '-' : ''}${Math.floor(size / microDollarsPerDollar)}.${fraction.slice(1, end)}`
}

/** For JSON: dollars as a number. Do not add these up. */
export function toDollars(microDollars: number): number {
  return microDollars / microDollarsPerDollar
}
