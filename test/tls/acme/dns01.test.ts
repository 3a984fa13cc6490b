import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { caaLookup } from '../../../src/tls/acme/caa-lookup.js'
import { dnsProvider, dnsSolver } from '../../../src/tls/dns/index.js'
import { resolversOf } from '../../../src/tls/dns/query/authority.js'
import { makeEngine } from '../../support/acme/engine.js'
import { lacking, startBed } from '../../support/acme/index.js'

const zones = {
  'example.test': `
closed IN CAA 0 issue "other.ca"
open IN CAA 0 issue "ca.example.test"
wild IN CAA 0 issue "ca.example.test"
wild IN CAA 0 issuewild ";"
strange IN CAA 128 future "x"
led IN CNAME there.delegate.test.
_acme-challenge.circle IN CNAME circle.delegate.test.
`,
  'delegate.test': `
there IN CAA 0 issue "other.ca"
circle IN CNAME _acme-challenge.circle.example.test.
`,
}

t.test('the engine with a real DNS provider', { skip: lacking('pebble', 'named', 'nsupdate', 'openssl') }, async t => {
  const bed = await startBed(t, { bind: { zones } })
  const { bind } = bed
  const view = { resolvers: await resolversOf([bind.server]), nameServerPort: bind.port, signal: new AbortController().signal }
  const variables: Record<string, string> = {
    DNSUPDATE_NAMESERVER: bind.server,
    DNSUPDATE_TSIG_KEY: bind.tsig.name,
    DNSUPDATE_TSIG_SECRET: bind.tsig.secret,
    DNSUPDATE_TSIG_ALGORITHM: bind.tsig.algorithm,
  }
  const journalFolder = join(bed.folder, 'journal')
  const solver = dnsSolver(dnsProvider('rfc2136'), {
    sources: { variable: name => variables[name] },
    dnsBaseUrl: undefined,
    dnsResolvers: [bind.server],
    dnsNameServerPort: bind.port,
    dnsPropagation: 'authoritative',
    dnsSettleMs: 0,
    journalFolder,
  })
  t.teardown(() => solver.close())
  const engine = makeEngine(t, bed, { caa: caaLookup(view) })

  t.test('a name, its wildcard, a child zone and an alias are proved in one order, and the DNS is as before', async t => {
    const names = ['open.example.test', '*.open.example.test', 'x.sub.example.test', '*.aliased.example.test']
    t.ok(await engine.obtain({ names }, { solver }))
    for (const name of ['open', 'x.sub', 'aliased']) t.same(await bind.txt(`_acme-challenge.${name}.example.test`), [], name)
    await solver.close()
    t.same(
      readdirSync(journalFolder).filter(name => !name.endsWith('.lock')),
      [],
    )
  })

  t.test('CNAMEs in a circle end an order with every step named, before the CA is told to look', async t => {
    const asked = bed.proxy.requests.length
    await t.rejects(engine.obtain({ names: ['open.example.test', 'circle.example.test'] }, { solver }), {
      code: 'dns_name_refused',
      detail: /_acme-challenge\.circle\.example\.test → circle\.delegate\.test → _acme-challenge\.circle\.example\.test/,
    })
    t.notMatch(bed.proxy.requests.slice(asked).join('\n'), /chalZ|finalize/)
    t.same(await bind.txt('_acme-challenge.open.example.test'), [])
  })

  for (const [name, why] of [
    ['closed.example.test', /CAA records of closed\.example\.test \(issue "other\.ca"\)/],
    ['deep.below.closed.example.test', /CAA records of closed\.example\.test/],
    ['*.wild.example.test', /issuewild ";"/],
    ['strange.example.test', /critical CAA record "future"/],
    ['led.example.test', /issue "other\.ca"/],
  ] as const) {
    t.test(`${name} is refused before an order is made`, async t => {
      const before = bed.proxy.orders.length
      await t.rejects(engine.obtain({ names: [name] }, { solver }), { code: 'acme_refused', detail: why })
      t.equal(bed.proxy.orders.length, before)
    })
  }
})
