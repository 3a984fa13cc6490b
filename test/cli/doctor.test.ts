import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { makeHome } from '../support/daemon.js'
import { withStore } from '../support/home-store.js'
import { madeHome, type NearHome, nearHome, run } from './run.js'

type Findings = { check: string; state: string; text: string; todo?: string }[]

async function examine(home: NearHome): Promise<{ code: number | null; bad: Findings; all: Findings }> {
  const { code, stdout } = await home.run(['--json', 'doctor'])
  const all = JSON.parse(stdout) as Findings
  return { code, all, bad: all.filter(finding => finding.state !== 'ok') }
}

const port = (home: string) => nearHome(home, { SOAKP_PORT: '0' })

t.test('of a sound home every part is in order', async t => {
  const home = await madeHome(t, { SOAKP_PORT: '0' })
  await home.run(['key', 'add', 'sandbox', '--stdin'], 'any-key-1')
  const { code, bad, all } = await examine(home)
  t.same(bad, [])
  t.equal(code, 0)
  t.same(
    [...new Set(all.map(({ check }) => check))],
    ['settings', 'home', 'file modes', 'disk', 'master key', 'database', 'keys', 'clock', 'certificate', 'port'],
  )
})

t.test('each fault is named with what to do about it, and ends with 1', async t => {
  const home = await madeHome(t, { SOAKP_PORT: '0' })
  const { id } = await home.json<{ id: string }>(['key', 'add', 'sandbox', '--stdin'], 'any-key-1')
  const faulty = async (check: string) => {
    const { code, bad } = await examine(home)
    t.equal(code, 1, check)
    t.same([...new Set(bad.map(finding => finding.check))], [check])
    t.ok(
      bad.every(finding => finding.todo),
      'there is something to do',
    )
    return bad
  }
  chmodSync(join(home.dir, 'keys.json'), 0o644)
  t.match(await faulty('file modes'), [{ todo: /chmod 600 .*keys\.json/ }])
  chmodSync(join(home.dir, 'keys.json'), 0o600)

  await withStore(home.dir, async store => {
    const key = await store.getKey(id)
    if (key) await store.updateKey(id, { sealed: `${key.sealed.slice(0, -4)}AAAA` })
  })
  t.match(await faulty('keys'), [{ text: new RegExp(id) }])
  await home.json(['key', 'remove', id])
  await home.json(['key', 'add', 'sandbox', '--stdin'], 'any-key-1')

  const cert = join(home.dir, 'certs/live/localhost/fullchain.pem')
  const pem = readFileSync(cert)
  writeFileSync(cert, 'nothing')
  t.match(await faulty('certificate'), [{ todo: /cert local/ }])
  writeFileSync(cert, pem)
  t.equal((await examine(home)).code, 0)
})

t.test('a broken part does not keep the others from being looked at', async t => {
  const home = await madeHome(t)
  const database = join(home.dir, 'soakp.db')
  const bytes = readFileSync(database)
  writeFileSync(database, Buffer.alloc(bytes.length, 7))
  const damaged = await examine(port(home.dir))
  t.equal(damaged.code, 1)
  t.match(damaged.bad, [{ check: 'database', state: 'fail' }])
  t.ok(damaged.all.some(({ check, state }) => check === 'certificate' && state === 'ok'))
  writeFileSync(database, bytes)
  rmSync(join(home.dir, 'master.key'))
  t.match((await examine(port(home.dir))).bad, [{ check: 'master key', state: 'fail', todo: /put it back/ }])
  t.match((await examine(nearHome(join(home.dir, 'nowhere')))).bad, [{ check: 'home', todo: /soakp init/ }])
  const wrong = await examine(nearHome(home.dir, { SOAKP_PORT: 'x', SOAKP_NOPE: '1' }))
  t.match(wrong.bad, [{ check: 'settings', text: /SOAKP_PORT.*SOAKP_NOPE|SOAKP_NOPE.*SOAKP_PORT/ }])
})

t.test('a clock that went back is noticed', async t => {
  const home = await madeHome(t)
  const late = await run(['--json', 'doctor'], {
    settings: async () => (await import('../../src/config/load.js')).loadSettings({ env: {}, home: home.dir, flags: { port: '0' } }),
    now: () => Date.now() - 86_400_000,
  })
  t.equal(late.code, 1)
  t.match(
    (JSON.parse(late.stdout) as Findings).find(({ check }) => check === 'clock'),
    { state: 'fail', todo: /NTP/ },
  )
})

t.test('whoever holds the port is told apart: nobody, this soakp, something else', async t => {
  const home = await makeHome(t)
  const daemon = await home.serve()
  const at = (number: number) => examine(nearHome(home.dir, { SOAKP_PORT: String(number) }))
  const found = async (number: number) => (await at(number)).all.find(({ check }) => check === 'port')
  t.match(await found(daemon.port), { state: 'ok', text: /a soakp answers/ })
  await daemon.stop()
  t.match(await found(daemon.port), { state: 'ok', text: /is free/ })
  const other = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await new Promise(resolve => other.once('listening', resolve))
  const { port } = other.address() as AddressInfo
  t.match(await found(port), { state: 'warn', text: /not soakp/ })
  const { all } = await examine(nearHome(home.dir, { SOAKP_PORT: '0', SOAKP_METRICS_LISTEN: `127.0.0.1:${port}` }))
  t.match(
    all.find(({ check }) => check === 'metrics'),
    { state: 'warn', todo: /SOAKP_METRICS_LISTEN/ },
  )
})
