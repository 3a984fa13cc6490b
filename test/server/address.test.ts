import t from 'tap'
import { compileBlocks } from '../../src/lib/ip.js'
import { clientAddress } from '../../src/server/address.js'
import { hostName, isLoopbackName } from '../../src/server/hosts.js'

const trusted = compileBlocks(['10.0.0.0/8', '2001:db8:1::/48'])

t.test('what a client claims of itself is believed only from a proxy we trust, and only as far as proxies we trust wrote it', async t => {
  const cases: [peer: string, forwarded: string | undefined, address: string][] = [
    ['203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['10.0.0.1', undefined, '10.0.0.1'],
    ['10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['10.0.0.1', '1.1.1.1, 198.51.100.1', '198.51.100.1'],
    ['10.0.0.1', '1.1.1.1, 198.51.100.1, 10.2.2.2', '198.51.100.1'],
    ['10.0.0.1', '10.3.3.3, 10.2.2.2', '10.3.3.3'],
    ['10.0.0.1', '198.51.100.1, nonsense', '10.0.0.1'],
    ['10.0.0.1', 'nonsense, 10.2.2.2', '10.2.2.2'],
    ['10.0.0.1', '', '10.0.0.1'],
    ['10.0.0.1', '198.51.100.1:4711', '198.51.100.1'],
    ['10.0.0.1', '[2001:DB8::1]:4711', '2001:db8::1'],
    ['10.0.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
    ['2001:db8:1::5', '2001:db8:2::1', '2001:db8:2::1'],
  ]
  for (const [peer, forwarded, address] of cases) t.equal(clientAddress(peer, forwarded, trusted), address, `${peer} says ${forwarded}`)
})

t.test('a host is read without its port, and loopback is known in every spelling', async t => {
  t.equal(hostName('Example.TEST:443'), 'example.test')
  t.equal(hostName('[::1]:3033'), '::1')
  t.equal(hostName('example.test.'), 'example.test')
  for (const bad of ['', 'a b', 'a/b', 'user@host', '[::1', '::1', 'host:port', 'ho\u00e9st']) t.equal(hostName(bad), undefined, bad)
  for (const name of ['localhost', 'a.localhost', '127.0.0.1', '127.1.2.3', '::1']) t.ok(isLoopbackName(name), name)
  for (const name of ['localhost.example', '0.0.0.0', '10.0.0.1', 'notlocalhost']) t.notOk(isLoopbackName(name), name)
})
