import t, { type Test } from 'tap'
import { duckdns } from '../../../src/tls/dns/duckdns.js'
import { type DnsStage, openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { startApi } from '../../support/dns-api.js'

const token = 'a7c4d0ad-114e-40ef-ba1d-d217904a50f2'

/** As recorded traffic shows it: 200 for everything, OK or KO, one value for a name. */
async function start(t: Test): Promise<DnsStage> {
  const values = new Map([
    ['www', ''],
    ['never', ''],
  ])
  const api = await startApi(t, ({ url }) => {
    const query = url.searchParams
    const name = query.get('domains') ?? ''
    if (url.pathname !== '/update' || query.get('token') !== token || !values.has(name)) return { status: 200, body: 'KO' }
    const value = query.get('clear') === 'true' ? '' : (query.get('txt') ?? '')
    const changed = values.get(name) !== value
    values.set(name, value)
    return { status: 200, body: query.get('verbose') === 'true' ? `OK\n${value}\n${changed ? 'UPDATED' : 'NOCHANGE'}` : 'OK' }
  })
  return {
    api,
    variables: { DUCKDNS_TOKEN: token },
    baseUrl: api.url,
    values: name => [values.get(name.split('.').at(-3) ?? '') ?? ''].filter(value => value !== ''),
  }
}

const provider = duckdns
testDnsProvider(t, {
  provider,
  start,
  zones: 'none',
  name: label => `_acme-challenge.${label}.duckdns.org`,
  wrong: [{ variables: { DUCKDNS_TOKEN: 'not-the-right-token' }, names: ['DUCKDNS_TOKEN'] }],
})

t.test('everything below a name of DuckDNS is that name; others are refused', async t => {
  const { account } = openStaged(t, { provider }, await start(t))
  t.same(await account.zoneOf('_acme-challenge.a.b.www.duckdns.org'), { id: 'www', name: 'www.duckdns.org' })
  for (const name of ['_acme-challenge.example.com', '_acme-challenge.notduckdns.org', 'duckdns.org']) {
    t.equal((await refusal(account.zoneOf(name))).code, 'dns_zone_not_found', name)
  }
})

t.test('a value that has come after it is not taken away with an older one', async t => {
  const stage = await start(t)
  const { account } = openStaged(t, { provider }, stage)
  const name = '_acme-challenge.www.duckdns.org'
  const zone = await account.zoneOf(name)
  const [older, newer] = ['older', 'newer'].map(seed => ({ name, value: txtValue(seed) }))
  if (older === undefined || newer === undefined) return t.fail()
  await account.add(zone, [older])
  await account.add(zone, [newer])
  await account.remove(zone, [older])
  t.same(await stage.values(name), [newer.value])
  t.equal((await refusal(account.add(zone, [older, newer]))).code, 'dns_provider_failed', 'two at once cannot be')
})
