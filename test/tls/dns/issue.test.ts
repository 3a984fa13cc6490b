import { fork } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { dnsProvider } from '../../../src/tls/dns/index.js'
import type { DnsOptions } from '../../../src/tls/dns/options.js'
import { cleanDnsLeftovers, dnsSolver } from '../../../src/tls/dns/proof/solver.js'
import { namesOf } from '../../../src/tls/names.js'
import { makeEngine } from '../../support/acme/engine.js'
import { type AcmeBed, lacking, startBed, temporaryFolder } from '../../support/acme/index.js'
import { startApi } from '../../support/dns-api.js'

const skip = lacking('pebble', 'named', 'nsupdate', 'openssl')

function optionsFor(t: Test, { bind }: AcmeBed, more: Readonly<Record<string, string>> = {}): DnsOptions {
  const variables = new Map(
    Object.entries({
      DNSUPDATE_NAMESERVER: bind.server,
      DNSUPDATE_TSIG_FILE: bind.keyFile,
      DNSUPDATE_POLLING_INTERVAL: '0.1',
      DNSUPDATE_TTL: '1',
      ...more,
    }),
  )
  return {
    sources: { variable: name => variables.get(name) },
    dnsBaseUrl: undefined,
    dnsResolvers: [bind.server],
    dnsNameServerPort: bind.port,
    dnsPropagation: 'authoritative',
    dnsSettleMs: 0,
    journalFolder: join(temporaryFolder(t), 'journal'),
  }
}

t.test('with a real CA and a real name server', { skip }, async t => {
  const bed = await startBed(t)
  const left = async (...names: string[]) => (await Promise.all(names.map(name => bed.bind.txt(`_acme-challenge.${name}`)))).flat()

  t.test('a certificate for names, wildcards, a child zone and a delegated name is had in one go, and nothing is left', async t => {
    const options = optionsFor(t, bed)
    const solver = dnsSolver(dnsProvider('rfc2136'), options)
    t.teardown(() => solver.close())
    const names = ['example.test', '*.example.test', 'host.sub.example.test', 'aliased.example.test', '*.aliased.example.test']
    const { fullchain } = await makeEngine(t, bed).obtain({ names }, { solver })
    t.same(namesOf(new X509Certificate(fullchain)).sort(), [...names].sort())
    t.same(await left('example.test', 'host.sub.example.test', 'aliased.example.test'), [])
    t.same(
      readdirSync(options.journalFolder).filter(name => name.endsWith('.json')),
      [],
    )
  })

  t.test('a hundred names are one write, and proved', async t => {
    const solver = dnsSolver(dnsProvider('rfc2136'), optionsFor(t, bed))
    t.teardown(() => solver.close())
    const names = Array.from({ length: 100 }, (_, at) => `n${at}.example.test`)
    const { fullchain } = await makeEngine(t, bed).obtain({ names }, { solver })
    t.equal(namesOf(new X509Certificate(fullchain)).length, 100)
  })

  t.test('scripts made as hooks for Certbot get a certificate', async t => {
    const folder = temporaryFolder(t)
    const hook = (what: string) => {
      const path = join(folder, `${what}.sh`)
      const line = `update ${what} _acme-challenge.$CERTBOT_DOMAIN. ${what === 'add' ? '1 ' : ''}TXT $CERTBOT_VALIDATION`
      const [host, port] = bed.bind.server.split(':')
      writeFileSync(path, `#!/bin/sh\nprintf 'server ${host} ${port}\\n%s\\nsend\\n' "${line}" | nsupdate -v -k ${bed.bind.keyFile}\n`, {
        mode: 0o755,
      })
      return path
    }
    const solver = dnsSolver(dnsProvider('exec'), optionsFor(t, bed, { EXEC_AUTH_HOOK: hook('add'), EXEC_CLEANUP_HOOK: hook('delete') }))
    t.teardown(() => solver.close())
    const names = ['hooked.example.test', '*.hooked.example.test']
    const { fullchain } = await makeEngine(t, bed).obtain({ names }, { solver })
    t.same(namesOf(new X509Certificate(fullchain)).sort(), [...names].sort())
    t.same(await left('hooked.example.test'), [])
  })

  t.test('DuckDNS keeps one value: a name, its wildcard and what is below them are proved one after the other', async t => {
    const other = await startBed(t, { bind: { zones: { 'home.duckdns.org': '' } } })
    const { bind } = other
    let most = 0
    const api = await startApi(t, async ({ url }) => {
      const value = url.searchParams.get('txt')
      await bind.update('update delete _acme-challenge.home.duckdns.org. TXT', 'update delete _acme-challenge.www.home.duckdns.org. TXT')
      if (value) {
        for (const name of ['home', 'www.home']) await bind.update(`update add _acme-challenge.${name}.duckdns.org. 1 TXT ${value}`)
        most = Math.max(most, (await bind.txt('_acme-challenge.home.duckdns.org')).length)
      }
      return { status: 200, body: 'OK' }
    })
    const options = {
      ...optionsFor(t, other, { DUCKDNS_TOKEN: 'token-of-the-account', DUCKDNS_POLLING_INTERVAL: '0.1' }),
      dnsBaseUrl: api.url,
    }
    const solver = dnsSolver(dnsProvider('duckdns'), options)
    t.teardown(() => solver.close())
    const { fullchain } = await makeEngine(t, other).obtain(
      { names: ['home.duckdns.org', '*.home.duckdns.org', 'www.home.duckdns.org'] },
      { solver },
    )
    t.equal(namesOf(new X509Certificate(fullchain)).length, 3)
    t.equal(most, 1)
    t.equal(api.calls.filter(({ url }) => url.searchParams.get('clear') === 'true').length, 3)
  })

  t.test('by hand: the records are shown, and it goes on as soon as somebody has made them', async t => {
    const engine = makeEngine(t, bed)
    const solver = dnsSolver(dnsProvider('manual'), optionsFor(t, bed, { MANUAL_POLLING_INTERVAL: '0.1' }))
    t.teardown(() => solver.close())
    const obtained = engine.obtain({ names: ['hand.example.test', '*.hand.example.test'] }, { solver })
    const shown = () => engine.told.filter(line => / IN TXT "/.test(line)).map(line => line.trim())
    while (!engine.told.some(line => line.startsWith('waiting until they are seen'))) await sleep(20)
    t.equal(shown().length, 2)
    for (const line of shown()) await bed.bind.update(`update add ${line}`)
    t.ok((await obtained).fullchain)
    t.match(engine.told.join('\n'), 'these records are not needed any more')
  })

  t.test('killed between writing and cleaning up, the next start removes what was left and nothing else', async t => {
    const options = optionsFor(t, bed)
    await bed.bind.update('update add _acme-challenge.killed.example.test. 60 TXT "foreign"')
    const child = fork(fileURLToPath(new URL('../../support/dns-order.js', import.meta.url)), {
      env: {
        PATH: process.env.PATH ?? '',
        SERVER: bed.bind.server,
        PORT: String(bed.bind.port),
        KEY: bed.bind.keyFile,
        JOURNAL: options.journalFolder,
      },
    })
    await once(child, 'message')
    t.equal((await left('killed.example.test')).length, 2)
    const context = { now: Date.now, signal: new AbortController().signal, delay: (ms: number) => sleep(ms), tell: () => {} }
    t.same(await cleanDnsLeftovers(dnsProvider, options, context), { removed: 0, kept: 0 }, 'while it lives, its values are left alone')
    child.kill('SIGKILL')
    await once(child, 'exit')
    t.same(await cleanDnsLeftovers(dnsProvider, options, context), { removed: 1, kept: 0 })
    t.same(await left('killed.example.test'), ['foreign'])
    t.same(existsSync(options.journalFolder) ? readdirSync(options.journalFolder) : [], [])
  })
})
