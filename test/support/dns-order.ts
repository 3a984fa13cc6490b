import { setTimeout as sleep } from 'node:timers/promises'
import { dnsProvider } from '../../src/tls/dns/index.js'
import { dnsSolver } from '../../src/tls/dns/proof/solver.js'

// A process that has written a value and waits for a CA for ever: for tests that kill it.
const { SERVER = '', PORT = '', KEY = '', JOURNAL = '' } = process.env
const variables = new Map([
  ['DNSUPDATE_NAMESERVER', SERVER],
  ['DNSUPDATE_TSIG_FILE', KEY],
])
const solver = dnsSolver(dnsProvider('rfc2136'), {
  sources: { variable: name => variables.get(name) },
  dnsBaseUrl: undefined,
  dnsResolvers: [SERVER],
  dnsNameServerPort: Number(PORT),
  dnsPropagation: 'authoritative',
  dnsSettleMs: 0,
  journalFolder: JOURNAL,
})
const challenge = {
  type: 'dns-01',
  identifier: 'killed.example.test',
  wildcard: false,
  token: 'token',
  keyAuthorization: 'token.print',
  txtValue: 'value-of-a-process-that-is-killed',
} as const
await solver.prepare([challenge], { now: Date.now, signal: new AbortController().signal, delay: ms => sleep(ms), tell: () => {} })
process.send?.('written')
await new Promise(() => setInterval(() => {}, 60_000))
