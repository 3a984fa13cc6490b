import type { Secret } from '../../../lib/secret.js'

const mark = '[hidden]'

/** A shorter value is found in too much that is none, and is no secret that protects anything. */
const shortest = 4

/**
 * Takes secrets out of a text that comes from outside, in every spelling in which a server or a library may give them back: as they are, in base64 and base64url, URL-encoded, as in
 * JSON, as in HTML and XML, and percent- or plus-encoded as in forms.
 */
export function redact(text: string, secrets: Iterable<Secret>): string {
  let clean = text
  for (const secret of secrets) for (const spelling of spellings(secret.expose())) clean = clean.replaceAll(spelling, mark)
  return clean
}

const named: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Longest first, so that no shorter one leaves a rest of a longer one behind. */
function spellings(value: string): string[] {
  if (value.length < shortest) return []
  const all = [
    value,
    encodeURIComponent(value),
    encodeURIComponent(value).replace(/%[0-9A-F]{2}/g, code => code.toLowerCase()),
    new URLSearchParams({ v: value }).toString().slice(2),
    JSON.stringify(value).slice(1, -1),
    value.replace(/[&<>"']/g, char => named[char] ?? char),
    ...[0, 1, 2].flatMap(offset => base64At(value, offset)),
  ]
  return [...new Set(all)].filter(spelling => spelling.length >= shortest).sort((a, b) => b.length - a.length)
}

/** How a value looks in base64 when it begins `offset` bytes into what was encoded, as a password does in `user:password`: the characters that no neighbour changes. */
function base64At(value: string, offset: number): string[] {
  const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(value)])
  const whole = bytes.toString('base64').replace(/=+$/, '')
  const from = offset === 0 ? 0 : offset + 1
  const steady = whole.slice(from, bytes.length % 3 === 0 ? undefined : -1)
  return steady.length < 8 ? [] : [steady, steady.replaceAll('+', '-').replaceAll('/', '_')]
}

/** What a person can read of an error text: one line, no control characters, not a page of it. */
export function oneLine(text: string, length = 300): string {
  const line = text
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()
  return line.length > length ? `${line.slice(0, length)}…` : line
}
