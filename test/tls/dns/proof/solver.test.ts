import { createSocket } from 'node:dgram'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Challenge, SolverContext } from '../../../../src/tls/acme/challenge.js'
import { pause } from '../../../../src/tls/acme/patience.js'
import { dnsProvider } from '../../../../src/tls/dns/index.js'
import type { DnsOptions } from '../../../../src/tls/dns/options.js'
import { probeDns } from '../../../../src/tls/dns/proof/probe.js'
import { cleanDnsLeftovers, dnsSolver } from '../../../../src/tls/dns/proof/solver.js'
import { refusal, txtValue } from '../../../contracts/dns-provider.js'
import { type Bind, lacking, startBind, temporaryFolder } from '../../../support/acme/index.js'
import { until } from '../../../support/until.js'

const skip = lacking('named', 'nsupdate')
const folder = temporaryFolder(t)

/** The threads of a process stop one after the other, and go on answering until then. */
async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  const tasks = `/proc/${pid}/task`
  const stands = (id: string) => /\) T /.test(readFileSync(join(tasks, id, 'stat'), 'utf8'))
  if (existsSync(tasks)) await until(() => readdirSync(tasks).every(stands), 'every thread to stand still')
}

/** A challenge whose value tells it from others. */
function challengeOf(identifier: string, wildcard = false): Challenge {
  const token = `token-${identifier}-${wildcard}`
  return {
    type: 'dns-01',
    identifier,
    wildcard,
    token,
    keyAuthorization: `${token}.thumbprint`,
    txtValue: txtValue(`${wildcard ? 'w' : 'n'}.${identifier}`),
  }
}

interface Stage {
  readonly bind: Bind
  readonly options: DnsOptions
  readonly context: SolverContext
  readonly told: string[]
}

async function stage(t: Test, bind: Bind, more: Readonly<Record<string, string>> = {}, options: Partial<DnsOptions> = {}): Promise<Stage> {
  const variables = new Map(
    Object.entries({
      DNSUPDATE_NAMESERVER: bind.server,
      DNSUPDATE_TSIG_FILE: bind.keyFile,
      DNSUPDATE_TTL: '1',
      DNSUPDATE_POLLING_INTERVAL: '0.1',
      DNSUPDATE_PROPAGATION_TIMEOUT: '20',
      ...more,
    }),
  )
  const told: string[] = []
  return {
    bind,
    told,
    options: {
      sources: { variable: name => variables.get(name) },
      dnsBaseUrl: undefined,
      dnsResolvers: [bind.server],
      dnsNameServerPort: bind.port,
      dnsPropagation: 'authoritative',
      dnsSettleMs: 0,
      journalFolder: join(temporaryFolder(t), 'journal'),
      ...options,
    },
    context: { now: Date.now, signal: new AbortController().signal, delay: ms => sleep(ms), tell: line => void told.push(line) },
  }
}

async function start(t: Test, ...args: [Parameters<typeof startBind>[1]?]): Promise<Bind> {
  const bind = await startBind(folder, ...args)
  t.teardown(() => bind.stop())
  return bind
}

const journals = ({ options }: Stage) => readdirSync(options.journalFolder).filter(name => name.endsWith('.json'))

t.test(
  'a name and its wildcard, a child zone and a name delegated by CNAME: all stand where the CA looks, and are gone afterwards',
  { skip },
  async t => {
    const s = await stage(t, await start(t))
    const challenges = [
      challengeOf('example.test'),
      challengeOf('example.test', true),
      challengeOf('sub.example.test'),
      challengeOf('deep.www.sub.example.test'),
      challengeOf('aliased.example.test'),
      challengeOf('aliased.example.test', true),
    ]
    const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
    t.same(await solver.plan(challenges, s.context), [challenges], 'they can all stand at once')
    await solver.prepare(challenges, s.context)
    const seen = async (identifier: string) => (await s.bind.txt(`_acme-challenge.${identifier}`)).sort()
    const expected = (identifier: string) =>
      challenges
        .filter(one => one.identifier === identifier)
        .map(one => one.txtValue)
        .sort()
    for (const { identifier } of challenges) t.same(await seen(identifier), expected(identifier), identifier)
    t.same(await s.bind.txt('aliased.delegate.test'), expected('aliased.example.test'), 'in the zone that the CNAME leads to')
    t.equal(journals(s).length, 1)
    await solver.cleanUp(challenges, s.context)
    for (const { identifier } of challenges) t.same(await seen(identifier), [], identifier)
    t.same(journals(s), [])
    await solver.close()
    t.same(readdirSync(s.options.journalFolder), [])
  },
)

t.test('CNAMEs that go in a circle are refused with the whole way, and nothing is written', { skip }, async t => {
  const s = await stage(t, await start(t))
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const error = await refusal(solver.prepare([challengeOf('loop.example.test')], s.context))
  t.equal(error.code, 'dns_name_refused')
  t.match(error.detail, '_acme-challenge.loop.example.test → loop.delegate.test → _acme-challenge.loop.example.test')
})

t.test('a CNAME that a * makes of every name is not followed: it makes way for the record', { skip }, async t => {
  const s = await stage(t, await start(t, { zones: { 'example.test': '*.wild IN CNAME anywhere.delegate.test.' } }))
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const challenge = challengeOf('wild.example.test')
  await solver.prepare([challenge], s.context)
  t.same(await s.bind.txt('_acme-challenge.wild.example.test'), [challenge.txtValue])
  t.same(await s.bind.txt('anywhere.delegate.test'), [])
  await solver.cleanUp([challenge], s.context)
  await solver.close()
})

t.test('where name servers cannot be reached, resolvers alone will do, also for CNAMEs', { skip }, async t => {
  const s = await stage(t, await start(t), {}, { dnsNameServerPort: 1, dnsPropagation: 'recursive' })
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const challenge = challengeOf('aliased.example.test')
  await solver.prepare([challenge], s.context)
  t.same(await s.bind.txt('aliased.delegate.test'), [challenge.txtValue])
  await solver.cleanUp([challenge], s.context)
  await solver.close()
  const strict = dnsSolver(dnsProvider('rfc2136'), { ...s.options, dnsPropagation: 'authoritative' })
  t.equal((await refusal(strict.prepare([challenge], s.context))).code, 'dns_not_published')
  await strict.close()
})

t.test('a zone that ends above the name is told before the wait for what cannot come', { skip }, async t => {
  const s = await stage(t, await start(t), { DNSUPDATE_ZONES: 'example.test', DNSUPDATE_PROPAGATION_TIMEOUT: '1' })
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const challenge = challengeOf('sub.example.test')
  await refusal(solver.prepare([challenge], s.context))
  t.match(s.told.join('\n'), '_acme-challenge.sub.example.test lies in the zone sub.example.test, but the account has example.test only')
  await solver.cleanUp([challenge], s.context).catch(() => undefined)
  await solver.close()
})

t.test('a zone of the account that nothing is delegated to is passed over for the one that the DNS knows', { skip }, async t => {
  const s = await stage(t, await start(t), { DNSUPDATE_ZONES: 'www.example.test,example.test' })
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const challenge = challengeOf('a.www.example.test')
  await solver.prepare([challenge], s.context)
  t.same(await s.bind.txt('_acme-challenge.a.www.example.test'), [challenge.txtValue])
  await solver.cleanUp([challenge], s.context)
  t.same(await s.bind.txt('_acme-challenge.a.www.example.test'), [])
  await solver.close()
})

t.test('values of others at the same name outlive an order', { skip }, async t => {
  const s = await stage(t, await start(t))
  await s.bind.update('update add _acme-challenge.example.test. 60 TXT "foreign"')
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const challenge = challengeOf('example.test')
  await solver.prepare([challenge], s.context)
  t.same(await s.bind.txt('_acme-challenge.example.test'), ['foreign', challenge.txtValue].sort())
  await solver.cleanUp([challenge], s.context)
  await solver.close()
  t.same(await s.bind.txt('_acme-challenge.example.test'), ['foreign'])
})

const twoServers = { 'example.test': '@ IN NS ns2.example.test.\nns2 IN A 127.0.0.2\nns1 IN A 127.0.0.1' }

/** A second server with the same zones, seen at 127.0.0.2: BIND itself listens only where an interface has the address. */
async function startSecond(t: Test, first: Bind): Promise<Bind> {
  const second = await start(t, { zones: twoServers, tsig: first.tsig })
  const front = createSocket('udp4')
  front.on('message', (question, from) => {
    const back = createSocket('udp4')
    back.on('message', answer => {
      front.send(answer, from.port, from.address)
      back.close()
    })
    back.send(question, second.port, '127.0.0.1')
  })
  await new Promise<void>(resolve => front.bind(first.port, '127.0.0.2', resolve))
  t.teardown(() => front.close())
  return second
}

t.test('a name server that is down is passed over, and told', { skip }, async t => {
  const s = await stage(t, await start(t, { zones: twoServers }))
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const challenge = challengeOf('example.test')
  await solver.prepare([challenge], s.context)
  t.match(s.told.join('\n'), /passed over: ns2\.example\.test \(127\.0\.0\.2:\d+\) (?:refuses the connection|did not answer)/)
  await solver.cleanUp([challenge], s.context)
  await solver.close()
})

t.test('the IPv6 address of a name server is asked too', { skip }, async t => {
  const s = await stage(t, await start(t, { zones: { 'example.test': 'ns1 IN A 127.0.0.1\nns1 IN AAAA ::1' } }))
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const challenge = challengeOf('example.test')
  await solver.prepare([challenge], s.context)
  t.match(s.told.join('\n'), /passed over: ns1\.example\.test \(\[::1\]:\d+\)/, 'where nobody listens')
  await solver.cleanUp([challenge], s.context)
  await solver.close()
})

t.test('while one of two name servers does not show the value, the CA is not told; once it does, it is', { skip }, async t => {
  const bind = await start(t, { zones: twoServers })
  const second = await startSecond(t, bind)
  const s = await stage(t, bind)
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const challenge = challengeOf('example.test')
  let ready = false
  const prepared = solver.prepare([challenge], s.context).then(() => {
    ready = true
  })
  while ((await bind.txt('_acme-challenge.example.test')).length === 0) await sleep(20)
  while (s.told.length === 0) await sleep(20)
  t.equal(ready, false)
  await second.update(`update add _acme-challenge.example.test. 1 TXT "${challenge.txtValue}"`)
  await prepared
  await solver.cleanUp([challenge], s.context)
  await solver.close()
})

t.test('a value that one server never shows is an error that names this server and what it shows', { skip }, async t => {
  const bind = await start(t, { zones: twoServers })
  await startSecond(t, bind)
  const s = await stage(t, bind, { DNSUPDATE_PROPAGATION_TIMEOUT: '1' })
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const challenge = challengeOf('example.test')
  const error = await refusal(solver.prepare([challenge], s.context))
  t.equal(error.code, 'dns_not_published')
  t.match(error.detail, /ns2\.example\.test \(127\.0\.0\.2:\d+\) shows no TXT at _acme-challenge\.example\.test/)
  t.notMatch(error.detail, '127.0.0.1:')
  await solver.cleanUp([challenge], s.context)
  t.same(await bind.txt('_acme-challenge.example.test'), [])
  await solver.close()
})

t.test('a run that is stopped while it waits ends at once, and its clean-up still removes what it wrote', { skip }, async t => {
  const bind = await start(t, { zones: twoServers })
  await startSecond(t, bind)
  const s = await stage(t, bind, { DNSUPDATE_PROPAGATION_TIMEOUT: '600' })
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const challenge = challengeOf('example.test')
  const stopping = new AbortController()
  const { signal } = stopping
  const prepared = refusal(solver.prepare([challenge], { ...s.context, signal, delay: ms => pause(ms, signal) }))
  while (s.told.length === 0) await sleep(20)
  stopping.abort()
  t.equal((await prepared).code, 'cancelled')
  t.same(await bind.txt('_acme-challenge.example.test'), [challenge.txtValue])
  await solver.cleanUp([challenge], s.context)
  t.same(await bind.txt('_acme-challenge.example.test'), [])
  await solver.close()
})

t.test('a run that another one has begun and not ended is left alone; one whose process is gone is cleaned up after', { skip }, async t => {
  const s = await stage(t, await start(t))
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const challenge = challengeOf('example.test')
  await solver.prepare([challenge], s.context)
  await s.bind.update('update add _acme-challenge.example.test. 60 TXT "foreign"')
  t.same(await cleanDnsLeftovers(dnsProvider, s.options, s.context), { removed: 0, kept: 0 })
  t.same(await s.bind.txt('_acme-challenge.example.test'), ['foreign', challenge.txtValue].sort(), 'it is still being used')
  await solver.close()
  const without = { ...s.options, sources: { variable: () => undefined } }
  t.same(await cleanDnsLeftovers(dnsProvider, without, s.context), { removed: 0, kept: 1 })
  t.match(
    s.told.at(-1),
    /an interrupted run has left TXT values at _acme-challenge\.example\.test \(rfc2136\), which stay: .*DNSUPDATE_NAMESERVER/,
  )
  t.same(await cleanDnsLeftovers(dnsProvider, s.options, s.context), { removed: 1, kept: 0 })
  t.same(await s.bind.txt('_acme-challenge.example.test'), ['foreign'], 'only its own value is gone')
  t.same(readdirSync(s.options.journalFolder), [])
})

t.test('a name server that dies between the write and the clean-up keeps nothing for good: the next run removes it', { skip }, async t => {
  const s = await stage(t, await start(t), { DNSUPDATE_DNS_TIMEOUT: '1' })
  const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
  const challenge = challengeOf('example.test')
  await solver.prepare([challenge], s.context)
  t.teardown(() => process.kill(s.bind.pid, 'SIGCONT'))
  await freeze(s.bind.pid)
  await t.rejects(solver.cleanUp([challenge], s.context), { code: 'dns_provider_failed' })
  await solver.close()
  t.match(await cleanDnsLeftovers(dnsProvider, s.options, s.context), { removed: 0, kept: 1 }, 'as long as it does not answer, it is noted')
  t.match(s.told.join('\n'), /left TXT values at _acme-challenge\.example\.test \(rfc2136\), which stay/)
  process.kill(s.bind.pid, 'SIGCONT')
  t.match(await cleanDnsLeftovers(dnsProvider, s.options, s.context), { removed: 1, kept: 0 })
  t.same(await s.bind.txt('_acme-challenge.example.test'), [])
  t.same(readdirSync(s.options.journalFolder), [])
})

t.test('a probe says of every step how it went, and leaves nothing behind', { skip }, async t => {
  const s = await stage(t, await start(t))
  const findings = await probeDns(dnsProvider('rfc2136'), '*.aliased.example.test', s.options, s.context)
  t.same(
    findings.map(({ step, ok }) => [step, ok]),
    ['settings', 'name', 'zone', 'write', 'seen', 'remove'].map(step => [step, true]),
  )
  t.match(findings[1]?.text, '_acme-challenge.aliased.example.test → aliased.delegate.test (CNAME) lies in delegate.test')
  t.same(await s.bind.txt('aliased.delegate.test'), [])
  t.same(readdirSync(s.options.journalFolder), [])
})

t.test('a probe ends at what is wrong, in plain words', { skip }, async t => {
  const bind = await start(t)
  const last = async (s: Stage, name = 'example.test') => (await probeDns(dnsProvider('rfc2136'), name, s.options, s.context)).at(-1)
  t.match(await last(await stage(t, bind, { DNSUPDATE_NAMESERVER: '' })), {
    step: 'settings',
    ok: false,
    text: /DNSUPDATE_NAMESERVER is not set/,
  })
  t.match(await last(await stage(t, bind), 'nosuch.test'), {
    step: 'name',
    ok: false,
    text: /nosuch\.test is no domain that the DNS knows/,
  })
  t.match(await last(await stage(t, bind, { DNSUPDATE_ZONES: '', DNSUPDATE_NAMESERVER: '127.0.0.1:1' })), {
    step: 'zone',
    ok: false,
    text: /refuses the connection/,
  })
})

for (const mode of ['recursive', 'both', 'none', 'sleep'] as const) {
  t.test(`propagation ${mode}`, { skip }, async t => {
    const s = await stage(t, await start(t), { DNSUPDATE_PROPAGATION_TIMEOUT: '2' }, { dnsPropagation: mode })
    const solver = dnsSolver(dnsProvider('rfc2136'), s.options)
    const challenge = challengeOf('example.test')
    await solver.prepare([challenge], s.context)
    t.same(await s.bind.txt('_acme-challenge.example.test'), [challenge.txtValue])
    await solver.cleanUp([challenge], s.context)
    await solver.close()
    t.same(await s.bind.txt('_acme-challenge.example.test'), [])
  })
}
