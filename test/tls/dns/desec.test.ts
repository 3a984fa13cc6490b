import t, { type Test } from 'tap'
import { desec } from '../../../src/tls/dns/desec.js'
import { type DnsStage, openStaged, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { type ApiAnswer, type ApiCall, startApi } from '../../support/dns-api.js'

const token = 'mu4W4MHuSc0HyTA3bj2+Rx'

interface Entry {
  readonly domain: string
  readonly subname: string
  readonly ttl: number
  readonly records: readonly string[]
}

/** deSEC as its documentation and recorded traffic show it: domains, sets of records, bulk writes that are done whole or not at all. */
async function startDesec(t: Test): Promise<DnsStage & { readonly entries: Map<string, Entry> }> {
  const minimum = new Map([
    ['example.com', 3600],
    ['sub.example.com', 60],
    ['example.net', 3600],
  ])
  const entries = new Map<string, Entry>()
  const keyOf = (domain: string, subname: string) => `${subname}/${domain}`
  const owner = (name: string) =>
    [...minimum.keys()].filter(domain => name === domain || name.endsWith(`.${domain}`)).sort((a, b) => b.length - a.length)[0]
  const describe = (domain: string) => ({ name: domain, minimum_ttl: minimum.get(domain), created: '2025-10-15T23:22:18.534935Z' })
  const shown = (entry: Entry) => ({ ...entry, type: 'TXT', name: `${entry.subname}.${entry.domain}.` })

  function write(domain: string, body: string): ApiAnswer {
    const wanted: (Omit<Entry, 'domain'> & { type: string })[] = JSON.parse(body)
    const bad = wanted.map(({ ttl, records, type }) =>
      type !== 'TXT' || !records.every(record => /^"(?:[^"\\]|\\.)*"(?: "(?:[^"\\]|\\.)*")*$/.test(record))
        ? { records: ['Record content malformed.'] }
        : ttl < (minimum.get(domain) ?? 0)
          ? { ttl: [`Ensure this value is greater than or equal to ${minimum.get(domain)}.`] }
          : {},
    )
    if (bad.some(one => Object.keys(one).length > 0)) return { status: 400, json: bad }
    for (const { subname, ttl, records } of wanted) {
      if (records.length === 0) entries.delete(keyOf(domain, subname))
      else entries.set(keyOf(domain, subname), { domain, subname, ttl, records: [...new Set(records)] })
    }
    return { status: 200, json: wanted }
  }

  function answer({ method, url, headers, body }: ApiCall): ApiAnswer {
    if (headers.authorization !== `Token ${token}`) return { status: 401, json: { detail: 'Invalid token.' } }
    if (!url.pathname.endsWith('/')) return { status: 404, body: '' }
    if (method === 'GET' && url.pathname === '/domains/') {
      const name = url.searchParams.get('owns_qname')
      const domains = name === null ? [...minimum.keys()] : [owner(name)].flatMap(one => one ?? [])
      return { status: 200, json: domains.map(describe) }
    }
    const [, domain = '', subname] = /^\/domains\/([^/]+)\/rrsets\/(?:([^/]+)\/TXT\/)?$/.exec(url.pathname) ?? []
    if (!minimum.has(domain)) return { status: 404, json: { detail: 'Not found.' } }
    if (method === 'PATCH' && subname === undefined) return write(domain, body)
    if (method !== 'GET' || subname === undefined) return { status: 405, json: { detail: `Method "${method}" not allowed.` } }
    const entry = entries.get(keyOf(domain, subname === '@' ? '' : subname))
    return entry ? { status: 200, json: shown(entry) } : { status: 404, json: { detail: 'Not found.' } }
  }

  const split = (name: string) => {
    const domain = owner(name) ?? ''
    return { domain, subname: name.slice(0, -domain.length - 1) }
  }
  const api = await startApi(t, answer)
  return {
    api,
    entries,
    variables: { DESEC_TOKEN: token },
    baseUrl: `${api.url}/`,
    values(name) {
      const { domain, subname } = split(name)
      return (entries.get(keyOf(domain, subname))?.records ?? []).map(record => JSON.parse(record) as string)
    },
    put(name, value) {
      const { domain, subname } = split(name)
      const before = entries.get(keyOf(domain, subname))
      entries.set(keyOf(domain, subname), { domain, subname, ttl: 7200, records: [...(before?.records ?? []), JSON.stringify(value)] })
    },
  }
}

testDnsProvider(t, {
  provider: desec,
  start: startDesec,
  wrong: [{ variables: { DESEC_TOKEN: 'not-the-right-token' }, names: ['DESEC_TOKEN'] }],
})

t.test('all values of a domain are one write, as narrow limits want it', async t => {
  const stage = await startDesec(t)
  const { account } = openStaged(t, { provider: desec }, stage)
  const zone = await account.zoneOf('_acme-challenge.example.com')
  const names = ['_acme-challenge.example.com', '_acme-challenge.a.example.com', '_acme-challenge.b.example.com']
  const records = names.flatMap(name => [
    { name, value: txtValue('x') },
    { name, value: txtValue('y') },
  ])
  await account.add(zone, records)
  t.equal(stage.api?.calls.filter(({ method }) => method === 'PATCH').length, 1)
})

t.test('a new set has the TTL that the domain allows at least, and one that is there keeps its own', async t => {
  const stage = await startDesec(t)
  const { account } = openStaged(t, { provider: desec }, stage, { DESEC_TTL: '60' })
  await stage.put?.('there.example.com', 'foreign')
  for (const name of ['new.example.com', 'there.example.com', 'new.sub.example.com']) {
    await account.add(await account.zoneOf(name), [{ name, value: txtValue(name) }])
  }
  t.same(
    ['new/example.com', 'there/example.com', 'new/sub.example.com'].map(key => stage.entries.get(key)?.ttl),
    [3600, 7200, 60],
  )
})

t.test('values of others come out to the letter: bytes that are no ASCII, and several strings in one', async t => {
  const stage = await startDesec(t)
  const { account } = openStaged(t, { provider: desec }, stage)
  const name = '_acme-challenge.example.com'
  const key = '_acme-challenge/example.com'
  const foreign = ['"\\195\\188mlaut \\"quoted\\""', '"one " "two"']
  stage.entries.set(key, { domain: 'example.com', subname: '_acme-challenge', ttl: 3600, records: foreign })
  const zone = await account.zoneOf(name)
  await account.add(zone, [{ name, value: txtValue('x') }])
  t.same(stage.entries.get(key)?.records, [...foreign, `"${txtValue('x')}"`])
  await account.remove(zone, [{ name, value: txtValue('x') }])
  t.same(stage.entries.get(key)?.records, foreign)
})
