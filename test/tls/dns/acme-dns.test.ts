import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { acmeDns } from '../../../src/tls/dns/acme-dns.js'
import { type DnsStage, openStaged, refusal, testDnsProvider, txtValue } from '../../contracts/dns-provider.js'
import { temporaryFolder } from '../../support/acme/index.js'
import { type FakeApi, startApi } from '../../support/dns-api.js'

interface Account {
  readonly username: string
  readonly password: string
  readonly subdomain: string
  readonly fulldomain: string
  /** The two newest values, the newest last. */
  values: string[]
}

/** The server as its README and source describe it. */
async function startServer(t: Test): Promise<{ api: FakeApi; accounts: Account[]; register(subdomain: string): Account }> {
  const accounts: Account[] = []
  const register = (subdomain: string): Account => {
    const account = {
      subdomain,
      fulldomain: `${subdomain}.auth.example.org`,
      username: `user-of-${subdomain}`,
      password: `password-of-${subdomain}`,
      values: [],
    }
    accounts.push(account)
    return account
  }
  const api = await startApi(t, ({ method, url, headers, body }) => {
    if (method !== 'POST') return { status: 405 }
    const asked: { subdomain?: string; txt?: string; allowfrom?: string[] } = JSON.parse(body)
    if (url.pathname === '/register') {
      const { values: _, ...made } = register(`fresh-${accounts.length}`)
      return { status: 201, json: { ...made, allowfrom: asked.allowfrom ?? [] } }
    }
    const account = accounts.find(({ subdomain }) => subdomain === asked.subdomain)
    if (account === undefined || headers['x-api-user'] !== account.username || headers['x-api-key'] !== account.password) {
      return { status: 401, json: { error: 'forbidden' } }
    }
    if (!/^[A-Za-z0-9_-]{43}$/.test(asked.txt ?? '')) return { status: 400, json: { error: 'bad_txt' } }
    account.values = [...account.values, asked.txt ?? ''].slice(-2)
    return { status: 200, json: { txt: asked.txt } }
  })
  return { api, accounts, register }
}

const nameOf = (label: string) => `${label}-4f2a.auth.example.org`

async function start(t: Test): Promise<DnsStage & { readonly accounts: Account[]; readonly file: string }> {
  const { api, accounts, register } = await startServer(t)
  const file = join(temporaryFolder(t), 'acme-dns.json')
  const storage = ['www', 'never'].map(label => {
    const { values: _, ...account } = register(`${label}-4f2a`)
    return [`${label}.example.com`, { ...account, server_url: api.url }] as const
  })
  writeFileSync(file, JSON.stringify(Object.fromEntries(storage)), { mode: 0o600 })
  return {
    api,
    accounts,
    file,
    variables: { ACME_DNS_API_BASE: api.url, ACME_DNS_STORAGE_PATH: file },
    values: name => accounts.find(({ fulldomain }) => fulldomain === name)?.values ?? [],
  }
}

const provider = acmeDns
testDnsProvider(t, { provider, start, zones: 'none', name: nameOf })

t.test('a name that does not lead there yet is registered once, and the CNAME to make is told', async t => {
  const stage = await start(t)
  const { account } = openStaged(t, { provider }, stage, { ACME_DNS_ALLOWLIST: '192.0.2.0/24, 2001:db8::/32' })
  const name = '_acme-challenge.new.example.com'
  for (const _ of ['at first', 'and again']) {
    const error = await refusal(account.zoneOf(name))
    t.equal(error.code, 'dns_zone_not_found')
    t.match(error.detail, `${name}. CNAME fresh-2.auth.example.org.`)
  }
  t.equal(stage.accounts.length, 3)
  t.same(JSON.parse(stage.api?.calls[0]?.body ?? ''), { allowfrom: ['192.0.2.0/24', '2001:db8::/32'] })
  t.equal(statSync(stage.file).mode & 0o777, 0o600)
  t.same(Object.keys(JSON.parse(readFileSync(stage.file, 'utf8'))), ['www.example.com', 'never.example.com', 'new.example.com'])
  t.equal((await account.zoneOf('fresh-2.auth.example.org')).id, 'fresh-2', 'which is its zone from then on')
})

t.test('a CNAME to a registration that is not ours is told, with those that are', async t => {
  const { account } = openStaged(t, { provider }, await start(t))
  const error = await refusal(account.zoneOf('stranger.auth.example.org'))
  t.match(error.detail, 'stranger.auth.example.org is no registration')
  t.match(error.detail, nameOf('www'))
})

t.test('credentials that the server does not know any more are told by their file, and never shown', async t => {
  const stage = await start(t)
  for (const account of stage.accounts) Object.assign(account, { password: 'changed' })
  const { account } = openStaged(t, { provider }, stage)
  const name = nameOf('www')
  const error = await refusal(account.add(await account.zoneOf(name), [{ name, value: txtValue('x') }]))
  t.equal(error.code, 'dns_credentials_refused')
  t.match(error.detail, 'ACME_DNS_STORAGE_PATH')
  t.notMatch(error.message, 'password-of')
})
