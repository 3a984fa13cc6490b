import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { accountsIn } from '../../../src/tls/acme/account-files.js'
import { runHooks } from '../../../src/tls/life/hooks.js'
import { type CertificateRecord, listRecords, writeRecord } from '../../../src/tls/life/record.js'
import { aCertificate } from '../../support/records.js'

const record = (name: string): CertificateRecord => aCertificate(name, { proof: { type: 'http-01', port: 80 } })

t.test('a file that is no record is told by name and stops no other; what editors leave beside one is passed over', async t => {
  const certs = t.testdir()
  await writeRecord(certs, record('web'))
  const at = (name: string) => join(certs, 'renewal', name)
  t.equal(statSync(at('web.json')).mode & 0o777, 0o600)
  mkdirSync(at('folder.json'))
  symlinkSync('circle.json', at('circle.json'))
  writeFileSync(at('huge.json'), Buffer.alloc(5_000_000))
  writeFileSync(at('other.json'), JSON.stringify({ version: 1, ...record('web') }))
  for (const name of ['.#web.json', '._web.json', '..json', 'a b.json', 'localhost.json']) writeFileSync(at(name), '{}')
  const bad: [string, string, string | undefined][] = []
  t.same(
    listRecords(certs, ({ code, hint }, name) => void bad.push([name, code, hint?.slice(0, 12)])).map(({ name }) => name),
    ['web'],
  )
  t.same(
    bad,
    ['circle', 'folder', 'huge', 'other'].map(name => [name, 'file_refused', 'Move it away']),
  )
})

t.test('a folder of records that is none is told by its path', async t => {
  const certs = t.testdir({ renewal: '' })
  t.throws(() => listRecords(certs), { code: 'file_refused', detail: join(certs, 'renewal') })
})

t.test('a file among the folders of accounts is no account', async t => {
  t.same(accountsIn(t.testdir({ accounts: { '.DS_Store': '' } })), [])
})

t.test('a link that goes in a circle, and a program that others may change, are no hooks; the others run', async t => {
  const certs = t.testdir({ 'renewal-hooks': { deploy: { a: '#!/bin/sh\nexit 0\n', b: '#!/bin/sh\necho no; exit 3\n' } } })
  const folder = join(certs, 'renewal-hooks/deploy')
  symlinkSync('self', join(folder, 'self'))
  chmodSync(join(folder, 'a'), 0o777)
  chmodSync(join(folder, 'b'), 0o755)
  const run = { signal: new AbortController().signal, tell: () => {} }
  t.match(await runHooks(certs, 'deploy', [], { renewedDomains: ['web.example.test'] }, run), [
    { hook: join(folder, 'a'), why: /others may change it/ },
    { hook: /b$/, why: 'ended with 3: no' },
  ])
})
