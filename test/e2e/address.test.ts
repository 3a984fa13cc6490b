import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import t from 'tap'
import { checkBaseUrl } from '../../src/lib/outbound.js'
import { chat } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { freshKey } from '../support/stage.js'

// "A base URL into a private network is refused unless the operator, on the machine, said --allow-private."

t.test('base URLs', async t => {
  const home = await makeHome(t)
  const secret = freshKey('openai')
  const add = (baseUrl: string, ...more: string[]) =>
    home.run(['--json', 'key', 'add', 'openai', '--stdin', '--no-verify', '--base-url', baseUrl, ...more], secret)

  await t.test('one that lies in a private network, however it is written, is refused without --allow-private', async t => {
    const inside = [
      'https://127.0.0.1',
      'https://127.1',
      'https://127.255.255.254:8443',
      'https://2130706433',
      'https://0x7f000001',
      'https://0x7f.0.0.1',
      'https://0177.0.0.1',
      'https://017700000001',
      'https://①②⑦.⓪.⓪.①',
      'https://0.0.0.0',
      'https://0',
      'https://10.0.0.1',
      'https://172.16.0.1',
      'https://172.31.255.255',
      'https://192.168.1.1',
      'https://169.254.169.254',
      'https://169.254.169.254.',
      'https://100.64.0.1',
      'https://198.18.0.1',
      'https://224.0.0.1',
      'https://255.255.255.255',
      'https://[::1]',
      'https://[::]',
      'https://[::ffff:127.0.0.1]',
      'https://[::ffff:7f00:1]',
      'https://[::127.0.0.1]',
      'https://[fe80::1]',
      'https://[fc00::1]',
      'https://[fd00:ec2::254]',
      'https://[64:ff9b::7f00:1]',
      'https://[64:ff9b::a9fe:a9fe]',
      'https://[2002:7f00:1::]',
      'https://[2001:db8::1]',
      'https://[ff02::1]',
      'http://127.0.0.1:11434',
    ]
    for (const url of inside) t.throws(() => checkBaseUrl(url, false), { code: 'base_url_refused' }, url)
    // the command asks the same question: a few of them through the door that users have
    for (const url of ['https://127.1', 'https://169.254.169.254', 'https://[::ffff:7f00:1]', 'http://127.0.0.1:11434']) {
      const ran = await add(url)
      t.equal(ran.code, 78, url)
      t.match(ran.stderr, /^soakp: /, url)
      t.notOk(ran.stderr.includes(secret))
    }
    t.strictSame(await home.json(['key', 'list']), [], 'none was stored')
  })

  await t.test('one that is no plain https address is refused, even with --allow-private', async t => {
    const odd = [
      'http://api.example.com',
      'http://8.8.8.8',
      'ftp://127.0.0.1',
      'file:///etc/passwd',
      'https://user:pw@api.example.com',
      'https://api.example.com/?x=1',
      'https://api.example.com/#x',
      'nonsense',
      '',
    ]
    for (const url of odd) t.throws(() => checkBaseUrl(url, true), { code: 'base_url_refused' }, url)
    const ran = await add('https://user:pw@api.example.com', '--allow-private')
    t.not(ran.code, 0)
    t.notOk(ran.stderr.includes('user:pw'), 'a password in it is not repeated')
    t.strictSame(await home.json(['key', 'list']), [])
  })

  await t.test('a name that leads into a private network is not connected to', async t => {
    let connections = 0
    const inside = createServer(socket => {
      connections++
      socket.destroy()
    }).listen(0, '::')
    await once(inside, 'listening')
    t.teardown(() => inside.close())
    const { port } = inside.address() as AddressInfo
    const names = [`https://localhost:${port}`, `https://localhost.:${port}`, `https://ip6-localhost:${port}`]
    const stored: string[] = []
    for (const url of names) {
      const ran = await add(url)
      if (ran.code === 0) stored.push(JSON.parse(ran.stdout).id)
    }
    const daemon = await home.serve()
    for (const id of stored) {
      const issued = await home.createToken(['--key', id])
      const answer = await chat(daemon, issued.token)
      t.ok(answer.status >= 400, `${answer.status}`)
    }
    t.equal(connections, 0)
    t.equal(await daemon.stop(), 0)
  })

  await t.test('with --allow-private, the same address is used', async t => {
    const server = createServer(socket => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as AddressInfo
    const ran = await add(`http://127.0.0.1:${port}/prefix`, '--allow-private')
    t.equal(ran.code, 0, ran.stderr)
    const issued = await home.createToken(['--key', JSON.parse(ran.stdout).id])
    const daemon = await home.serve()
    t.equal((await chat(daemon, issued.token)).status, 200)
    t.equal(await daemon.stop(), 0)
  })

  await t.test('plain http is for loopback only: an address of this machine’s own network is refused', async t => {
    const own = Object.values(networkInterfaces())
      .flat()
      .find(address => address !== undefined && !address.internal && address.family === 'IPv4')
    const ran = await add(`http://${own?.address ?? '10.1.2.3'}:8080`, '--allow-private')
    t.not(ran.code, 0)
  })
})
