import { domainToASCII } from 'node:url'
import { SoakpError } from '../../../errors.js'
import type { Zone } from '../provider.js'
import { deepest, noZone, selfAndAbove } from './values.js'

/** A name as the contract wants it, from whatever an API shows: lower case, punycode, no trailing dot. */
export function plainName(shown: string): string {
  const name = shown.replace(/\.$/, '').toLowerCase()
  return /^[\x21-\x7e]*$/.test(name) ? name : domainToASCII(name) || name.replaceAll(/[^\x21-\x7e]/g, '?')
}

/** For APIs that list all zones of an account: reads them once a minute at most, and answers from that. */
export function zonesListed(now: () => number, load: () => Promise<readonly Zone[]>): (name: string) => Promise<Zone> {
  let known: { readonly at: number; readonly zones: Promise<readonly Zone[]> } | undefined
  return async name => {
    if (known === undefined || now() - known.at > 60_000) known = { at: now(), zones: load().then(withNames) }
    const asked = known
    try {
      const zones = await asked.zones
      const zone = deepest(name, zones)
      if (zone !== undefined) return zone
      throw zoneMissing(
        name,
        zones.map(zone => zone.name),
      )
    } catch (error) {
      // neither a failure nor the absence of a zone that is about to be made is remembered
      if (known === asked) known = undefined
      throw error
    }
  }
}

/** A row that is not of the expected shape has no name, and a zone without a name would hold every name there is. */
const withNames = (zones: readonly Zone[]) => zones.filter(({ name, id }) => name !== '' && id !== '')

/** For APIs that are asked for one zone at a time, each once a minute at most; `list` is only asked to say which zones there are instead. */
export function zonesAsked(
  now: () => number,
  ask: (candidate: string) => Promise<Zone | undefined>,
  list: () => Promise<readonly string[]>,
): (name: string) => Promise<Zone> {
  const known = new Map<string, { readonly at: number; readonly zone: Zone | undefined }>()
  const askOnce = async (candidate: string) => {
    const last = known.get(candidate)
    if (last !== undefined && now() - last.at <= 60_000) return last.zone
    const zone = await ask(candidate)
    known.set(candidate, { at: now(), zone })
    return zone
  }
  return async name => {
    for (const candidate of selfAndAbove(name)) {
      // nobody is delegated a top-level domain by a DNS provider
      const zone = candidate.includes('.') ? await askOnce(candidate) : undefined
      if (zone !== undefined) return zone
    }
    // the zone may be about to be made
    known.clear()
    throw zoneMissing(name, await list().catch(() => undefined))
  }
}

/** `there`: the names of the zones that the API shows; undefined where it does not list them. */
export function zoneMissing(name: string, there: readonly string[] | undefined): SoakpError {
  const named = there?.filter(zone => zone !== '')
  const detail =
    named === undefined
      ? `${name}: which zones there are cannot be told, the API does not list them to these credentials.`
      : noZone(name, named)
  return new SoakpError('dns_zone_not_found', detail, {
    hint: 'take credentials of the account that holds the zone, and let them see it; or point a CNAME from this name into a zone that is there',
  })
}
