import t from 'tap'
import { renewed } from '../../../../src/tls/dns/auth/access-token.js'

t.test('a token is asked for once by all who need it, again shortly before it runs out, and again after a failure', async t => {
  let nowMs = 0
  let asked = 0
  let failing = false
  const token = renewed(
    () => nowMs,
    async () => {
      asked += 1
      const number = asked
      await Promise.resolve()
      if (failing) throw new Error(`refused ${number}`)
      return { token: `token ${number}`, expiresAtMs: nowMs + 3_600_000 }
    },
  )
  const both = await Promise.all([token(), token()])
  t.same(
    both.map(one => one.token),
    ['token 1', 'token 1'],
  )
  nowMs = 3_600_000 - 60_001
  t.equal((await token()).token, 'token 1')
  nowMs += 1
  t.equal((await token()).token, 'token 2')
  nowMs += 3_600_000
  failing = true
  await t.rejects(Promise.all([token(), token()]), { message: 'refused 3' })
  failing = false
  t.equal((await token()).token, 'token 4')
})
