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

/** A file system of 1 MB. */
function smallDisk(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'soakp-disk-'))
  t.teardown(() => rmdirSync(folder))
  if (!mountSmall(folder)) throw new Error('mounted a moment ago, and now no more')
  t.teardown(() => spawnSync('umount', [folder]))
  return folder
}

function mountSmall(folder: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]).status === 0
}

/** Why there is no small file system for this user: mounting one needs a right of root's. */
function withoutMounts(): string | false {
  const folder = mkdtempSync(join(tmpdir(), 'soakp-disk-'))
  const mounted = mountSmall(folder)
  if (mounted) spawnSync('umount', [folder])
  rmdirSync(folder)
  return mounted ? false : 'this user may not mount a file system (CAP_SYS_ADMIN), so none can be filled'
}

t.test(
  'a disk that is full when the certificate comes leaves the old one in service, and the next run fetches what was ordered',
  {
    skip: lacking('pebble', 'named', 'nsupdate', 'openssl') || withoutMounts(),
  },
  async t => {
    const certsDir = smallDisk(t)
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
