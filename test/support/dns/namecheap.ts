import assert from 'node:assert/strict'
import type { Test } from 'tap'
import type { DnsStage } from '../../contracts/dns-provider.js'
import type { FakeApi } from '../dns-api.js'
import {
  absolute,
  type Call,
  type FakeServer,
  fakeZones,
  formBody,
  noBody,
  page,
  Refused,
  type Reply,
  relative,
  serveFake,
  zoneOfFake,
} from './fake.js'

const user = 'soakp-user'
const key = '0123456789abcdef0123456789abcdef'
const address = '203.0.113.7'

export interface NamecheapRow {
  readonly Name: string
  readonly Type: string
  readonly Address: string
  readonly MXPref: string
  readonly TTL: string
}

export interface NamecheapFake extends DnsStage {
  readonly server: FakeServer
  readonly api: FakeApi
  readonly baseUrl: string
  /** By zone: its rows, further attributes of them by what the row says, and how its mail is handled. */
  readonly zones: Map<string, { rows: NamecheapRow[]; emailType: string; more?: (row: NamecheapRow) => Readonly<Record<string, string>> }>
  /** What everybody writes to, by name of the command. */
  count(command: string): number
  /** Runs right before the next call of a command is answered. */
  before(command: string, act: () => void): void
  /** The next call of a command gets this answer. */
  answerNext(command: string, reply: Reply): void
}

/** In no list, but opens: shared by another account. */
export const sharedDomain = 'shared.co.uk'
/** Registered here, served by others. */
export const elsewhereDomain = 'elsewhere.test'

const asAttribute = (value: string) =>
  value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
const element = (name: string, attributes: Readonly<Record<string, string>>) =>
  `<${name}${Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${asAttribute(value)}"`)
    .join('')} />`

function envelope(command: string, inner: string, errors = ''): Reply {
  const body = `<?xml version="1.0" encoding="utf-8"?>\r\n<ApiResponse Status="${errors === '' ? 'OK' : 'ERROR'}" xmlns="http://api.namecheap.com/xml.response">\r\n  ${
    errors === '' ? '<Errors />' : `<Errors>\r\n    ${errors}\r\n  </Errors>`
  }\r\n  <Warnings />\r\n  <RequestedCommand>${command.toLowerCase()}</RequestedCommand>\r\n  <CommandResponse Type="${command}">\r\n    ${inner}\r\n  </CommandResponse>\r\n  <Server>PHX01SBAPIEXT02</Server>\r\n  <GMTTimeDifference>--4:00</GMTTimeDifference>\r\n  <ExecutionTime>1.228</ExecutionTime>\r\n</ApiResponse>`
  return { status: 200, body, headers: { 'content-type': 'text/xml; charset=utf-8' } }
}

export const namecheapError = (code: string, words: string): Reply => envelope('', '', `<Error Number="${code}">${words}</Error>`)

/**
 * https://www.namecheap.com/support/api/ and recorded exchanges: one address, XML, errors with status 200; `setHosts` replaces all rows and, where it is not told, how mail is
 * handled.
 */
export async function fakeNamecheap(t: Test): Promise<NamecheapFake> {
  const counts = new Map<string, number>()
  const acts = new Map<string, (() => void)[]>()
  const planned = new Map<string, Reply[]>()
  const rows = (): NamecheapRow[] => [
    { Name: '@', Type: 'MX', Address: 'mail.example.net.', MXPref: '7', TTL: '1799' },
    { Name: '@', Type: 'CAA', Address: '0 issue "letsencrypt.org"', MXPref: '10', TTL: '1800' },
    { Name: 'www', Type: 'CNAME', Address: 'parkingpage.namecheap.com.', MXPref: '10', TTL: '1800' },
    { Name: 'old', Type: 'URL301', Address: 'https://example.net/?a=1&b=<2>', MXPref: '10', TTL: '60' },
    { Name: '@', Type: 'TXT', Address: 'v=spf1 +mx include:"a+b" -all', MXPref: '10', TTL: '1799' },
    { Name: 'dup', Type: 'A', Address: '192.0.2.1', MXPref: '10', TTL: '1799' },
    { Name: 'dup', Type: 'A', Address: '192.0.2.1', MXPref: '10', TTL: '1799' },
  ]
  const all = [...Array.from({ length: 130 }, (_, i) => `more-${i}.test`), ...fakeZones, elsewhereDomain]
  const zones: NamecheapFake['zones'] = new Map([...all, sharedDomain].map(zone => [zone, { rows: rows(), emailType: 'MX' }]))
  let hostId = 746_360

  const commands: Readonly<Record<string, (form: URLSearchParams) => Reply>> = {
    'namecheap.domains.getList'(form) {
      const found = all.filter(zone => zone.includes(form.get('SearchTerm') ?? ''))
      const size = Number(form.get('PageSize'))
      assert.ok(form.get('ListType') === 'ALL' && size >= 10 && size <= 100)
      const { items } = page(found, Number(form.get('Page')), size)
      const list = items.map(Name =>
        element('Domain', { ID: '57579', Name, User: user, IsExpired: 'false', IsOurDNS: String(Name !== elsewhereDomain) }),
      )
      const paging = `<Paging><TotalItems>${found.length}</TotalItems><CurrentPage>${form.get('Page')}</CurrentPage><PageSize>${size}</PageSize></Paging>`
      return envelope('namecheap.domains.getList', `<DomainGetListResult>${list.join('\r\n')}</DomainGetListResult>${paging}`)
    },
    'namecheap.domains.dns.getHosts'(form) {
      const { domain, zone } = zoneOf(form)
      const hosts = zone.rows.map(row =>
        element('host', {
          HostId: String(hostId++),
          ...row,
          AssociatedAppTitle: '',
          FriendlyName: row.Type === 'CNAME' ? 'CNAME Record' : '',
          IsActive: 'true',
          IsDDNSEnabled: 'false',
          ...zone.more?.(row),
        }),
      )
      const head = `<DomainDNSGetHostsResult Domain="${domain}"${zone.emailType === '' ? '' : ` EmailType="${zone.emailType}"`} IsUsingOurDNS="${domain !== elsewhereDomain}">`
      return envelope('namecheap.domains.dns.getHosts', `${head}\r\n${hosts.join('\r\n')}\r\n</DomainDNSGetHostsResult>`)
    },
    'namecheap.domains.dns.setHosts'(form) {
      const { domain, zone } = zoneOf(form)
      const known = new Set([...common, 'SLD', 'TLD', 'EmailType'])
      const numbered = [...form.keys()].filter(name => !known.has(name))
      const count = numbered.length / 5
      const sent = Array.from({ length: count }, (_, index) => {
        const value = (name: string) => {
          const found = form.getAll(`${name}${index + 1}`)
          assert.equal(found.length, 1, `${name}${index + 1} stands there ${found.length} times`)
          return found[0] ?? ''
        }
        return { Name: value('HostName'), Type: value('RecordType'), Address: value('Address'), MXPref: value('MXPref'), TTL: value('TTL') }
      })
      for (const row of sent) assert.ok(Number(row.TTL) >= 60 && Number(row.TTL) <= 60_000)
      const emailType = form.get('EmailType') ?? 'NONE'
      zones.set(domain, { ...zone, emailType, rows: emailType === 'MX' ? sent : sent.filter(({ Type }) => Type !== 'MX') })
      return envelope(
        'namecheap.domains.dns.setHosts',
        `<DomainDNSSetHostsResult Domain="${domain}" IsSuccess="true"><Warnings /></DomainDNSSetHostsResult>`,
      )
    },
  }
  const common = ['ApiUser', 'ApiKey', 'UserName', 'ClientIp', 'Command']

  function zoneOf(form: URLSearchParams) {
    const [sld, domain] = [form.get('SLD') ?? '', `${form.get('SLD')}.${form.get('TLD')}`]
    assert.ok(!sld.includes('.'), 'the SLD is one label')
    const zone = zones.get(domain)
    if (zone === undefined) throw new Refused(namecheapError('2019166', `Domain ${domain} not found`))
    return { domain, zone }
  }

  const server = await serveFake(t, {
    'GET /getip': call => {
      noBody(call)
      return { status: 200, body: address, headers: { 'content-type': 'text/plain' } }
    },
    'POST /xml.response': (call: Call) => {
      assert.equal(call.target, '/xml.response', 'nothing stands in the query')
      const form = formBody(call)
      const command = form.get('Command') ?? ''
      counts.set(command, (counts.get(command) ?? 0) + 1)
      if (form.get('ApiUser') !== user || form.get('ApiKey') !== key)
        throw new Refused(namecheapError('1011102', 'API Key is invalid or API access has not been enabled'))
      assert.equal(form.get('UserName'), user)
      if (form.get('ClientIp') !== address) throw new Refused(namecheapError('1011150', `Invalid request IP: ${form.get('ClientIp')}`))
      acts.get(command)?.shift()?.()
      const early = planned.get(command)?.shift()
      const answer = commands[command]
      assert.ok(answer !== undefined, `no command ${command}`)
      return early ?? answer(form)
    },
  })
  const push = <T>(map: Map<string, T[]>, command: string, one: T) => {
    assert.ok(command in commands, `no command ${command}`)
    map.set(command, [...(map.get(command) ?? []), one])
  }
  const rowsOf = (zone: string) => zones.get(zone)?.rows ?? []
  return {
    server,
    zones,
    api: server.api,
    baseUrl: server.url,
    variables: { NAMECHEAP_API_USER: user, NAMECHEAP_API_KEY: key, NAMECHEAP_CLIENT_IP: address },
    count: command => counts.get(command) ?? 0,
    before: (command, act) => push(acts, command, act),
    answerNext: (command, reply) => push(planned, command, reply),
    values(name) {
      const zone = zoneOfFake(name)
      return rowsOf(zone)
        .filter(({ Type, Name }) => Type === 'TXT' && absolute(Name, zone) === name)
        .map(({ Address }) => Address)
    },
    put(name, value) {
      const zone = zones.get(zoneOfFake(name))
      zone?.rows.push({ Name: relative(name, zoneOfFake(name)), Type: 'TXT', Address: value, MXPref: '10', TTL: '7200' })
    },
  }
}
