/**
 * How long a reply asks to wait, in milliseconds: `retry-after-ms`, or `retry-after` in seconds or as a date (RFC 9110, section 10.2.3). Undefined
 * where it does not say, or says that there is nothing to wait for. `headers` are names in lower case and values in turn.
 */
export function retryAfterMs(headers: readonly string[], now: number): number | undefined {
  let found: number | undefined
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]
    const value = headers[at + 1] ?? ''
    if (name === 'retry-after-ms') return positive(Number(value))
    if (name === 'retry-after') found = /^\s*[\d.]+\s*$/.test(value) ? positive(Number(value) * 1000) : positive(Date.parse(value) - now)
  }
  return found
}

function positive(ms: number): number | undefined {
  return ms > 0 && Number.isFinite(ms) ? ms : undefined
}
