import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import t from 'tap'
import { Secret } from '../../src/lib/secret.js'
import { fillIn, standIn } from '../../src/lib/stand-in.js'

/** What arrives of what is written to a socket that fills in. */
async function arrived(t: { teardown(handler: () => unknown): unknown }, ...writes: (string | Buffer)[]): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const accepted = once(server, 'connection')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  fillIn(socket)
  const [peer] = await accepted
  let text = ''
  peer.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  for (const write of writes) socket.write(write, 'latin1')
  socket.end()
  await once(peer, 'close')
  return text
}

t.test('a secret is written where its stand-in is, once, and is nowhere in the text before', async t => {
  const secret = new Secret('sk-123+/=é')
  const credential = standIn(secret, 'header')
  const { text } = credential
  secret.wipe()
  t.notMatch(text, /sk-/)
  t.match(text, /^[a-z0-9.~]+$/)
  t.equal(
    await arrived(t, `GET / HTTP/1.1\r\nauthorization: Bearer ${text}\r\n\r\n`, 'body'),
    'GET / HTTP/1.1\r\nauthorization: Bearer sk-123+/=é\r\n\r\nbody',
  )
  credential.withdraw()
})

t.test('in a query the secret is percent-encoded', async t => {
  const { text } = standIn(new Secret('a b+&~é'), 'query')
  t.equal(await arrived(t, `GET /?key=${text} HTTP/1.1\r\n\r\n`), 'GET /?key=a%20b%2B%26~%C3%A9 HTTP/1.1\r\n\r\n')
})

t.test('a stand-in that was used or withdrawn never goes out as it is', async t => {
  const credential = standIn(new Secret('sk-123'), 'header')
  const { text } = credential
  credential.withdraw()
  credential.withdraw()
  t.equal(await arrived(t, `GET / HTTP/1.1\r\nx: ${text}\r\n\r\n`), '')
  const other = standIn(new Secret('sk-123'), 'header')
  t.equal(await arrived(t, `x: ${other.text}\r\n`, `y: ${other.text}\r\n`), '')
})

t.test('what holds no stand-in passes untouched, bodies in any case', async t => {
  t.equal(await arrived(t, 'GET / HTTP/1.1\r\nx: ~abc~1~\r\n\r\n', Buffer.from('é~')), 'GET / HTTP/1.1\r\nx: ~abc~1~\r\n\r\né~')
})

t.test('a secret that would break out of its header is refused', async t => {
  for (const text of ['a\r\nb', 'a\nb', 'a\0b']) t.throws(() => standIn(new Secret(text), 'header'), { code: 'key_unreadable' })
})
