import { createPublicKey, X509Certificate } from 'node:crypto'
import t from 'tap'
import { namesOf } from '../../../src/tls/names.js'
import { makeEngine } from '../../support/acme/engine.js'
import { lacking, startBed } from '../../support/acme/index.js'
import { nsupdateSolver } from '../../support/acme/solver.js'

const skip = lacking('pebble', 'named', 'nsupdate', 'openssl')

t.test('certificates from a CA', { skip }, async t => {
  const bed = await startBed(t)
  const left = async (...names: string[]) => (await Promise.all(names.map(name => bed.bind.txt(`_acme-challenge.${name}`)))).flat()

  t.test('a name and its wildcard stand in one certificate, proved together, and nothing is left in the DNS', async t => {
    const engine = makeEngine(t, bed)
    const solver = nsupdateSolver(bed.bind)
    const { fullchain, key, identifiers } = await engine.obtain({ names: ['Example.TEST.', '*.example.test', 'example.test'] }, { solver })
    const leaf = new X509Certificate(fullchain)
    t.same(namesOf(leaf).sort(), ['*.example.test', 'example.test'])
    t.same(identifiers.length, 2, 'each name once')
    t.ok(leaf.publicKey.equals(createPublicKey(key)))
    t.match(leaf.publicKey.asymmetricKeyDetails, { namedCurve: 'prime256v1' })
    t.equal(solver.trace.length, 2, 'both at once')
    t.same(await left('example.test'), [])
  })

  t.test('a child zone, an alias to another zone and an ordinary name are proved in one order', async t => {
    const names = ['host.sub.example.test', 'aliased.example.test', '*.aliased.example.test', 'web.example.test']
    const { fullchain } = await makeEngine(t, bed).obtain({ names })
    t.same(namesOf(new X509Certificate(fullchain)).sort(), [...names].sort())
    t.same(await left('host.sub.example.test', 'aliased.example.test', 'web.example.test'), [])
  })
  t.end()
})
