import assert from 'node:assert/strict'
import { createVerify, generateKeyPairSync } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import {
  type Call,
  FakeSets,
  fakeZones,
  formBody,
  jsonBody,
  noBody,
  onlyQuery,
  Refused,
  type Reply,
  type SetFake,
  serveFake,
  stageOfSets,
  zoneOfFake,
} from './fake.js'

const email = 'acme@manhattan.iam.gserviceaccount.com'
const dnsScope = 'https://www.googleapis.com/auth/ndev.clouddns.readwrite'
const platformScope = 'https://www.googleapis.com/auth/cloud-platform'
const refresh = { client_id: 'id-1.apps.googleusercontent.com', client_secret: 'GOCSPX-0123456789', refresh_token: '1//0123456789abcdef' }

export interface GoogleFake extends SetFake {
  /** The key file, and its text with something in it replaced. */
  keyFile(change?: Readonly<Record<string, unknown>>): string
  /** Variables that lead to nothing but what is given: no file of the machine's own, no metadata server. */
  readonly nowhere: Readonly<Record<string, string>>
  /** The metadata server. */
  readonly machine: Readonly<Record<string, string>>
  /** What `gcloud auth application-default login` writes, in a folder of gcloud. */
  userFolder(change?: Readonly<Record<string, unknown>>): string
  pendingLooks: number
}

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

const failed = (code: number, reason: string, message: string): Reply => ({
  status: code,
  body: { error: { code, message, errors: [{ message, domain: 'global', reason }] } },
})

/**
 * https://cloud.google.com/dns/docs/reference/rest/v1 and the services that give out tokens: assertions are verified with the public key, deletions have to match what is stored, a
 * private zone stands beside each public one of the same name.
 */
export async function fakeGoogle(t: Test): Promise<GoogleFake> {
  const sets = new FakeSets(true)
  const tokens = new Map<string, string>()
  const give = (scope: string): string => {
    const token = `ya29.${tokens.size}-${Buffer.from(scope).toString('base64url').slice(-20)}`
    tokens.set(token, scope)
    return token
  }
  const granted = (scope: string): Reply => ({ status: 200, body: { access_token: give(scope), expires_in: 3599, token_type: 'Bearer' } })
  const zones = fakeZones.flatMap(zone => {
    const one = { kind: 'dns#managedZone', dnsName: `${zone}.`, description: '', id: '699036609868956548' }
    return [
      { ...one, name: `private-${zone.replaceAll('.', '-')}`, visibility: 'private' },
      { ...one, name: zone.replaceAll('.', '-'), visibility: 'public' },
    ]
  })
  zones.push({ ...(zones[0] as (typeof zones)[0]), name: 'private-deeper', dnsName: 'deeper.sub.example.com.' })
  let pending: { id: string; looks: number } = { id: '', looks: 0 }
  let change = 215
  const open = ({ headers, params }: Call, project = 'manhattan') => {
    const scope = tokens.get(headers.authorization?.replace('Bearer ', '') ?? '')
    if (scope === undefined) throw new Refused(failed(401, 'authError', 'Request had invalid authentication credentials.'))
    assert.equal(scope, dnsScope)
    if (params.project !== project) throw new Refused(failed(403, 'forbidden', `Permission denied on project ${params.project}`))
  }
  const zoneOf = (call: Call): string => {
    open(call)
    const zone = zones.find(({ name }) => name === call.params.zone)
    if (zone === undefined)
      throw new Refused(failed(404, 'notFound', `The 'parameters.managedZone' resource named '${call.params.zone}' does not exist.`))
    assert.equal(zone.visibility, 'public')
    return zone.dnsName.slice(0, -1)
  }
  const shown = (name: string) => {
    const set = sets.get(name)
    return set === undefined ? [] : [{ kind: 'dns#resourceRecordSet', name: `${name}.`, type: 'TXT', ttl: set.ttl, rrdatas: set.values }]
  }
  const checkedSet = (set: unknown, zone: string) => {
    assert.ok(typeof set === 'object' && set !== null)
    assert.deepEqual(Object.keys(set).sort(), ['name', 'rrdatas', 'ttl', 'type'])
    const { name, rrdatas, ttl, type } = set as { name: string; rrdatas: string[]; ttl: number; type: string }
    assert.equal(type, 'TXT')
    assert.ok(name.endsWith('.') && zoneOfFake(name.slice(0, -1)) === zone, `${name} is absolute, in ${zone}`)
    for (const value of rrdatas) assert.match(value, /^".*"$/)
    assert.equal(new Set(rrdatas).size, rrdatas.length)
    return { name: name.slice(0, -1), rrdatas, ttl }
  }
  const server = await serveFake(
    t,
    {
      'POST /token': call => {
        const form = formBody(call)
        if (form.get('grant_type') === 'refresh_token') {
          const wrong = Object.entries(refresh).some(([name, value]) => form.get(name) !== value)
          return wrong
            ? { status: 400, body: { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' } }
            : granted(dnsScope)
        }
        assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer')
        const [head = '', claims = '', signature = ''] = form.get('assertion')?.split('.') ?? []
        assert.deepEqual(JSON.parse(Buffer.from(head, 'base64url').toString()), { alg: 'RS256', typ: 'JWT', kid: 'kid-1' })
        const { iss, scope, aud, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString())
        assert.equal(aud, `${server.url}/token`)
        assert.ok([dnsScope, platformScope].includes(scope))
        assert.ok(exp - iat <= 3600 && Math.abs(iat - Date.now() / 1000) < 60)
        const good = createVerify('RSA-SHA256').update(`${head}.${claims}`).verify(publicKey, Buffer.from(signature, 'base64url'))
        if (!good || iss !== email) return { status: 400, body: { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' } }
        return granted(scope)
      },
      'GET /computeMetadata/v1/instance/service-accounts/default/token': call => {
        assert.equal(call.headers['metadata-flavor'], 'Google')
        return granted(call.query.get('scopes') ?? '')
      },
      'GET /computeMetadata/v1/project/project-id': call => {
        assert.equal(call.headers['metadata-flavor'], 'Google')
        return { status: 200, body: 'manhattan', headers: { 'content-type': 'application/text' } }
      },
      'POST /dns/v1/projects/-/serviceAccounts/:account': call => {
        const scope = tokens.get(call.headers.authorization?.replace('Bearer ', '') ?? '')
        if (scope !== platformScope) return failed(403, 'forbidden', 'Request had insufficient authentication scopes.')
        assert.deepEqual(jsonBody(call, ['scope', 'lifetime']).scope, [dnsScope])
        if (call.params.account !== 'other@manhattan.iam.gserviceaccount.com:generateAccessToken')
          return failed(403, 'forbidden', "Permission 'iam.serviceAccounts.getAccessToken' denied")
        return { status: 200, body: { accessToken: give(dnsScope), expireTime: new Date(Date.now() + 3600_000).toISOString() } }
      },
      'GET /dns/v1/projects/:project/managedZones': call => {
        open(call)
        onlyQuery(call, ['dnsName', 'pageToken'])
        const found = zones.filter(zone => zone.dnsName === (call.query.get('dnsName') ?? zone.dnsName))
        const from = Number(call.query.get('pageToken') ?? 0)
        const next = from + 50 < found.length ? { nextPageToken: String(from + 50) } : {}
        return { status: 200, body: { kind: 'dns#managedZonesListResponse', managedZones: found.slice(from, from + 50), ...next } }
      },
      'GET /dns/v1/projects/:project/managedZones/:zone': call => {
        zoneOf(call)
        return { status: 200, body: zones.find(({ name }) => name === call.params.zone) }
      },
      'GET /dns/v1/projects/:project/managedZones/:zone/rrsets': call => {
        zoneOf(call)
        onlyQuery(call, ['name', 'type'])
        assert.equal(call.query.get('type'), 'TXT')
        return {
          status: 200,
          body: { kind: 'dns#resourceRecordSetsListResponse', rrsets: shown(call.query.get('name')?.slice(0, -1) ?? '') },
        }
      },
      'POST /dns/v1/projects/:project/managedZones/:zone/changes': call => {
        const zone = zoneOf(call)
        const { additions, deletions } = jsonBody(call, ['additions', 'deletions'])
        assert.ok(Array.isArray(additions) && Array.isArray(deletions) && additions.length + deletions.length > 0)
        const gone = deletions.map(set => checkedSet(set, zone))
        const added = additions.map(set => checkedSet(set, zone))
        for (const { name, rrdatas, ttl } of gone) {
          const stored = sets.get(name)
          if (
            stored === undefined ||
            stored.ttl !== ttl ||
            JSON.stringify([...stored.values].sort()) !== JSON.stringify([...rrdatas].sort())
          )
            throw new Refused(failed(412, 'conditionNotMet', `Precondition not met for 'entity.change.deletions[0]'`))
        }
        for (const { name } of added)
          if (sets.get(name) !== undefined && !gone.some(one => one.name === name))
            throw new Refused(
              failed(409, 'alreadyExists', `The resource 'entity.change.additions[0]' named '${name}. (TXT)' already exists`),
            )
        for (const { name } of gone) sets.set(name, [], 0)
        for (const { name, rrdatas, ttl } of added) sets.set(name, rrdatas, ttl)
        pending = { id: String(++change), looks: fake.pendingLooks }
        const status = pending.looks > 0 ? 'pending' : 'done'
        return {
          status: 200,
          body: { kind: 'dns#change', additions, deletions, startTime: '2018-07-09T13:19:51.145Z', id: pending.id, status },
        }
      },
      'GET /dns/v1/projects/:project/managedZones/:zone/changes/:change': call => {
        zoneOf(call)
        assert.equal(call.params.change, pending.id)
        pending.looks -= 1
        return { status: 200, body: { kind: 'dns#change', id: pending.id, status: pending.looks > 0 ? 'pending' : 'done' } }
      },
    },
    noBody,
  )
  const folder = t.testdir({})
  const nowhere = { GCE_METADATA_HOST: '127.0.0.1:1', CLOUDSDK_CONFIG: join(folder, 'nothing') }
  const keyFile = (changed: Readonly<Record<string, unknown>> = {}) =>
    JSON.stringify({
      type: 'service_account',
      project_id: 'manhattan',
      private_key_id: 'kid-1',
      private_key: pem,
      client_email: email,
      token_uri: `${server.url}/token`,
      ...changed,
    })
  const fake: GoogleFake = {
    ...stageOfSets(server, sets, { path: '/dns/v1', variables: { ...nowhere, GCE_SERVICE_ACCOUNT: keyFile() } }),
    keyFile,
    nowhere,
    machine: { ...nowhere, GCE_METADATA_HOST: new URL(server.url).host },
    userFolder(changed = {}) {
      const file = join(folder, 'application_default_credentials.json')
      writeFileSync(
        file,
        JSON.stringify({
          type: 'authorized_user',
          ...refresh,
          token_uri: `${server.url}/token`,
          quota_project_id: 'manhattan',
          ...changed,
        }),
      )
      chmodSync(file, 0o600)
      return folder
    },
    pendingLooks: 0,
  }
  return fake
}
