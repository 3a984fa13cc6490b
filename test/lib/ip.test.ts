import t from 'tap'
import { compileBlocks, findBadBlock } from '../../src/lib/ip.js'

t.test('every block that is accepted can be matched against, and what cannot is named', async t => {
  const good = ['10.0.0.0/8', '203.0.113.7', '0.0.0.0/0', '2001:db8::/32', '::1', '::/0', '2001:db8::1/128']
  t.equal(findBadBlock(good), undefined)
  t.doesNotThrow(() => compileBlocks(good))
  for (const bad of [
    '010.0.0.0/8',
    '1.2/16',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    '::/129',
    'fe80::1%eth0',
    '0x7f.1',
    '',
  ])
    t.equal(findBadBlock([bad]), bad, bad)
})
