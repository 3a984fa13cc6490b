import t, { type Test } from 'tap'
import { powerdns } from '../../../src/tls/dns/powerdns.js'
import { unquote } from '../../../src/tls/dns/records/values.js'
import { type DnsStage, openStaged, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { lacking, startPdns, temporaryFolder } from '../../support/acme/index.js'
import { passTo, startApi } from '../../support/dns-api.js'

const missing = lacking('pdns_server')
const zones = ['example.com', 'sub.example.com', 'example.net']
const pdns = missing ? undefined : await startPdns(temporaryFolder(t))
t.teardown(() => pdns?.stop())

interface RrSet {
  readonly name: string
  readonly type: string
  readonly ttl: number
  readonly records: readonly { readonly content: string; readonly disabled: boolean }[]
  readonly comments: readonly { readonly content: string }[]
}

const zoneOf = (name: string) => zones.filter(zone => name.endsWith(`.${zone}`)).sort((a, b) => b.length - a.length)[0] ?? ''

async function setAt(name: string): Promise<RrSet | undefined> {
  const { text } = (await pdns?.call('GET', `/zones/${zoneOf(name)}.`)) ?? { text: '' }
  const { rrsets }: { rrsets: RrSet[] } = JSON.parse(text)
  return rrsets.find(set => set.type === 'TXT' && set.name === `${name}.`)
}

async function replace(name: string, set: object): Promise<void> {
  const rrset = { name: `${name}.`, type: 'TXT', ttl: 300, changetype: 'REPLACE', ...set }
  const reply = await pdns?.call('PATCH', `/zones/${zoneOf(name)}.`, { rrsets: [rrset] })
  if (reply?.status !== 204) throw new Error(reply?.text)
}

/** The real server, behind something that can fail. */
async function start(t: Test): Promise<DnsStage> {
  if (pdns === undefined) throw new Error('no PowerDNS')
  for (const zone of zones) {
    await pdns.call('DELETE', `/zones/${zone}.`)
    await pdns.makeZone(zone)
  }
  const api = await startApi(t, passTo(pdns.apiUrl))
  return {
    api,
    variables: { PDNS_API_URL: api.url, PDNS_API_KEY: pdns.apiKey },
    values: async name => ((await setAt(name))?.records ?? []).map(({ content }) => unquote(content)),
    async put(name, value) {
      const records = (await setAt(name))?.records ?? []
      await replace(name, { records: [...records, { content: `"${value.replaceAll('"', '\\"')}"`, disabled: false }] })
    },
  }
}

t.test('against the real server', { skip: missing }, async t => {
  testDnsProvider(t, { provider: powerdns, start, wrong: [{ variables: { PDNS_API_KEY: 'not-the-right-key' }, names: ['PDNS_API_KEY'] }] })

  t.test('values that are switched off, comments and the TTL of a set outlive our values beside them', async t => {
    const stage = await start(t)
    const { account } = openStaged(t, { provider: powerdns }, stage)
    const name = '_acme-challenge.kept.example.com'
    await replace(name, {
      ttl: 777,
      records: [{ content: '"off"', disabled: true }],
      comments: [{ content: 'mine', account: 'me', modified_at: 1 }],
    })
    const zone = await account.zoneOf(name)
    await account.add(zone, [{ name, value: txtValue('x') }])
    await account.remove(zone, [{ name, value: txtValue('x') }])
    const set = await setAt(name)
    t.same(set?.records, [{ content: '"off"', disabled: true }])
    t.equal(set?.ttl, 777)
    t.same(
      set?.comments.map(({ content }) => content),
      ['mine'],
    )
  })

  t.test('values of others come out to the letter: bytes that are no ASCII, and several strings in one', async t => {
    const stage = await start(t)
    const { account } = openStaged(t, { provider: powerdns }, stage)
    const name = '_acme-challenge.bytes.example.com'
    const foreign = ['"\\195\\188mlaut \\"quoted\\""', '"one " "two"']
    await replace(name, { records: foreign.map(content => ({ content, disabled: false })) })
    const contents = async () => (await setAt(name))?.records.map(({ content }) => content).sort()
    const before = await contents()
    t.equal(before?.length, 2)
    const zone = await account.zoneOf(name)
    await account.add(zone, [{ name, value: txtValue('x') }])
    await account.remove(zone, [{ name, value: txtValue('x') }])
    t.same(await contents(), before)
  })

  t.test('the address may be written with the path of the API, as for other clients', async t => {
    const stage = await start(t)
    for (const path of ['/', '/api', '/api/v1', '/api/v1/']) {
      const { account } = openStaged(t, { provider: powerdns }, stage, { PDNS_API_URL: `${stage.variables.PDNS_API_URL}${path}` })
      t.equal((await account.zoneOf('_acme-challenge.example.com')).name, 'example.com', path)
    }
  })
})
