import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import { unquote } from '../../../src/tls/dns/records/values.js'
import {
  absolute,
  type Call,
  type DnsFake,
  type FakeRecord,
  FakeRecords,
  fakeZones,
  formBody,
  jsonBody,
  noBody,
  onlyQuery,
  Refused,
  type Reply,
  relative,
  serveFake,
  stageOf,
} from './fake.js'

const application = { key: 'AppKey0123456789', secret: 'AppSecret0123456789abcdefghijklmn', consumer: 'Consumer0123456789abcdefghijklmn' }
const oauth = { id: 'EU.0123456789abcdef', secret: 'oauth-secret-0123456789abcdef0123' }
const accessToken = 'eyJhbGciOiJFZERTQSJ9.access.token'

export interface OvhFake extends DnsFake {
  readonly oauth2: Readonly<Record<string, string>>
  readonly accessToken: Readonly<Record<string, string>>
  /** What is not published does not show in `values`. */
  readonly unpublished: () => boolean
  /** The consumer key may not list the zones any more. */
  forbidList(): void
}

const failed = (status: number, errorCode: string | undefined, message: string): Reply => ({
  status,
  body: {
    class: `Client::${status}`,
    message,
    ...(errorCode === undefined ? {} : { errorCode }),
    httpCode: `${status} -`,
    queryId: 'EU.ext-1',
  },
})

/**
 * https://eu.api.ovh.com/console/: a clock of its own, ten minutes ahead; requests signed over the whole URL; nothing is published without a refresh; every second target is
 * shown in quotes.
 */
export async function fakeOvh(t: Test): Promise<OvhFake> {
  const records = new FakeRecords(fakeZones, 5)
  let published: readonly FakeRecord[] = [...records.all()]
  let mayList = true
  const clock = () => Math.floor(Date.now() / 1000) + 600
  const zoneOf = ({ params }: Call): string => {
    if (!fakeZones.includes(params.zone ?? '')) throw new Refused(failed(404, undefined, 'This service does not exist'))
    return params.zone ?? ''
  }
  const shown = ({ id, zone, name, content, ttl, type }: FakeRecord) => ({
    id: Number(id),
    zone,
    subDomain: relative(name, zone, ''),
    fieldType: type,
    target: Number(id) % 2 === 0 ? content : `"${unquote(content)}"`,
    ttl,
  })
  const authenticate = (call: Call) => {
    const { headers } = call
    if (headers.authorization !== undefined) {
      assert.equal(headers['x-ovh-application'], undefined)
      if (headers.authorization === `Bearer ${accessToken}`) return
      throw new Refused(failed(401, undefined, 'You must login first'))
    }
    if (headers['x-ovh-application'] !== application.key) throw new Refused(failed(403, 'INVALID_KEY', 'This application key is invalid'))
    if (headers['x-ovh-consumer'] !== application.consumer)
      throw new Refused(failed(403, 'INVALID_CREDENTIAL', 'This credential is not valid'))
    const timestamp = headers['x-ovh-timestamp'] ?? ''
    if (!/^\d+$/.test(timestamp) || Math.abs(Number(timestamp) - clock()) > 60)
      throw new Refused(failed(400, 'QUERY_TIME_OUT', 'Query out of time'))
    const content = `${application.secret}+${application.consumer}+${call.method}+http://${headers.host}${call.target}+${call.body}+${timestamp}`
    if (headers['x-ovh-signature'] !== `$1$${createHash('sha1').update(content, 'utf8').digest('hex')}`)
      throw new Refused(failed(400, 'INVALID_SIGNATURE', 'Invalid signature'))
  }
  const server = await serveFake(
    t,
    {
      'GET /1.0/auth/time': () => ({ status: 200, body: clock() }),
      'POST /1.0/auth/oauth2/token': call => {
        const form = formBody(call)
        assert.equal(form.get('grant_type'), 'client_credentials')
        assert.equal(form.get('scope'), 'all')
        if (form.get('client_id') !== oauth.id || form.get('client_secret') !== oauth.secret)
          return { status: 400, body: { error: 'invalid_client', error_description: 'Client authentication failed' } }
        return { status: 200, body: { access_token: accessToken, token_type: 'Bearer', expires_in: 3599, scope: 'all' } }
      },
      'GET /1.0/domain/zone/': () =>
        mayList ? { status: 200, body: fakeZones } : failed(403, 'NOT_GRANTED_CALL', 'This call has not been granted'),
      'GET /1.0/domain/zone/:zone': call => ({ status: 200, body: { name: zoneOf(call), dnssecSupported: true } }),
      'GET /1.0/domain/zone/:zone/record': call => {
        onlyQuery(call, ['fieldType', 'subDomain'])
        const [type, name] = [call.query.get('fieldType'), call.query.get('subDomain')]
        const found = records
          .of(zoneOf(call))
          .filter(record => (type ?? record.type) === record.type && (name === null || relative(record.name, record.zone, '') === name))
        return { status: 200, body: found.map(({ id }) => Number(id)) }
      },
      'GET /1.0/domain/zone/:zone/record/:id': call => {
        const record = records.of(zoneOf(call)).find(({ id }) => id === call.params.id)
        return record === undefined ? failed(404, undefined, 'The requested object does not exist') : { status: 200, body: shown(record) }
      },
      'POST /1.0/domain/zone/:zone/record': call => {
        const zone = zoneOf(call)
        const { fieldType, subDomain, target, ttl } = jsonBody(call, ['fieldType', 'subDomain', 'target', 'ttl'])
        assert.equal(fieldType, 'TXT')
        assert.ok(typeof subDomain === 'string' && typeof target === 'string' && typeof ttl === 'number')
        return { status: 200, body: shown(records.add({ zone, type: 'TXT', name: absolute(subDomain, zone), content: target, ttl })) }
      },
      'DELETE /1.0/domain/zone/:zone/record/:id': call =>
        records.remove(zoneOf(call), call.params.id ?? '')
          ? { status: 200, body: 'null', headers: { 'content-type': 'application/json' } }
          : failed(404, undefined, 'The requested object does not exist'),
      'POST /1.0/domain/zone/:zone/refresh': call => {
        const zone = zoneOf(call)
        assert.equal(call.body, '')
        published = [...published.filter(record => record.zone !== zone), ...records.of(zone)]
        return { status: 200, body: 'null', headers: { 'content-type': 'application/json' } }
      },
    },
    call => {
      noBody(call)
      if (call.path.startsWith('/1.0/auth/')) assert.equal(call.headers['x-ovh-signature'], undefined)
      else authenticate(call)
    },
  )
  const stage = stageOf(server, records, {
    path: '/1.0',
    variables: {
      OVH_ENDPOINT: 'ovh-eu',
      OVH_APPLICATION_KEY: application.key,
      OVH_APPLICATION_SECRET: application.secret,
      OVH_CONSUMER_KEY: application.consumer,
    },
  })
  return {
    ...stage,
    values: name => published.filter(record => record.type === 'TXT' && record.name === name).map(({ content }) => unquote(content)),
    put(name, value) {
      stage.put(name, value)
      published = [...records.all()]
    },
    oauth2: { OVH_CLIENT_ID: oauth.id, OVH_CLIENT_SECRET: oauth.secret },
    accessToken: { OVH_ACCESS_TOKEN: accessToken },
    unpublished: () =>
      records.all().some(record => !published.includes(record)) || published.some(record => !records.all().includes(record)),
    forbidList() {
      mayList = false
    },
  }
}
