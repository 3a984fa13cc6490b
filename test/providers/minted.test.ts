import t from 'tap'
import { Secret } from '../../src/lib/secret.js'
import { type Minted, MintedTokens, readTokenReply } from '../../src/providers/minted.js'

const minted = (text: string, lifetimeMs = 3_600_000): Minted => ({ token: new Secret(text), lifetimeMs })

t.test('a token is kept until shortly before it expires, for its own key alone', async t => {
  const tokens = new MintedTokens()
  const key = new Secret('one key')
  let made = 0
  const mint = async () => minted(`token-${++made}`)
  t.equal((await tokens.get(key, 0, mint)).expose(), 'token-1')
  t.equal((await tokens.get(key, 3_400_000, mint)).expose(), 'token-1')
  t.equal((await tokens.get(new Secret('another key'), 3_400_000, mint)).expose(), 'token-2')
  t.equal((await tokens.get(key, 3_500_000, mint)).expose(), 'token-3', 'a call must still arrive with it')
})

t.test('calls that find no token wait for one flight, and a failure is told to all of them and not kept', async t => {
  const tokens = new MintedTokens()
  const key = new Secret('one key')
  let asked = 0
  const failing = async (): Promise<Minted> => {
    asked++
    throw new Error('down')
  }
  const tries = await Promise.allSettled([1, 2, 3].map(async () => tokens.get(key, 0, failing)))
  t.ok(tries.every(({ status }) => status === 'rejected'))
  t.equal(asked, 1)
  t.equal((await tokens.get(key, 0, async () => minted('good'))).expose(), 'good')
})

t.test('whoever wipes the token it was given does not wipe the one that is kept', async t => {
  const tokens = new MintedTokens()
  const key = new Secret('one key')
  ;(await tokens.get(key, 0, async () => minted('good'))).wipe()
  t.equal((await tokens.get(key, 1, async () => minted('other'))).expose(), 'good')
})

t.test('a reply of a token endpoint holds a token or none', async t => {
  const read = (text: string) => readTokenReply(Buffer.from(text))
  const good = read('{"access_token":"ya29.x","expires_in":120,"token_type":"Bearer"}')
  t.equal(good?.token.expose(), 'ya29.x')
  t.equal(good?.lifetimeMs, 120_000)
  for (const text of ['', '{}', '{"access_token":""}', '{"access_token":7}', '<html>']) t.equal(read(text), undefined, text)
})
