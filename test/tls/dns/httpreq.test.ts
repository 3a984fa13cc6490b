import t, { type Test } from 'tap'
import { httpreq } from '../../../src/tls/dns/httpreq.js'
import { type DnsStage, openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { type ApiCall, startApi } from '../../support/dns-api.js'

const password = 'pass/word+with=signs'

/** A bridge as lego's documentation describes one. */
async function start(t: Test): Promise<DnsStage> {
  const values = new Map<string, Set<string>>()
  const api = await startApi(t, ({ method, url, headers, body }: ApiCall) => {
    if (headers.authorization !== `Basic ${Buffer.from(`me:${password}`).toString('base64')}`) return { status: 401, body: 'who are you?' }
    const { fqdn, value }: { fqdn?: string; value?: string } = JSON.parse(body)
    if (method !== 'POST' || !fqdn?.endsWith('.') || value === undefined) return { status: 400, body: 'not understood' }
    const there = values.get(fqdn) ?? new Set()
    values.set(fqdn, there)
    if (url.pathname === '/hook/present') there.add(value)
    else if (url.pathname === '/hook/cleanup') there.delete(value)
    else return { status: 404, body: 'no such path' }
    return { status: 200 }
  })
  return {
    api,
    variables: { HTTPREQ_ENDPOINT: `${api.url}/hook/`, HTTPREQ_USERNAME: 'me', HTTPREQ_PASSWORD: password },
    values: name => [...(values.get(`${name}.`) ?? [])],
    put: (name, value) => void values.set(`${name}.`, (values.get(`${name}.`) ?? new Set()).add(value)),
  }
}

testDnsProvider(t, {
  provider: httpreq,
  start,
  zones: 'none',
  wrong: [{ variables: { HTTPREQ_PASSWORD: 'not-the-right-one' }, names: ['HTTPREQ_PASSWORD'] }],
})

t.test('in RAW mode the server is told domain, token and key authorization', async t => {
  const api = await startApi(t, () => ({ status: 204 }))
  const { account } = openStaged(
    t,
    { provider: httpreq },
    { variables: { HTTPREQ_ENDPOINT: api.url, HTTPREQ_MODE: 'RAW' }, values: () => [] },
  )
  const challenge = { domain: 'www.example.com', token: 'tok', keyAuthorization: 'tok.print' }
  const name = '_acme-challenge.www.example.com'
  await account.add(await account.zoneOf(name), [{ name, value: txtValue('x'), challenge }])
  t.same(
    api.calls.map(({ method, url, headers, body }) => [method, url.pathname, headers.authorization, JSON.parse(body)]),
    [['POST', '/present', undefined, { domain: 'www.example.com', token: 'tok', keyAuth: 'tok.print' }]],
  )
  const error = await refusal(account.add({ id: name, name }, [{ name, value: 'probe' }]))
  t.match(error.detail, 'RAW')
})
