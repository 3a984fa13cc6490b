import { SoakpError } from '../../errors.js'
import { type Api, type ApiReply, openApi } from './api/api.js'
import { field, number, text } from './api/fields.js'
import { escapeXml, readXml, several } from './api/xml.js'
import { awsCredentials, awsSettings } from './auth/aws-credentials.js'
import { awsError, awsHeaders } from './auth/aws-sts.js'
import type { DnsAccount, DnsContext, DnsProvider, Zone } from './provider.js'
import { type SetChange, StaleSet, setAccount } from './records/sets.js'
import { quote, unquote } from './records/values.js'
import { plainName, zoneMissing, zonesAsked } from './records/zones.js'

interface Stored {
  readonly ttl: number
  /** As Route 53 shows them: a deletion has to match to the letter. */
  readonly shown: readonly string[]
}

const policy = `{ "Version": "2012-10-17", "Statement": [
  { "Effect": "Allow", "Action": "route53:ListHostedZonesByName", "Resource": "*" },
  { "Effect": "Allow", "Action": "route53:GetChange", "Resource": "arn:aws:route53:::change/*" },
  { "Effect": "Allow", "Action": "route53:ListResourceRecordSets", "Resource": "arn:aws:route53:::hostedzone/ZONE_ID" },
  { "Effect": "Allow", "Action": "route53:ChangeResourceRecordSets", "Resource": "arn:aws:route53:::hostedzone/ZONE_ID",
    "Condition": { "ForAllValues:StringEquals": {
      "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["_acme-challenge.ai.example.com"],
      "route53:ChangeResourceRecordSetsRecordTypes": ["TXT"] } } } ] }`

/** What AWS says of each part of static credentials. */
const guilty: Readonly<Record<string, string>> = {
  InvalidClientTokenId: 'AWS_ACCESS_KEY_ID',
  SignatureDoesNotMatch: 'AWS_SECRET_ACCESS_KEY',
  ExpiredToken: 'AWS_SESSION_TOKEN',
}

/** A batch that does not fit what is stored any more. */
const stale = /already exists|was not found|do not match|Duplicate Resource Record/i

export const route53: DnsProvider = {
  id: 'route53',
  title: 'Amazon Route 53',
  link: 'https://docs.aws.amazon.com/Route53/latest/APIReference/',
  aliases: ['aws'],
  prefixes: ['AWS'],
  settings: [
    ...awsSettings,
    { name: 'AWS_HOSTED_ZONE_ID', what: 'The id of the hosted zone, so that zones need not be looked for.' },
    {
      name: 'AWS_WAIT_FOR_RECORD_SETS_CHANGED',
      byDefault: 'true',
      what: '`false`: Route 53 is not asked whether all its name servers have the change.',
    },
  ],
  capacity: 'set',
  ttl: { minSeconds: 0, defaultSeconds: 10 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 4 },
  notes: [
    `Least privilege, as an IAM policy (with AWS_HOSTED_ZONE_ID, \`route53:GetHostedZone\` on the zone takes the place of \`ListHostedZonesByName\`):\n\n\`\`\`json\n${policy}\n\`\`\``,
    'Credentials are found as AWS’s own tools find them: variables, web identity, profile, container, machine. Profiles that use SSO or `credential_process` are not understood.',
    'Route 53 answers five requests a second for the whole account.',
    'Private zones are passed over: a CA does not see them.',
    'China and GovCloud, which sign for other regions, are not covered.',
  ],
  open(context) {
    const source = awsCredentials(context)
    const api = openApi(context, {
      base: 'https://route53.amazonaws.com/2013-04-01',
      headers: async request => {
        const credentials = await source.read()
        return awsHeaders(request, { credentials, region: 'us-east-1', service: 'route53', nowMs: context.now() })
      },
      credentials: source.names,
      perSecond: 5,
      busy: ({ status, text: body }) =>
        status === 400 && /^(?:Throttling|ThrottlingException|PriorRequestNotComplete)$/.test(awsError(body).code),
      complaint: (_, { text: body }) => complaint(context, source.names, body),
    })
    return account(api, context)
  },
}

function complaint(context: DnsContext, names: readonly string[], body: string): string | undefined {
  const { code, words } = awsError(body)
  // AWS calls it a wrong signature too when the clocks differ by more than a few minutes
  if (/Signature expired|not yet current|RequestTimeTooSkewed/.test(`${words}`)) return `${words}; look at the clock of this machine`
  const name = guilty[code]
  return name !== undefined && names.includes(name) ? `${words}; look at ${context.named(name)}` : words
}

function account(api: Api, context: DnsContext): DnsAccount {
  const only = context.setting('AWS_HOSTED_ZONE_ID')
  return {
    zoneOf:
      only === undefined
        ? zonesAsked(
            context.now,
            candidate => publicZone(api, candidate),
            async () => (await allZones(api)).map(zone => zone.name),
          )
        : name => namedZone(api, name, only.replace('/hostedzone/', '')),
    ...setAccount<Stored>(context, 'route53', {
      read: (zone, name) => read(api, zone, name),
      async write(zone, changes) {
        const accept = (reply: ApiReply) => reply.status === 400 && stale.test(awsError(reply.text).words ?? '')
        const request = { text: batch(changes, context.ttlSeconds), contentType: 'application/xml', accept, idempotent: true }
        const reply = await api.send('POST', `/hostedzone/${zone.id}/rrset`, request)
        if (reply.status === 400) throw new StaleSet()
        const adds = changes.some(({ before, values }) => values.length > (before?.values.size ?? 0))
        if (adds && context.setting('AWS_WAIT_FOR_RECORD_SETS_CHANGED') !== 'false') await inSync(api, context, reply)
      },
    }),
  }
}

async function publicZone(api: Api, name: string): Promise<Zone | undefined> {
  const { text: body } = await api.send('GET', '/hostedzonesbyname', { query: { dnsname: name } })
  // the list starts at that name and goes on
  const found = zonesIn(body).filter(zone => zone.name === name)
  if (found.length < 2) return found[0]
  throw new SoakpError(
    'dns_settings_incomplete',
    `Amazon Route 53 has several public zones ${name}: ${found.map(zone => zone.id).join(', ')}.`,
    {
      hint: 'set AWS_HOSTED_ZONE_ID to the one that the domain is delegated to',
    },
  )
}

async function namedZone(api: Api, name: string, id: string): Promise<Zone> {
  const { text: body } = await api.send('GET', `/hostedzone/${encodeURIComponent(id)}`)
  const zone = zoneIn(field(readXml(body), 'GetHostedZoneResponse', 'HostedZone'))
  if (zone !== undefined && (name === zone.name || name.endsWith(`.${zone.name}`))) return zone
  throw zoneMissing(name, zone === undefined ? [] : [zone.name])
}

/** By the same call as one zone, so that it needs no further permission. */
async function allZones(api: Api): Promise<Zone[]> {
  const all: Zone[] = []
  let from: { readonly dnsname?: string; readonly hostedzoneid?: string } = {}
  for (;;) {
    const { text: body } = await api.send('GET', '/hostedzonesbyname', { query: from })
    all.push(...zonesIn(body))
    const next = field(readXml(body), 'ListHostedZonesByNameResponse')
    if (field(next, 'IsTruncated') !== 'true' || text(field(next, 'NextDNSName')) === '') return all
    from = { dnsname: text(field(next, 'NextDNSName')), hostedzoneid: text(field(next, 'NextHostedZoneId')) }
  }
}

function zonesIn(body: string): Zone[] {
  const zones = several(field(readXml(body), 'ListHostedZonesByNameResponse', 'HostedZones', 'HostedZone'))
  return zones.flatMap(zone => zoneIn(zone) ?? [])
}

function zoneIn(zone: unknown): Zone | undefined {
  if (zone === undefined || field(zone, 'Config', 'PrivateZone') === 'true') return undefined
  return { name: plainName(text(field(zone, 'Name'))), id: text(field(zone, 'Id')).replace('/hostedzone/', '') }
}

async function read(api: Api, zone: Zone, name: string): Promise<{ values: ReadonlySet<string>; stored: Stored } | undefined> {
  const query = { name: `${name}.`, type: 'TXT', maxitems: 1 }
  const { text: body } = await api.send('GET', `/hostedzone/${zone.id}/rrset`, { query })
  const sets = several(field(readXml(body), 'ListResourceRecordSetsResponse', 'ResourceRecordSets', 'ResourceRecordSet'))
  // this list too starts there and goes on
  const set = sets.find(set => field(set, 'Type') === 'TXT' && plainName(text(field(set, 'Name'))) === name)
  if (set === undefined) return undefined
  if (field(set, 'SetIdentifier') !== undefined) {
    throw new SoakpError(
      'dns_provider_failed',
      `${name} has TXT values with a routing policy at Route 53, which are not touched. Take another name, by CNAME.`,
    )
  }
  const shown = several(field(set, 'ResourceRecords', 'ResourceRecord')).map(record => text(field(record, 'Value')))
  return { values: new Set(shown.map(unquote)), stored: { ttl: number(field(set, 'TTL')), shown } }
}

/**
 * Every change in one batch, which is done whole or not at all. A set that is there is deleted as it was read and created anew, rather than overwritten: a deletion that does not match
 * what is stored is refused, and so no value is lost that somebody else wrote in between.
 */
function batch(changes: readonly SetChange<Stored>[], ttlSeconds: number): string {
  const parts = changes.flatMap(({ name, before, values }) => {
    const known = new Map(before?.stored.shown.map(shown => [unquote(shown), shown]))
    const after = values.map(value => known.get(value) ?? quote(value))
    const ttl = before?.stored.ttl ?? ttlSeconds
    return [
      ...(before === undefined ? [] : [change('DELETE', name, ttl, before.stored.shown)]),
      ...(after.length === 0 ? [] : [change('CREATE', name, ttl, after)]),
    ]
  })
  return `<?xml version="1.0" encoding="UTF-8"?><ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch><Changes>${parts.join('')}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>`
}

function change(action: 'CREATE' | 'DELETE', name: string, ttl: number, values: readonly string[]): string {
  const records = values.map(value => `<ResourceRecord><Value>${escapeXml(value)}</Value></ResourceRecord>`).join('')
  return `<Change><Action>${action}</Action><ResourceRecordSet><Name>${escapeXml(name)}.</Name><Type>TXT</Type><TTL>${ttl}</TTL><ResourceRecords>${records}</ResourceRecords></ResourceRecordSet></Change>`
}

/** Looked at for five minutes at most; then the name servers are asked anyhow. */
async function inSync(api: Api, context: DnsContext, reply: ApiReply): Promise<void> {
  let info = field(readXml(reply.text), 'ChangeResourceRecordSetsResponse', 'ChangeInfo')
  const id = text(field(info, 'Id')).replace('/change/', '')
  for (let looks = 0; field(info, 'Status') === 'PENDING' && looks < 75; looks++) {
    await context.delay(4000)
    const { text: body } = await api.send('GET', `/change/${encodeURIComponent(id)}`)
    info = field(readXml(body), 'GetChangeResponse', 'ChangeInfo')
  }
  if (field(info, 'Status') === 'PENDING') context.tell('Route 53 still calls the change pending; going on')
}
