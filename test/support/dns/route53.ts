import assert from 'node:assert/strict'
import { XMLParser } from 'fast-xml-parser'
import type { Test } from 'tap'
import {
  type Call,
  FakeSets,
  fakeZones,
  formBody,
  noBody,
  onlyQuery,
  Refused,
  type Reply,
  type SetFake,
  serveFake,
  stageOfSets,
  zoneOfFake,
} from './fake.js'
import { type Caller, sigV4Refusal } from './sigv4-check.js'

const namespace = 'https://route53.amazonaws.com/doc/2013-04-01/'
const key = { id: 'AKIAIOSFODNN7EXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }
const role = { id: 'ASIAROLE0EXAMPLE', secret: 'roleSecret/K7MDENG/bPxRfiCYEXAMPLEKEY', session: 'FwoGZXIvYXdzEBYaDExampleSessionToken==' }
export const roleArn = 'arn:aws:iam::123456789012:role/dns'
export const webToken = 'eyJhbGciOiJSUzI1NiJ9.web.identity'

export interface Route53Fake extends SetFake {
  readonly key: { readonly id: string; readonly secret: string }
  /** Variables that lead to nothing but what is given: no file of the machine's own, no metadata service. */
  readonly nowhere: Readonly<Record<string, string>>
  /** STS, metadata service and container service are here too. */
  readonly url: string
  /** How often a change is still pending when it is looked at. */
  pendingLooks: number
  /** A second public zone of the same name. */
  doubleZone(name: string): void
  /** A set with a routing policy. */
  route(name: string): void
}

const xml = (body: string, status = 200): Reply => ({
  status,
  body: `<?xml version="1.0"?>\n${body}`,
  headers: { 'content-type': 'text/xml' },
})
const failed = (status: number, code: string, message: string): Reply =>
  xml(
    `<ErrorResponse xmlns="${namespace}"><Error><Type>Sender</Type><Code>${code}</Code><Message>${escaped(message)}</Message></Error><RequestId>d9642252</RequestId></ErrorResponse>`,
    status,
  )
const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
const refusals: Readonly<Record<string, string>> = {
  MissingAuthenticationToken: 'Missing Authentication Token',
  InvalidClientTokenId: 'The security token included in the request is invalid.',
  SignatureDoesNotMatch:
    'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.',
}
const reader = new XMLParser({ parseTagValue: false, htmlEntities: true, isArray: name => name === 'Change' || name === 'ResourceRecord' })

interface Zone {
  readonly id: string
  readonly name: string
  readonly isPrivate: boolean
}

/**
 * https://docs.aws.amazon.com/Route53/latest/APIReference/: lists that begin at a name and go on, batches that are done whole or not at all, deletions that have to match TTL and values,
 * changes that are pending for a while; with STS and the services that give credentials to machines and containers. Signatures are verified.
 */
export async function fakeRoute53(t: Test): Promise<Route53Fake> {
  const sets = new FakeSets(true)
  const routed = new Set<string>()
  const callers: Record<string, Caller> = { [key.id]: { secret: key.secret }, [role.id]: { secret: role.secret, session: role.session } }
  const zones: Zone[] = fakeZones.flatMap((name, i) => [
    { id: `ZPRIVATE${i}`, name, isPrivate: true },
    { id: `Z0401209${i}`, name, isPrivate: false },
  ])
  zones.push({ id: 'ZPRIVATEDEEP', name: 'deeper.sub.example.com', isPrivate: true })
  const order = (name: string) => name.split('.').reverse().join('.')
  let change = { id: 'C0', looks: 0 }
  const authenticate = (call: Call, service: string, region: string) => {
    const refusal = sigV4Refusal(call, { region, service }, callers)
    if (refusal !== undefined) throw new Refused(failed(403, refusal, refusals[refusal] ?? refusal))
  }
  const zoneOf = ({ params }: Call): Zone => {
    const zone = zones.find(({ id }) => id === params.zone)
    if (zone === undefined) throw new Refused(failed(404, 'NoSuchHostedZone', `No hosted zone found with ID: ${params.zone}`))
    return zone
  }
  const shownZone = ({ id, name, isPrivate }: Zone) =>
    `<HostedZone><Id>/hostedzone/${id}</Id><Name>${name}.</Name><CallerReference>x</CallerReference><Config><Comment>Test</Comment><PrivateZone>${isPrivate}</PrivateZone></Config><ResourceRecordSetCount>3</ResourceRecordSetCount></HostedZone>`
  const shownSet = (name: string) => {
    const set = sets.get(name)
    const records = set?.values.map(value => `<ResourceRecord><Value>${escaped(value)}</Value></ResourceRecord>`).join('')
    const policy = routed.has(name) ? '<SetIdentifier>one</SetIdentifier><Weight>1</Weight>' : ''
    return `<ResourceRecordSet><Name>${name}.</Name><Type>TXT</Type>${policy}<TTL>${set?.ttl}</TTL><ResourceRecords>${records}</ResourceRecords></ResourceRecordSet>`
  }
  const apply = (zone: Zone, changes: readonly ChangeRequest[]) => {
    const faults: string[] = []
    const wanted = new Map<string, { values: readonly string[]; ttl: number } | undefined>()
    for (const { Action: action, ResourceRecordSet: set } of changes) {
      assert.deepEqual(Object.keys(set), ['Name', 'Type', 'TTL', 'ResourceRecords'])
      assert.equal(set.Type, 'TXT')
      const name = set.Name.replace(/\.$/, '')
      assert.equal(zoneOfFake(name), zone.name)
      const values = set.ResourceRecords.ResourceRecord.map(({ Value }) => Value)
      for (const value of values) assert.match(value, /^".*"$/s)
      const said = `resource record set [name='${name}.', type='TXT']`
      if (new Set(values).size < values.length) faults.push(`Duplicate Resource Record: '${values[0]}'`)
      const stored = wanted.has(name) ? wanted.get(name) : sets.get(name)
      if (action === 'DELETE') {
        if (stored === undefined) faults.push(`Tried to delete ${said} but it was not found`)
        else if (stored.ttl !== Number(set.TTL) || [...stored.values].sort().join() !== [...values].sort().join())
          faults.push(`Tried to delete ${said} but the values provided do not match the current values`)
        wanted.set(name, undefined)
      } else {
        assert.ok(action === 'CREATE' || action === 'UPSERT')
        if (action === 'CREATE' && stored !== undefined) faults.push(`Tried to create ${said} but it already exists`)
        wanted.set(name, { values, ttl: Number(set.TTL) })
      }
    }
    if (faults.length > 0) throw new Refused(failed(400, 'InvalidChangeBatch', `[${faults.join(', ')}]`))
    for (const [name, set] of wanted) sets.set(name, set?.values ?? [], set?.ttl ?? 0)
  }
  const changeInfo = () =>
    `<ChangeInfo><Id>/change/${change.id}</Id><Status>${change.looks > 0 ? 'PENDING' : 'INSYNC'}</Status><SubmittedAt>2022-04-19T20:56:32.695Z</SubmittedAt></ChangeInfo>`
  const given = () => ({
    AccessKeyId: role.id,
    SecretAccessKey: role.secret,
    Token: role.session,
    Expiration: new Date(Date.now() + 3600_000).toISOString(),
    Code: 'Success',
  })
  const assumed = (action: string) =>
    xml(
      `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><Credentials><AccessKeyId>${role.id}</AccessKeyId><SecretAccessKey>${role.secret}</SecretAccessKey><SessionToken>${role.session}</SessionToken><Expiration>${new Date(Date.now() + 3600_000).toISOString()}</Expiration></Credentials></${action}Result></${action}Response>`,
    )
  const server = await serveFake(
    t,
    {
      'GET /2013-04-01/hostedzonesbyname': call => {
        onlyQuery(call, ['dnsname', 'hostedzoneid'])
        const from = order((call.query.get('dnsname') ?? '').replace(/\.$/, ''))
        const fromId = call.query.get('hostedzoneid') ?? ''
        const sorted = [...zones].sort((a, b) => (order(a.name) + a.id < order(b.name) + b.id ? -1 : 1))
        const rest = sorted.filter(({ id, name }) => order(name) > from || (order(name) === from && id >= fromId))
        const next = rest[100]
        const more =
          next === undefined
            ? '<IsTruncated>false</IsTruncated>'
            : `<IsTruncated>true</IsTruncated><NextDNSName>${next.name}.</NextDNSName><NextHostedZoneId>${next.id}</NextHostedZoneId>`
        return xml(
          `<ListHostedZonesByNameResponse xmlns="${namespace}"><HostedZones>${rest.slice(0, 100).map(shownZone).join('')}</HostedZones>${more}<MaxItems>100</MaxItems></ListHostedZonesByNameResponse>`,
        )
      },
      'GET /2013-04-01/hostedzone/:zone': call =>
        xml(`<GetHostedZoneResponse xmlns="${namespace}">${shownZone(zoneOf(call))}<DelegationSet/></GetHostedZoneResponse>`),
      'GET /2013-04-01/hostedzone/:zone/rrset': call => {
        onlyQuery(call, ['name', 'type', 'maxitems'])
        const zone = zoneOf(call)
        const from = call.query.get('name')?.replace(/\.$/, '') ?? ''
        const names = sets.names(zone.name).sort((a, b) => (order(a) < order(b) ? -1 : 1))
        const found = names.filter(name => order(name) >= order(from)).slice(0, Number(call.query.get('maxitems') ?? 300))
        return xml(
          `<ListResourceRecordSetsResponse xmlns="${namespace}"><ResourceRecordSets>${found.map(shownSet).join('')}</ResourceRecordSets><IsTruncated>true</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>`,
        )
      },
      'POST /2013-04-01/hostedzone/:zone/rrset': call => {
        const zone = zoneOf(call)
        assert.equal(zone.isPrivate, false)
        assert.match(call.headers['content-type'] ?? '', /xml/)
        assert.match(call.body, new RegExp(`<ChangeResourceRecordSetsRequest xmlns="${namespace}">`))
        apply(zone, reader.parse(call.body).ChangeResourceRecordSetsRequest.ChangeBatch.Changes.Change)
        change = { id: `C${Number(change.id.slice(1)) + 1}`, looks: fake.pendingLooks }
        return xml(`<ChangeResourceRecordSetsResponse xmlns="${namespace}">${changeInfo()}</ChangeResourceRecordSetsResponse>`)
      },
      'GET /2013-04-01/change/:id': call => {
        assert.equal(call.params.id, change.id)
        change.looks -= 1
        return xml(`<GetChangeResponse xmlns="${namespace}">${changeInfo()}</GetChangeResponse>`)
      },
      'POST /sts/': call => {
        const form = formBody(call)
        assert.equal(form.get('Version'), '2011-06-15')
        const denied = failed(403, 'AccessDenied', `not authorized to perform: sts:${form.get('Action')}`)
        if (form.get('Action') === 'AssumeRoleWithWebIdentity') {
          assert.equal(call.headers.authorization, undefined)
          if (form.get('WebIdentityToken') !== webToken)
            return failed(400, 'InvalidIdentityToken', 'The web identity token could not be verified')
          return form.get('RoleArn') === roleArn ? assumed('AssumeRoleWithWebIdentity') : denied
        }
        authenticate(call, 'sts', 'eu-west-1')
        return form.get('RoleArn') === roleArn && form.get('ExternalId') === 'external-1' ? assumed('AssumeRole') : denied
      },
      'PUT /latest/api/token': call => {
        assert.equal(call.headers['x-aws-ec2-metadata-token-ttl-seconds'], '21600')
        return { status: 200, body: 'imds-session-token' }
      },
      'GET /latest/meta-data/iam/security-credentials/': call => {
        assert.equal(call.headers['x-aws-ec2-metadata-token'], 'imds-session-token')
        return { status: 200, body: 'machine-role' }
      },
      'GET /latest/meta-data/iam/security-credentials/machine-role': call => {
        assert.equal(call.headers['x-aws-ec2-metadata-token'], 'imds-session-token')
        return { status: 200, body: given() }
      },
      'GET /container/credentials': call => {
        if (call.headers.authorization !== 'container-token') return { status: 401, body: 'no' }
        return { status: 200, body: given() }
      },
    },
    call => {
      noBody(call)
      if (call.path.startsWith('/2013-04-01/')) authenticate(call, 'route53', 'us-east-1')
    },
  )
  const nothing = `${t.testdir({})}/nothing`
  const nowhere = {
    AWS_CONFIG_FILE: nothing,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1',
    AWS_ENDPOINT_URL_STS: `${server.url}/sts`,
    AWS_REGION: 'eu-west-1',
  }
  const fake: Route53Fake = {
    ...stageOfSets(server, sets, {
      path: '/2013-04-01',
      variables: { ...nowhere, AWS_ACCESS_KEY_ID: key.id, AWS_SECRET_ACCESS_KEY: key.secret },
    }),
    key,
    nowhere,
    url: server.url,
    pendingLooks: 0,
    doubleZone: name => void zones.push({ id: 'ZDOUBLE', name, isPrivate: false }),
    route: name => void routed.add(name),
  }
  return fake
}

interface ChangeRequest {
  readonly Action: string
  readonly ResourceRecordSet: {
    readonly Name: string
    readonly Type: string
    readonly TTL: string
    readonly ResourceRecords: { readonly ResourceRecord: readonly { readonly Value: string }[] }
  }
}
