import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import type { DnsStage } from '../../contracts/dns-provider.js'
import type { FakeApi } from '../dns-api.js'
import {
  absolute,
  type Call,
  type FakeServer,
  fakeZones,
  jsonBody,
  noBody,
  Refused,
  type Reply,
  relative,
  serveFake,
  zoneOfFake,
} from './fake.js'

const token = '01234567-89ab-cdef-0123-456789abcdef'
const secret = 'sakura0123456789abcdefghijklmnopqrstuvwxyz'

export interface SakuraRow {
  readonly Name: string
  readonly Type: string
  readonly RData: string
  readonly TTL: number
}

export interface SakuraFake extends DnsStage {
  readonly server: FakeServer
  readonly api: FakeApi
  readonly baseUrl: string
  /** By zone. */
  readonly rows: Map<string, SakuraRow[]>
  /** From now on, what is written loses its last row: a provider’s mistake. */
  loseRows(): void
}

const failed = (status: number, error_code: string, error_msg: string): Reply => ({
  status,
  body: { is_fatal: true, serial: '4fe5513b', status: String(status), error_code, error_msg },
})

/** Recorded exchanges (dns-lexicon) and sacloud/iaas-api-go: a zone is an item with settings, written as a whole and guarded by a hash. */
export async function fakeSakura(t: Test): Promise<SakuraFake> {
  const rows = new Map<string, SakuraRow[]>(
    fakeZones.map(zone => [
      zone,
      [
        { Name: '@', Type: 'MX', RData: '10 mail.example.net.', TTL: 3600 },
        { Name: 'localhost', Type: 'A', RData: '127.0.0.1', TTL: 3600 },
        { Name: '@', Type: 'TXT', RData: 'v=spf1 -all', TTL: 300 },
      ],
    ]),
  )
  let losing = false
  const of = (zone: string) => rows.get(zone) ?? []
  const monitoring = { Enabled: 'True' }
  const hash = (zone: string) =>
    createHash('md5')
      .update(JSON.stringify(of(zone)))
      .digest('hex')
  const shown = (zone: string) => ({
    ID: String(112_900_000_000 + fakeZones.indexOf(zone)),
    Name: zone,
    Description: '',
    Settings: { DNS: { ResourceRecordSets: of(zone), MonitoringSuiteLog: monitoring } },
    SettingsHash: hash(zone),
    Status: { Zone: zone, NS: ['ns1.gslb4.sakura.ne.jp', 'ns2.gslb4.sakura.ne.jp'] },
    ServiceClass: 'cloud/dns',
    Provider: { ID: 2_000_002, Class: 'dns', Name: 'gslb4.sakura.ne.jp' },
    Tags: [],
  })
  const others = [{ ID: '1', Name: 'example.org', Status: { Zone: 'example.org' }, Provider: { Class: 'gslb' } }]
  const zoneOf = ({ params }: Call): string => {
    const zone = fakeZones[Number(params.id) - 112_900_000_000]
    if (zone === undefined) throw new Refused(failed(404, 'not_found', '対象が見つかりません。'))
    return zone
  }
  const root = '/cloud/zone/is1a/api/cloud/1.1'
  const server = await serveFake(
    t,
    {
      'GET /cloud/zone/is1a/api/cloud/1.1/commonserviceitem': call => {
        const query: unknown = JSON.parse(decodeURIComponent(call.target.slice(call.target.indexOf('?') + 1)))
        assert.deepEqual(Object.keys({ ...Object(query) }), ['Filter', 'From', 'Count'])
        const { Filter, From, Count } = { ...Object(query) }
        assert.deepEqual(Filter, { 'Provider.Class': 'dns' })
        const all = [...others, ...fakeZones.map(shown)]
        const items = all.slice(From, From + Math.min(Count, 30))
        return { status: 200, body: { From, Count: items.length, Total: all.length, CommonServiceItems: items, is_ok: true } }
      },
      'GET /cloud/zone/is1a/api/cloud/1.1/commonserviceitem/:id': call => ({
        status: 200,
        body: { CommonServiceItem: shown(zoneOf(call)), is_ok: true },
      }),
      'PUT /cloud/zone/is1a/api/cloud/1.1/commonserviceitem/:id': call => {
        const zone = zoneOf(call)
        const { CommonServiceItem: item } = jsonBody(call, ['CommonServiceItem'])
        const { Settings, SettingsHash } = { ...Object(item) }
        assert.deepEqual(Object.keys(Settings.DNS).sort(), ['MonitoringSuiteLog', 'ResourceRecordSets'])
        assert.deepEqual(Settings.DNS.MonitoringSuiteLog, monitoring)
        if (SettingsHash !== hash(zone)) throw new Refused(failed(409, 'conflict', '要求された操作を行えません。'))
        const sent: SakuraRow[] = Settings.DNS.ResourceRecordSets
        for (const row of sent) assert.deepEqual(Object.keys(row).sort(), ['Name', 'RData', 'TTL', 'Type'])
        rows.set(zone, losing ? sent.slice(1) : sent)
        return { status: 200, body: { CommonServiceItem: shown(zone), Success: true, is_ok: true } }
      },
    },
    call => {
      noBody(call)
      if (call.headers.authorization !== `Basic ${Buffer.from(`${token}:${secret}`).toString('base64')}`)
        throw new Refused(failed(401, 'unauthorized', '認証に失敗しました。'))
    },
  )
  return {
    server,
    rows,
    api: server.api,
    baseUrl: `${server.url}${root}`,
    variables: { SAKURACLOUD_ACCESS_TOKEN: token, SAKURACLOUD_ACCESS_TOKEN_SECRET: secret },
    values(name) {
      const zone = zoneOfFake(name)
      return of(zone)
        .filter(({ Type, Name }) => Type === 'TXT' && absolute(Name, zone) === name)
        .map(({ RData }) => RData)
    },
    put(name, value) {
      const zone = zoneOfFake(name)
      rows.set(zone, [...of(zone), { Name: relative(name, zone), Type: 'TXT', RData: value, TTL: 7200 }])
    },
    loseRows() {
      losing = true
    },
  }
}
