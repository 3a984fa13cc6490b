import { askResolvers, type DnsView } from '../dns/query/authority.js'
import type { CaaRecord, CaaResolver } from './caa.js'

/** Asks resolvers for CAA records, as a CA does: what stands where a CNAME leads counts for the name (RFC 8659 section 3). */
export function caaLookup(view: DnsView): CaaResolver {
  return {
    async caa(name) {
      const { answers } = await askResolvers({ name, type: 'CAA' }, view)
      return answers.flatMap((answer): CaaRecord[] => {
        if (answer.type !== 'CAA') return []
        const { flags = 0, tag, value } = answer.data
        return [{ critical: (flags & 0x80) !== 0, tag: tag.toLowerCase(), value }]
      })
    },
  }
}
