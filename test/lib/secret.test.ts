import { inspect } from 'node:util'
import t from 'tap'
import { Secret } from '../../src/lib/secret.js'

t.test('a secret never shows itself in a string, JSON or inspection', async t => {
  const secret = new Secret('sk-canary')
  for (const shown of [`${secret}`, JSON.stringify({ secret }), inspect({ secret }), inspect(secret, { showHidden: true, depth: 9 })]) {
    t.notMatch(shown, 'canary')
  }
  t.equal(secret.expose(), 'sk-canary')
})

t.test('a wiped secret is gone', async t => {
  const secret = new Secret('sk-canary')
  secret.wipe()
  t.notMatch(secret.expose(), 'canary')
})
