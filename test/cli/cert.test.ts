import { X509Certificate } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeCertHome } from '../support/acme/home.js'
import { lacking, startBed } from '../support/acme/index.js'

const skip = lacking('pebble', 'named', 'nsupdate', 'openssl')

t.test('certificates from a real CA, by command', { skip }, async t => {
  const bed = await startBed(t)

  t.test('one command gets a certificate for a name and all below it, and leaves nothing in the DNS', async t => {
    const home = await makeCertHome(t, bed)
    const ran = await home.far.run(home.issue(['ai.example.test', '*.ai.example.test']))
    t.equal(ran.code, 0, ran.stderr)
    t.match(ran.stdout, /^ai\.example\.test is issued: for ai\.example\.test, \*\.ai\.example\.test, valid until/)
    const leaf = new X509Certificate(readFileSync(join(home.certs, 'live/ai.example.test/cert.pem')))
    t.equal(leaf.subjectAltName, 'DNS:ai.example.test, DNS:*.ai.example.test')
    t.same(await bed.bind.txt('_acme-challenge.ai.example.test'), [])
    t.same(readdirSync(join(home.certs, 'orders')), [])
    const renewed = await home.near.run(['cert', 'renew', '-q', '--no-jitter'])
    t.same(renewed, { code: 0, stdout: '', stderr: '' }, 'nothing is due, and nothing is said')
    t.match((await home.near.run(['cert', 'renew', '--no-jitter'])).stdout, /^ai\.example\.test: not due before/)
    for (const args of [['cert', 'list'], ['cert', 'show', 'ai.example.test'], ['doctor']]) {
      const said = await home.near.run(args)
      t.equal(said.code, 0)
    }
    t.notOk(existsSync(join(home.certs, 'holder')))
  })
})
