import type { TxtRecord } from '../provider.js'

/** What is written between quotes in zone files and by APIs that want TXT data as a zone file has it: `"v"`, in pieces of 255 bytes. */
export function quote(value: string): string {
  const pieces = value.match(/[\s\S]{1,255}/g) ?? ['']
  return pieces.map(piece => `"${piece.replace(/["\\]/g, '\\$&')}"`).join(' ')
}

/** The bare value, however an API gives it back: quoted or not, in one piece or several. */
export function unquote(text: string): string {
  const trimmed = text.trim()
  if (!/^"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*$/.test(trimmed)) return trimmed
  return (trimmed.match(/"(?:[^"\\]|\\.)*"/g) ?? [])
    .map(piece =>
      piece
        .slice(1, -1)
        .replace(/\\(\d{3}|.)/g, (_, escaped: string) => (escaped.length === 3 ? String.fromCharCode(Number(escaped)) : escaped)),
    )
    .join('')
}

/** Whether `name` is `zone` or lies below it, compared at label boundaries: `notexample.com` is not in `example.com`. Both without a trailing dot. */
export function inZone(name: string, zone: string): boolean {
  const [lower, upper] = [name.toLowerCase(), zone.toLowerCase()]
  return upper === '' || lower === upper || lower.endsWith(`.${upper}`)
}

/** The deepest of `zones` that holds `name`. */
export function deepest<T extends { readonly name: string }>(name: string, zones: readonly T[]): T | undefined {
  return zones.filter(zone => inZone(name, zone.name)).sort((a, b) => b.name.length - a.name.length)[0]
}

/** `name` as seen from within `zone`: `_acme-challenge.www`; empty for the zone itself. */
export function relativeName(name: string, zone: string): string {
  return name === zone ? '' : name.slice(0, -zone.length - 1)
}

/** `name` and the names above it, the longest first: what a zone that holds it can be called. */
export function selfAndAbove(name: string): string[] {
  const labels = name.split('.')
  return labels.map((_, index) => labels.slice(index).join('.'))
}

/** Values by name, each once, for APIs that write whole sets. */
export function valuesByName(records: readonly TxtRecord[]): Map<string, Set<string>> {
  const byName = new Map<string, Set<string>>()
  for (const { name, value } of records) {
    const values = byName.get(name) ?? new Set()
    byName.set(name, values.add(value))
  }
  return byName
}

/** The detail of `dns_zone_not_found`: for which name, and what is there instead, the most alike first. */
export function noZone(name: string, zones: readonly string[]): string {
  if (zones.length === 0) return `${name}: the account shows no zone at all.`
  const shown = zones
    .map(zone => ({ zone, alike: commonLabels(name, zone) }))
    .sort((a, b) => b.alike - a.alike || (a.zone < b.zone ? -1 : 1))
    .slice(0, 20)
    .map(({ zone }) => zone)
  return `${name}: the account has ${shown.join(', ')}${zones.length > shown.length ? ` and ${zones.length - shown.length} more` : ''}.`
}

/** How many labels two names have in common, counted from the end. */
function commonLabels(one: string, other: string): number {
  const [a, b] = [one.split('.').reverse(), other.split('.').reverse()]
  const differs = a.findIndex((label, index) => label !== b[index])
  return differs < 0 ? a.length : differs
}
