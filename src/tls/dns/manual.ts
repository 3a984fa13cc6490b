import type { DnsProvider, TxtRecord } from './provider.js'

/** A person at a provider's web page: is told what to write, and the name servers are watched until it is there. */
export const manual: DnsProvider = {
  id: 'manual',
  title: 'By hand',
  link: 'https://www.rfc-editor.org/rfc/rfc8555#section-8.4',
  aliases: ['prompt'],
  prefixes: ['MANUAL'],
  settings: [],
  capacity: 'set',
  byHand: true,
  ttl: { minSeconds: 0, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 3600, intervalSeconds: 5 },
  notes: [
    'All records are shown at once. It goes on by itself as soon as every name server shows them; nothing has to be pressed. `MANUAL_PROPAGATION_TIMEOUT` says how long you have (an hour).',
    'Needs a person each time, so it cannot renew by itself.',
  ],
  open({ tell, ttlSeconds }) {
    const show = (records: readonly TxtRecord[]) => {
      for (const { name, value } of records) tell(`  ${name}. ${ttlSeconds} IN TXT "${value}"`)
    }
    return {
      zoneOf: async () => ({ id: '.', name: '' }),
      async add(_, records) {
        tell(
          `make ${records.length === 1 ? 'this record' : `these ${records.length} records`}, and leave others at the same names as they are:`,
        )
        show(records)
        tell('waiting until they are seen …')
      },
      async remove(_, records) {
        tell(`${records.length === 1 ? 'this record is' : 'these records are'} not needed any more:`)
        show(records)
      },
    }
  },
}
