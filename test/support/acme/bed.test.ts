import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { lacking, startBed, startPdns, temporaryFolder } from './index.js'
import { get } from './pebble.js'

t.test(
  'the name server takes signed updates of TXT records, follows CNAMEs and forgets',
  { skip: lacking('pebble', 'named', 'nsupdate') },
  async t => {
    const { bind } = await startBed(t)
    await bind.update('zone example.test', 'update add a.example.test 60 TXT "one"', 'update add a.example.test 60 TXT "two"')
    t.same(await bind.txt('a.example.test'), ['one', 'two'])
    await bind.update('zone example.test', 'update delete a.example.test TXT "one"')
    t.same(await bind.txt('a.example.test'), ['two'])
    await bind.update('zone delegate.test', 'update add aliased.delegate.test 60 TXT "there"')
    t.same(await bind.txt('_acme-challenge.aliased.example.test'), ['there'])
    t.same(await bind.txt('nothing.example.test'), [])
    await t.rejects(bind.update('zone example.test', 'update add a.example.test 60 A 127.0.0.9'), /REFUSED/, 'and nothing but TXT')
  },
)

t.test(
  'two beds stand beside each other, and the proxy shows the same CA with more to it',
  { skip: lacking('pebble', 'named') },
  async t => {
    const [one, two] = await Promise.all([startBed(t), startBed(t)])
    t.not(one.pebble.port, two.pebble.port)
    const ca = readFileSync(one.caFile)
    const bare = JSON.parse(await get(one.pebble.directoryUrl, ca))
    const more = JSON.parse(await get(one.proxy.directoryUrl, ca))
    t.notOk(bare.renewalInfo)
    t.match(more, { renewalInfo: /renewal-info$/, meta: { profiles: { shortlived: /./ } }, newOrder: String(one.proxy.port) })
    t.ok(new X509Certificate(await one.pebble.root()).ca)
    await two.pebble.stop('SIGKILL')
    t.notOk(two.pebble.running)
  },
)

t.test('PowerDNS serves what its API was told', { skip: lacking('pdns_server') || noSchema() }, async t => {
  const pdns = await startPdns(temporaryFolder(t))
  t.teardown(() => pdns.stop())
  const record = { name: 'x.example.test.', type: 'TXT', ttl: 60, changetype: 'REPLACE', records: [{ content: '"v"', disabled: false }] }
  t.equal((await pdns.call('PATCH', '/zones/example.test.', { rrsets: [record] })).status, 204)
  t.match((await pdns.call('GET', '/zones/example.test.')).text, /x\.example\.test/)
})

function noSchema(): string | false {
  return existsSync('/usr/share/pdns-backend-sqlite3') ? false : 'pdns-backend-sqlite3 not installed'
}
