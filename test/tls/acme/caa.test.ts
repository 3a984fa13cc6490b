import t from 'tap'
import { type CaaRecord, checkCaa } from '../../../src/tls/acme/caa.js'
import { identifiersOf } from '../../../src/tls/acme/identifiers.js'
import { makeEngine } from '../../support/acme/engine.js'
import { lacking, startBed } from '../../support/acme/index.js'

const accountUrl = 'https://ca.example/acct/1'
const caaIdentities = ['ca.example', 'ca.example.test']

/** Records as in a zone file: `0 issue "ca.example"`. */
function zone(records: Readonly<Record<string, readonly string[]>>) {
  const asked: string[] = []
  return {
    asked,
    async caa(name: string): Promise<CaaRecord[]> {
      asked.push(name)
      if (records[name]?.[0] === 'SERVFAIL') throw new Error('SERVFAIL')
      return (records[name] ?? []).map(line => {
        const [, flags, tag = '', value = ''] = /^(\d+) (\w+) "(.*)"$/.exec(line) ?? []
        return { critical: Number(flags) >= 128, tag, value }
      })
    },
  }
}

async function verdictOf(name: string, records: Readonly<Record<string, readonly string[]>>, challenge: 'dns-01' | 'http-01' = 'dns-01') {
  const [verdict] = await checkCaa(zone(records), { identifiers: identifiersOf([name]), caaIdentities, accountUrl, challenge })
  return verdict
}

const name = 'a.b.example.com'
const cases: readonly (readonly [string, string, Record<string, readonly string[]>, 'allowed' | 'forbidden' | 'unknown', RegExp?])[] = [
  ['no record anywhere', name, {}, 'allowed'],
  ['another CA at the name itself', name, { [name]: ['0 issue "other.ca"'] }, 'forbidden', /other\.ca.*it has to name ca\.example/],
  ['another CA two labels up', name, { 'example.com': ['0 issue "other.ca"'] }, 'forbidden', /CAA records of example\.com/],
  ['the nearest records count', name, { 'b.example.com': ['0 issue "ca.example"'], 'example.com': ['0 issue "other.ca"'] }, 'allowed'],
  ['one of several is this CA', name, { [name]: ['0 issue "other.ca"', '0 issue "CA.Example."'] }, 'allowed'],
  ['nobody may', name, { [name]: ['0 issue ";"'] }, 'forbidden'],
  ['only other properties', name, { [name]: ['0 iodef "mailto:x@example.com"'] }, 'allowed'],
  ['issuewild does not bind a plain name', name, { [name]: ['0 issuewild ";"'] }, 'allowed'],
  [
    'issuewild binds a wildcard',
    `*.${name}`,
    { [name]: ['0 issue "ca.example"', '0 issuewild "other.ca"'] },
    'forbidden',
    /issuewild "other\.ca"/,
  ],
  ['issuewild alone opens wildcards', `*.${name}`, { [name]: ['0 issue ";"', '0 issuewild "ca.example"'] }, 'allowed'],
  ['issue binds a wildcard where there is no issuewild', `*.${name}`, { [name]: ['0 issue "other.ca"'] }, 'forbidden'],
  ['our account', name, { [name]: [`0 issue "ca.example; accounturi=${accountUrl}"`] }, 'allowed'],
  [
    'another account',
    name,
    { [name]: ['0 issue "ca.example; accounturi=https://ca.example/acct/2"'] },
    'forbidden',
    /accounturi has to be/,
  ],
  ['our way of proof', name, { [name]: ['0 issue "ca.example; validationmethods=http-01,dns-01"'] }, 'allowed'],
  ['another way of proof', name, { [name]: ['0 issue "ca.example;validationmethods=http-01"'] }, 'forbidden', /has to hold dns-01/],
  ['a critical property that nobody knows', name, { [name]: ['128 tbs "x"', '0 issue "ca.example"'] }, 'forbidden', /critical/],
  ['a DNS that fails', name, { 'b.example.com': ['SERVFAIL'] }, 'unknown', /b\.example\.com cannot be looked up \(SERVFAIL\)/],
]

for (const [what, subject, records, verdict, why] of cases) {
  t.test(`CAA, ${what}: ${verdict}`, async t => {
    t.match(await verdictOf(subject, records), { name: subject, verdict, ...(why === undefined ? {} : { why }) })
  })
}

t.test('each place is asked once for all names, and nothing where the CA has no name', async t => {
  const resolver = zone({})
  const identifiers = identifiersOf(['example.com', '*.example.com', 'a.example.com'])
  await checkCaa(resolver, { identifiers, caaIdentities, accountUrl, challenge: 'dns-01' })
  t.same(resolver.asked.sort(), ['a.example.com', 'com', 'example.com'])
  t.same(await checkCaa(resolver, { identifiers, caaIdentities: [], accountUrl, challenge: 'dns-01' }), [])
})

t.test(
  'a CA that may not issue is told before an order, a silent DNS does not stop it',
  { skip: lacking('pebble', 'named', 'nsupdate', 'openssl') },
  async t => {
    const bed = await startBed(t)
    const forbidden = makeEngine(t, bed, { caa: zone({ 'example.test': ['0 issue "letsencrypt.org"'] }) })
    await t.rejects(forbidden.obtain(), {
      code: 'acme_refused',
      detail: /may not issue\. a\.example\.test: the CAA records of example\.test .*letsencrypt\.org/,
      hint: /Change the CAA records/,
    })
    t.equal(bed.proxy.orders.length, 0)
    const silent = makeEngine(t, bed, { caa: zone({ 'example.test': ['SERVFAIL'] }) })
    t.ok(await silent.obtain())
    t.match(silent.told.join('\n'), /cannot be looked up/)
  },
)
