import t from 'tap'
import { linode } from '../../../src/tls/dns/linode.js'
import { openStaged, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { fakeLinode } from '../../support/dns/linode.js'

testDnsProvider(t, {
  provider: linode,
  start: fakeLinode,
  wrong: [{ variables: { LINODE_TOKEN: 'not-the-right-one' }, names: ['LINODE_TOKEN'] }],
})

t.test('a zone that is only copied from elsewhere is passed over for the one above it', async t => {
  const { account } = openStaged(t, { provider: linode }, await fakeLinode(t))
  t.equal((await account.zoneOf('_acme-challenge.deep.sub.example.com')).name, 'sub.example.com')
})

t.test('values are found behind many other records, whether names come back relative or whole', async t => {
  const fake = await fakeLinode(t)
  const { account } = openStaged(t, { provider: linode }, fake)
  const zone = await account.zoneOf('example.com')
  for (const name of ['example.com', 'a.example.com', 'b.example.com', 'a.b.example.com']) {
    const before = fake.values(name)
    const records = [
      { name, value: txtValue('x') },
      { name, value: txtValue('y') },
    ]
    await account.add(zone, records)
    await account.add(zone, records)
    t.same(fake.values(name), [...before, txtValue('x'), txtValue('y')])
    await account.remove(zone, records)
    t.same(fake.values(name), before)
  }
})
