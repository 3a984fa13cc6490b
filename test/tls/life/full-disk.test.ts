import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { journalFolderIn } from '../../../src/tls/dns/index.js'
import { issueFirst } from '../../../src/tls/life/first.js'
import type { KeeperDeps } from '../../../src/tls/life/keeper.js'
import { renew } from '../../../src/tls/life/renew.js'
import { makeEngine } from '../../support/acme/engine.js'
import { lacking, startBed } from '../../support/acme/index.js'

/** A file system of 1 MB; `undefined` where this user may not mount one. */
function smallDisk(t: Test): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'soakp-disk-'))
  t.teardown(() => rmdirSync(folder))
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]).status !== 0) return undefined
  t.teardown(() => spawnSync('umount', [folder]))
  return folder
}

t.test(
  'a disk that is full when the certificate comes leaves the old one in service, and the next run fetches what was ordered',
  {
    skip: lacking('pebble', 'named', 'nsupdate', 'openssl'),
  },
  async t => {
    const certsDir = smallDisk(t)
    if (certsDir === undefined) return t.comment('no mount allowed here')
    const bed = await startBed(t)
    const { transport, run } = makeEngine(t, bed).deps
    const deps: KeeperDeps = {
      certsDir,
      transport,
      run,
      attended: false,
      dns: {
        sources: { variable: () => undefined },
        dnsBaseUrl: undefined,
        dnsResolvers: [bed.bind.server],
        dnsNameServerPort: bed.bind.port,
        dnsPropagation: 'authoritative',
        dnsSettleMs: 0,
        journalFolder: journalFolderIn(certsDir),
      },
    }
    await issueFirst(deps, {
      name: 'web',
      wishes: {
        names: ['web.example.test'],
        authorities: [bed.proxy.directoryUrl],
        email: undefined,
        agreesToTerms: true,
        externalAccount: undefined,
        proof: { type: 'http-01', port: bed.pebble.httpPort },
        keyType: 'p256',
        reuseKey: false,
        profile: undefined,
        preferredChain: undefined,
        hooks: {},
      },
    })
    const live = () => ['fullchain.pem', 'privkey.pem'].map(file => readFileSync(join(certsDir, 'live/web', file), 'utf8'))
    const before = live()
    const filler = join(certsDir, 'filler')
    bed.proxy.onAnswer = line => {
      if (!line.startsWith('POST /certZ')) return
      const { bavail, bsize } = statfsSync(certsDir)
      writeFileSync(filler, Buffer.alloc(bavail * bsize))
    }
    const orders = bed.proxy.orders.length
    const { renewals } = await renew(deps, { force: true })
    t.match(renewals, [{ outcome: 'failed', error: { code: 'file_refused' } }])
    t.same(live(), before)
    bed.proxy.onAnswer = undefined
    rmSync(filler)
    t.match(await renew(deps, { force: true }), { renewals: [{ outcome: 'renewed' }] })
    t.notSame(live(), before)
    t.equal(bed.proxy.orders.length - orders, 1)
  },
)
