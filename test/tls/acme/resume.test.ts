import { type ChildProcess, spawn } from 'node:child_process'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { http01Solver } from '../../../src/tls/acme/http01.js'
import { newKey } from '../../../src/tls/acme/keys.js'
import { type ChildOrder, childFile } from '../../support/acme/child.js'
import { makeEngine } from '../../support/acme/engine.js'
import { type AcmeBed, lacking, startBed } from '../../support/acme/index.js'
import { nsupdateSolver } from '../../support/acme/solver.js'
import { until, within } from '../../support/until.js'

const skip = lacking('pebble', 'named', 'nsupdate', 'openssl')

function startChild(order: ChildOrder): { readonly child: ChildProcess; said(): string; readonly ended: Promise<unknown> } {
  const child = spawn(process.execPath, [childFile, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part: Buffer) => {
      said += part.toString()
    })
  }
  return { child, said: () => said, ended: once(child, 'exit') }
}

function ordersMade({ pebble }: AcmeBed): number {
  return pebble
    .log()
    .split('\n')
    .filter(line => line.includes('Added order')).length
}

t.test('an order that is cut short', { skip }, async t => {
  const bed = await startBed(t)
  const { proxy, bind } = bed
  t.afterEach(() => {
    proxy.onAnswer = undefined
    proxy.clearFaults()
  })

  // what the CA has done already when the process is killed, before it hears of it
  const steps = [
    { at: 'POST /order-plz', orders: 1, proofs: 2 },
    { at: 'POST /chalZ', orders: 1, proofs: undefined },
    { at: 'POST /finalize', orders: 1, proofs: 0 },
    { at: 'POST /certZ', orders: 1, proofs: 0 },
  ] as const

  for (const { at, orders, proofs } of steps) {
    t.test(`killed when the CA has answered ${at}: the next process goes on with the same order and the same key`, async t => {
      const engine = makeEngine(t, bed)
      const before = ordersMade(bed)
      const names = [`k${steps.findIndex(each => each.at === at)}.example.test`]
      const one = startChild({ directoryUrl: proxy.directoryUrl, caFile: bed.caFile, certsDir: engine.certsDir, names, dns: bind })
      let heard = 0
      proxy.onAnswer = async line => {
        if (!line.startsWith(at)) return
        heard++
        one.child.kill('SIGKILL')
        await one.ended
      }
      await within(one.ended, 'the process')
      proxy.onAnswer = undefined
      t.ok(heard > 0, one.said())
      const keyFile = join(engine.certsDir, 'orders', 'test')
      t.ok(existsSync(keyFile))
      const solver = nsupdateSolver(bind)
      const { fullchain, key } = await engine.obtain({ names }, { solver })
      t.equal(ordersMade(bed) - before, orders)
      if (proofs !== undefined) t.equal(solver.trace.length, proofs)
      t.ok(new X509Certificate(fullchain).publicKey.equals(createPublicKey(key)))
      t.match(engine.told.join('\n'), /going on with the order that was begun at/)
    })
  }

  t.test('a certificate that was fetched but not put in its place is fetched again, not ordered again', async t => {
    const engine = makeEngine(t, bed)
    const first = await engine.obtain()
    const before = ordersMade(bed)
    const second = await engine.obtain()
    t.equal(second.fullchain, first.fullchain)
    t.ok(second.key.equals(first.key))
    t.equal(ordersMade(bed), before)
    second.finished()
    t.not((await engine.obtain()).fullchain, first.fullchain)
  })

  t.test('an order for other names, another key or another profile is not gone on with, nor one of days ago', async t => {
    const engine = makeEngine(t, bed)
    const first = await engine.obtain()
    const others = [
      { names: ['a.example.test', 'b.example.test'] },
      { keyType: 'p384' },
      { profile: { name: 'classic', required: true } },
    ] as const
    for (const other of others) t.not((await engine.obtain(other)).fullchain, first.fullchain)
    const old = await engine.obtain()
    const later = makeEngine(t, bed, { certsDir: engine.certsDir, now: () => Date.now() + 4 * 86_400_000 })
    t.not((await later.obtain()).fullchain, old.fullchain)
  })

  t.test('an order that the CA has forgotten or an order file that is garbage costs a new order', async t => {
    const engine = makeEngine(t, bed)
    const first = await engine.obtain()
    const [folder] = readdirSync(join(engine.certsDir, 'orders', 'test'))
    const file = join(engine.certsDir, 'orders', 'test', folder ?? '', 'order.json')
    const kept = readFileSync(file, 'utf8')
    writeFileSync(file, kept.replace(/my-order\/[\w-]+/, 'my-order/nothing'))
    const second = await engine.obtain()
    t.not(second.fullchain, first.fullchain)
    writeFileSync(file, kept.slice(0, 40))
    t.not((await engine.obtain()).fullchain, second.fullchain)
  })

  t.test('a certificate for another key than ours is not taken, and the next run orders anew', async t => {
    const engine = makeEngine(t, bed)
    await engine.obtain()
    const [folder = ''] = readdirSync(join(engine.certsDir, 'orders', 'test'))
    writeFileSync(join(engine.certsDir, 'orders', 'test', folder, 'privkey.pem'), await newKey('p256'))
    await t.rejects(engine.obtain(), { code: 'certificate_invalid', detail: /belongs to another key/ })
    t.ok(await engine.obtain())
  })

  t.test('a clock that is days off refuses the certificate, and orders no other', async t => {
    const engine = makeEngine(t, bed)
    const before = ordersMade(bed)
    const slow = makeEngine(t, bed, { certsDir: engine.certsDir, now: () => Date.now() - 2 * 86_400_000 })
    for (let run = 0; run < 2; run++) await t.rejects(slow.obtain(), { code: 'certificate_invalid', detail: /Is the clock right/ })
    t.ok(await engine.obtain())
    t.equal(ordersMade(bed) - before, 1)
  })

  t.test('SIGTERM before the CA was told to look: the port is shut, and the order waits', async t => {
    const engine = makeEngine(t, bed)
    const { httpPort: port } = bed.pebble
    const http = { port, hosts: ['127.0.0.1', '::1'] }
    const order = { directoryUrl: proxy.directoryUrl, caFile: bed.caFile, certsDir: engine.certsDir, names: ['web.example.test'], http }
    // it wants to tell the CA to look, and is not heard
    proxy.fault({ match: 'chalZ', drop: 'before', delayMs: 10_000, times: 9 })
    const one = startChild(order)
    await until(() => isOpen(port), 'the port to be opened', one.said)
    one.child.kill('SIGTERM')
    await within(one.ended, 'the process')
    t.match(one.said(), /failed: Cancelled/)
    t.equal(one.child.exitCode, 1)
    t.notOk(await isOpen(port))
    proxy.clearFaults()
    const before = ordersMade(bed)
    t.ok(await engine.obtain({ names: ['web.example.test'] }, { solver: http01Solver(http) }))
    t.equal(ordersMade(bed), before)
    t.notOk(await isOpen(port))
  })

  t.test('stopped before it begins, it asks nobody', async t => {
    const stop = new AbortController()
    stop.abort()
    const before = proxy.requests.length
    await t.rejects(makeEngine(t, bed, { signal: stop.signal }).obtain(), { code: 'cancelled' })
    t.equal(proxy.requests.length, before)
  })

  t.test('stopped while it waits for the CA, it takes its record out of the DNS and ends at once', async t => {
    const stop = new AbortController()
    const engine = makeEngine(t, bed, { signal: stop.signal })
    proxy.fault({ match: 'chalZ', status: 429, retryAfter: 50 })
    const running = engine.obtain({ names: ['stop.example.test'] })
    await until(() => engine.told.some(line => line.includes('asks to wait 50 s')), 'the CA to be waited for')
    t.equal((await bind.txt('_acme-challenge.stop.example.test')).length, 1)
    stop.abort()
    await t.rejects(within(running, 'the run'), { code: 'cancelled' })
    t.same(await bind.txt('_acme-challenge.stop.example.test'), [])
  })
})

function isOpen(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
