import 'reflect-metadata'
import assert from 'node:assert/strict'
import { createHash, createVerify, X509Certificate } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cryptoProvider, PemConverter, X509CertificateGenerator } from '@peculiar/x509'
import type { Test } from 'tap'
import {
  absolute,
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
} from './fake.js'

const tenant = '11111111-2222-3333-4444-555555555555'
const client = '66666666-7777-8888-9999-000000000000'
const secret = 'azS8Q~0123456789+/abcdef-secret'
const subscription = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'
export const federatedToken = 'eyJhbGciOiJSUzI1NiJ9.federated.token'

export interface AzureFake extends SetFake {
  /** Everything but the way to authenticate. */
  readonly place: Readonly<Record<string, string>>
  /** A PEM file with certificate and key that the application knows. */
  certificateFile(): Promise<string>
  readonly url: string
  /** The strings of each value, as they are kept. */
  readonly strings: Map<string, readonly string[]>
}

const failed = (status: number, code: string, message: string): Reply => ({ status, body: { error: { code, message } } })
const refusedToken = (status: number, error: string, description: string): Reply => ({
  status,
  body: { error, error_description: `${description}\r\nTrace ID: 1\r\nCorrelation ID: 2`, error_codes: [Number(description.slice(6, 13))] },
})

/** https://learn.microsoft.com/rest/api/dns/: sets with etags, lists by link; with the services that give out tokens. Certificate assertions are verified. */
export async function fakeAzure(t: Test): Promise<AzureFake> {
  const sets = new FakeSets(false)
  let known: X509Certificate | undefined
  const zones = fakeZones.map(name => ({ name, zoneType: 'Public' }))
  zones.push({ name: 'deeper.sub.example.com', zoneType: 'Private' })
  const idOf = (name: string) => `/subscriptions/${subscription}/resourceGroups/dns-test/providers/Microsoft.Network/dnszones/${name}`
  const tokens = new Set<string>()
  const granted = (): Reply => {
    const token = `eyJ0eXAi.token-${tokens.size}`
    tokens.add(token)
    return { status: 200, body: { token_type: 'Bearer', expires_in: '3599', ext_expires_in: '3599', access_token: token } }
  }
  const open = (call: Call, apiVersion: string) => {
    assert.equal(call.query.get('api-version'), apiVersion)
    if (!tokens.has(call.headers.authorization?.replace('Bearer ', '') ?? ''))
      throw new Refused(failed(401, 'InvalidAuthenticationToken', 'The access token is invalid.'))
  }
  const zoneOf = (call: Call): string => {
    open(call, '2018-05-01')
    onlyQuery(call, ['api-version'])
    const { group, zone = '' } = call.params
    if (call.params.subscription !== subscription || group !== 'dns-test' || !fakeZones.includes(zone))
      throw new Refused(
        failed(
          404,
          'ParentResourceNotFound',
          `Can not perform requested operation on nested resource. Parent resource '${zone}' not found.`,
        ),
      )
    return zone
  }
  const nameOf = (call: Call) => absolute(call.params.name ?? '', zoneOf(call))
  const etag = (name: string) => `etag-${sets.get(name)?.version}`
  const matches = (call: Call, name: string) => {
    const [match, noneMatch] = [call.headers['if-match'], call.headers['if-none-match']]
    assert.ok((match === undefined) !== (noneMatch === undefined), 'exactly one condition')
    if (noneMatch !== undefined) assert.equal(noneMatch, '*')
    const good = match === undefined ? sets.get(name) === undefined : sets.get(name) !== undefined && match === etag(name)
    if (!good)
      throw new Refused(
        failed(412, 'PreconditionFailed', `The condition '${match ?? noneMatch}' in the If-Match header was not satisfied.`),
      )
  }
  const shown = (call: Call, name: string) => {
    const set = sets.get(name)
    const record = { value: '' }
    return {
      id: `${idOf(call.params.zone ?? '')}/TXT/${call.params.name}`,
      name: call.params.name,
      type: 'Microsoft.Network/dnszones/TXT',
      etag: etag(name),
      properties: {
        fqdn: `${name}.`,
        TTL: set?.ttl,
        TXTRecords: set?.values.map(value => ({ ...record, value: strings.get(value) ?? [value] })),
        targetResource: {},
        provisioningState: 'Succeeded',
      },
    }
  }
  const listed = (call: Call): Reply => {
    open(call, '2018-05-01')
    onlyQuery(call, ['api-version', '$skipToken'])
    if (call.params.subscription !== subscription)
      throw new Refused(failed(404, 'SubscriptionNotFound', `The subscription '${call.params.subscription}' could not be found.`))
    if (call.params.group !== undefined && call.params.group !== 'dns-test')
      throw new Refused(failed(404, 'ResourceGroupNotFound', `Resource group '${call.params.group}' could not be found.`))
    const from = Number(call.query.get('$skipToken') ?? 0)
    const value = zones.slice(from, from + 20).map(({ name, zoneType }) => ({
      id: idOf(name),
      name,
      type: 'Microsoft.Network/dnszones',
      etag: 'x',
      location: 'global',
      properties: { numberOfRecordSets: 2, zoneType },
    }))
    // a link that leads elsewhere must not be followed there
    const more =
      from + 20 < zones.length
        ? { nextLink: `https://management.azure.invalid${call.path}?api-version=2018-05-01&$skipToken=${from + 20}` }
        : {}
    return { status: 200, body: { value, ...more } }
  }
  const strings = new Map<string, readonly string[]>()
  const server = await serveFake(
    t,
    {
      'POST /:tenant/oauth2/v2.0/token': call => {
        const form = formBody(call)
        assert.equal(form.get('grant_type'), 'client_credentials')
        assert.equal(form.get('scope'), 'https://management.azure.com/.default')
        if (call.params.tenant !== tenant)
          return refusedToken(400, 'invalid_request', `AADSTS90002: Tenant '${call.params.tenant}' not found.`)
        if (form.get('client_id') !== client)
          return refusedToken(400, 'unauthorized_client', 'AADSTS700016: Application was not found in the directory.')
        if (form.has('client_secret'))
          return form.get('client_secret') === secret
            ? granted()
            : refusedToken(401, 'invalid_client', 'AADSTS7000215: Invalid client secret provided.')
        assert.equal(form.get('client_assertion_type'), 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
        const assertion = form.get('client_assertion') ?? ''
        if (assertion === federatedToken) return granted()
        const isSigned = /^[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}$/.test(assertion)
        const good = isSigned && known !== undefined && verifies(assertion, known, `${server.url}${call.path}`)
        return good
          ? granted()
          : refusedToken(
              401,
              'invalid_client',
              'AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application.',
            )
      },
      'GET /metadata/identity/oauth2/token': call => {
        assert.equal(call.headers.metadata, 'true')
        assert.equal(call.query.get('api-version'), '2018-02-01')
        assert.equal(call.query.get('resource'), 'https://management.azure.com/')
        return granted()
      },
      'GET /app-service/token': call => {
        assert.equal(call.headers['x-identity-header'], 'identity-header-secret')
        assert.equal(call.query.get('api-version'), '2019-08-01')
        return granted()
      },
      'GET /subscriptions': call => {
        open(call, '2020-01-01')
        return { status: 200, body: { value: [{ subscriptionId: subscription, state: 'Enabled' }] } }
      },
      'GET /subscriptions/:subscription/providers/Microsoft.Network/dnsZones': listed,
      'GET /subscriptions/:subscription/resourceGroups/:group/providers/Microsoft.Network/dnsZones': listed,
      ...Object.fromEntries(
        ['dnszones', 'dnsZones'].flatMap(folder => {
          const path = `/subscriptions/:subscription/resourceGroups/:group/providers/Microsoft.Network/${folder}/:zone/TXT/:name`
          const get = (call: Call): Reply => {
            const name = nameOf(call)
            return sets.get(name) === undefined
              ? failed(404, 'NotFound', `The resource record '${call.params.name}' does not exist in resource group 'dns-test'.`)
              : { status: 200, body: shown(call, name) }
          }
          const put = (call: Call): Reply => {
            const name = nameOf(call)
            const { properties } = jsonBody(call, ['properties'])
            const { TTL: ttl, TXTRecords: records } = properties as { TTL: number; TXTRecords: { value: string[] }[] }
            assert.deepEqual(Object.keys(properties as object).sort(), ['TTL', 'TXTRecords'])
            assert.ok(ttl >= 1 && records.length > 0)
            matches(call, name)
            const created = sets.get(name) === undefined
            for (const { value } of records) strings.set(value.join(''), value)
            sets.set(
              name,
              records.map(({ value }) => value.join('')),
              ttl,
            )
            return { status: created ? 201 : 200, body: shown(call, name) }
          }
          const remove = (call: Call): Reply => {
            const name = nameOf(call)
            if (sets.get(name) === undefined) return { status: 204 }
            matches(call, name)
            sets.set(name, [], 0)
            return { status: 200 }
          }
          return [
            [`GET ${path}`, get],
            [`PUT ${path}`, put],
            [`DELETE ${path}`, remove],
          ]
        }),
      ),
    },
    noBody,
  )
  const place = {
    AZURE_SUBSCRIPTION_ID: subscription,
    AZURE_RESOURCE_GROUP: 'dns-test',
    AZURE_AUTHORITY_HOST: server.url,
    AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://127.0.0.1:1',
  }
  return {
    ...stageOfSets(server, sets, {
      variables: { ...place, AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: client, AZURE_CLIENT_SECRET: secret },
    }),
    place,
    strings,
    url: server.url,
    async certificateFile() {
      const pem = await selfSigned()
      known ??= new X509Certificate(pem)
      const file = join(t.testdir({}), 'azure.pem')
      writeFileSync(file, pem)
      chmodSync(file, 0o600)
      return file
    },
  }
}

function verifies(assertion: string, certificate: X509Certificate, audience: string): boolean {
  const [head = '', claims = '', signature = ''] = assertion.split('.')
  const { alg, x5t } = JSON.parse(Buffer.from(head, 'base64url').toString())
  assert.equal(alg, 'RS256')
  const { aud, iss, sub, exp, nbf, jti } = JSON.parse(Buffer.from(claims, 'base64url').toString())
  assert.deepEqual([aud, iss, sub], [audience, client, client])
  assert.ok(exp - nbf <= 600 && Math.abs(nbf - Date.now() / 1000) < 60 && String(jti).length > 30)
  if (x5t !== createHash('sha1').update(certificate.raw).digest('base64url')) return false
  return createVerify('RSA-SHA256').update(`${head}.${claims}`).verify(certificate.publicKey, Buffer.from(signature, 'base64url'))
}

export async function selfSigned(): Promise<string> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }
  const { subtle } = cryptoProvider.get()
  const keys = await subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=soakp',
    keys,
    notAfter: new Date(Date.now() + 86_400_000),
  })
  return `${certificate.toString('pem')}\n${PemConverter.encode(await subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')}\n`
}
