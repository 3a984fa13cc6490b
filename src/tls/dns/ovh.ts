import { createHash } from 'node:crypto'
import { SoakpError } from '../../errors.js'
import { type Api, type OutgoingRequest, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import { renewed } from './auth/access-token.js'
import type { DnsContext, DnsProvider, Zone } from './provider.js'
import { byRecord } from './records/by-record.js'
import { relativeName } from './records/values.js'
import { plainName, zonesAsked, zonesListed } from './records/zones.js'

/** Address of the API, and of the service that turns OAuth2 credentials into tokens. Source: https://github.com/ovh/go-ovh */
const endpoints: Readonly<Record<string, { readonly api: string; readonly tokens?: string }>> = {
  'ovh-eu': { api: 'https://eu.api.ovh.com/1.0', tokens: 'https://www.ovh.com/auth/oauth2/token' },
  'ovh-ca': { api: 'https://ca.api.ovh.com/1.0', tokens: 'https://ca.ovh.com/auth/oauth2/token' },
  'ovh-us': { api: 'https://api.us.ovhcloud.com/1.0', tokens: 'https://us.ovhcloud.com/auth/oauth2/token' },
  'kimsufi-eu': { api: 'https://eu.api.kimsufi.com/1.0' },
  'kimsufi-ca': { api: 'https://ca.api.kimsufi.com/1.0' },
  'soyoustart-eu': { api: 'https://eu.api.soyoustart.com/1.0' },
  'soyoustart-ca': { api: 'https://ca.api.soyoustart.com/1.0' },
}

const ways = {
  applicationKey: ['OVH_APPLICATION_KEY', 'OVH_APPLICATION_SECRET', 'OVH_CONSUMER_KEY'],
  oauth2: ['OVH_CLIENT_ID', 'OVH_CLIENT_SECRET'],
  accessToken: ['OVH_ACCESS_TOKEN'],
} as const

/** What the API says in `errorCode` of each of the three parts of a signature. */
const guilty: Readonly<Record<string, readonly string[]>> = {
  INVALID_KEY: ['OVH_APPLICATION_KEY'],
  INVALID_SIGNATURE: ['OVH_APPLICATION_SECRET'],
  INVALID_CREDENTIAL: ['OVH_CONSUMER_KEY'],
  NOT_CREDENTIAL: ['OVH_CONSUMER_KEY'],
  NOT_GRANTED_CALL: ['OVH_CONSUMER_KEY'],
}

export const ovh: DnsProvider = {
  id: 'ovh',
  title: 'OVHcloud',
  link: 'https://eu.api.ovh.com/console/?section=%2Fdomain',
  aliases: ['kimsufi', 'soyoustart'],
  prefixes: ['OVH'],
  settings: [
    {
      name: 'OVH_ENDPOINT',
      byDefault: 'ovh-eu',
      what: 'Where the account is: `ovh-eu`, `ovh-ca`, `ovh-us`, `kimsufi-eu`, `kimsufi-ca`, `soyoustart-eu` or `soyoustart-ca`.',
    },
    {
      name: 'OVH_APPLICATION_KEY',
      hidden: true,
      required: 'application key',
      what: 'The application key, from https://api.ovh.com/createToken/.',
    },
    { name: 'OVH_APPLICATION_SECRET', hidden: true, required: 'application key', what: 'The application secret that belongs to the key.' },
    {
      name: 'OVH_CONSUMER_KEY',
      hidden: true,
      required: 'application key',
      what: 'The consumer key, which says what the application may do.',
    },
    { name: 'OVH_CLIENT_ID', required: 'OAuth2', what: 'The client id of a service account (OAuth2, grant type client credentials).' },
    { name: 'OVH_CLIENT_SECRET', hidden: true, required: 'OAuth2', what: 'The client secret of the service account.' },
    { name: 'OVH_ACCESS_TOKEN', hidden: true, required: 'access token', what: 'An access token that something else renews.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 60, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 2 },
  notes: [
    'The consumer key needs GET, POST and DELETE on `/domain/zone/*`; narrower, for one zone: `GET /domain/zone/`, and GET, POST and DELETE on `/domain/zone/example.com/*`.',
    'A service account needs the IAM actions `dnsZone:apiovh:get`, `dnsZone:apiovh:record/get`, `dnsZone:apiovh:record/create`, `dnsZone:apiovh:record/delete` and `dnsZone:apiovh:refresh` on the zone.',
    'A consumer key opens nothing until the account’s owner has confirmed it on the page that was shown when it was made.',
    'One way to authenticate at a time: settings of two ways are refused.',
  ],
  open(context) {
    const way = theOnlyWay(context)
    const base = endpoints[context.setting('OVH_ENDPOINT') ?? 'ovh-eu']?.api
    if (base === undefined) {
      throw new SoakpError('dns_settings_incomplete', `${context.named('OVH_ENDPOINT')} is none of ${Object.keys(endpoints).join(', ')}.`)
    }
    const options = { base, complaint: (body: unknown) => complaint(context, body) }
    const api = openApi(context, {
      ...options,
      headers:
        way === 'applicationKey'
          ? signed(context, openApi(context, { ...options, headers: () => ({}), credentials: [] }))
          : bearer(context, way),
      credentials: ways[way],
      refuses: ({ status, json }) =>
        status === 401 ||
        (status === 403 && text(field(json, 'errorCode')) !== 'QUERY_TIME_OUT') ||
        text(field(json, 'errorCode')) in guilty,
    })
    return {
      zoneOf: zonesOf(api, context.now),
      ...byRecord({
        async list(zone, name) {
          const query = { fieldType: 'TXT', subDomain: relativeName(name, zone.name) }
          const ids = list((await api.send('GET', `${pathOf(zone)}/record`, { query })).json)
          const found: { id: string; shown: string }[] = []
          for (const id of ids) {
            const { status, json } = await api.send('GET', `${pathOf(zone)}/record/${text(id)}`, { accept: [404] })
            if (status !== 404 && text(field(json, 'subDomain')) === query.subDomain)
              found.push({ id: text(id), shown: text(field(json, 'target')) })
          }
          return found
        },
        create(zone, { name, value }) {
          const json = { fieldType: 'TXT', subDomain: relativeName(name, zone.name), target: value, ttl: context.ttlSeconds }
          return api.send('POST', `${pathOf(zone)}/record`, { json })
        },
        delete: (zone, id) => api.send('DELETE', `${pathOf(zone)}/record/${id}`, { accept: [404] }),
        // nothing is published before
        publish: zone => api.send('POST', `${pathOf(zone)}/refresh`, { idempotent: true }),
      }),
    }
  },
}

function pathOf({ id }: Zone): string {
  return `/domain/zone/${encodeURIComponent(id)}`
}

/** From the list of all zones, where the credentials may see it; else one zone after the other. */
function zonesOf(api: Api, now: () => number): (name: string) => Promise<Zone> {
  let mayList = true
  const listed = zonesListed(now, async () => {
    const reply = await api.send('GET', '/domain/zone/', { accept: ({ json }) => text(field(json, 'errorCode')) === 'NOT_GRANTED_CALL' })
    mayList = reply.status === 200
    return mayList ? list(reply.json).map(zone => ({ name: plainName(text(zone)), id: text(zone) })) : []
  })
  const accept = (reply: { readonly status: number }) => reply.status === 404 || reply.status === 403
  const asked = zonesAsked(
    now,
    async candidate => {
      const { status } = await api.send('GET', `/domain/zone/${encodeURIComponent(candidate)}`, { accept })
      return status === 200 ? { name: candidate, id: candidate } : undefined
    },
    () => Promise.reject(new SoakpError('dns_credentials_refused')),
  )
  return async name => {
    const found = mayList
      ? await listed(name).catch(error => {
          if (mayList) throw error
        })
      : undefined
    return found ?? asked(name)
  }
}

function theOnlyWay(context: DnsContext): keyof typeof ways {
  const begun = (Object.keys(ways) as (keyof typeof ways)[]).filter(way => ways[way].some(name => context.setting(name) !== undefined))
  const [way, other] = begun
  if (way !== undefined && other === undefined) return way
  const names = begun.flatMap(one => ways[one].filter(name => context.setting(name) !== undefined))
  throw new SoakpError(
    'dns_settings_incomplete',
    `OVHcloud: ${context.named(...names)} belong to different ways to authenticate; set those of one way only.`,
  )
}

/**
 * `$1$` and the SHA-1 of everything that matters of a request. The clock that counts is the API's own, read once.
 *
 * Source: https://help.ovhcloud.com/csm/en-api-getting-started-ovhcloud-api
 */
function signed(context: DnsContext, anonymous: Api): (request: OutgoingRequest) => Promise<Record<string, string>> {
  let aheadSeconds: number | undefined
  return async ({ method, url, body }) => {
    if (aheadSeconds === undefined) {
      const { json } = await anonymous.send('GET', '/auth/time')
      if (number(json) === 0)
        throw new SoakpError('dns_provider_failed', `${new URL(anonymous.base).host} does not tell the time (/auth/time).`)
      aheadSeconds = number(json) - Math.floor(context.now() / 1000)
    }
    const timestamp = String(Math.floor(context.now() / 1000) + aheadSeconds)
    const [key = '', secret = '', consumer = ''] = ways.applicationKey.map(name => context.setting(name))
    const digest = createHash('sha1').update([secret, consumer, method, url.href, body, timestamp].join('+')).digest('hex')
    return { 'x-ovh-application': key, 'x-ovh-consumer': consumer, 'x-ovh-timestamp': timestamp, 'x-ovh-signature': `$1$${digest}` }
  }
}

function bearer(context: DnsContext, way: 'oauth2' | 'accessToken'): () => Promise<Record<string, string>> {
  const token = renewed(context.now, async () => {
    const endpoint = context.setting('OVH_ENDPOINT') ?? 'ovh-eu'
    const tokens = endpoints[endpoint]?.tokens
    if (tokens === undefined)
      throw new SoakpError('dns_settings_incomplete', `OVHcloud: ${endpoint} has no OAuth2; take an application key.`)
    const service = openApi(context, {
      base: tokens.replace(/\/auth\/oauth2\/token$/, ''),
      headers: () => ({}),
      credentials: ways.oauth2,
      refuses: ({ status, json }) => status === 401 || status === 403 || text(field(json, 'error')) === 'invalid_client',
    })
    const form = {
      grant_type: 'client_credentials',
      client_id: context.setting('OVH_CLIENT_ID') ?? '',
      client_secret: context.setting('OVH_CLIENT_SECRET') ?? '',
      scope: 'all',
    }
    const { json } = await service.send('POST', '/auth/oauth2/token', { form, idempotent: true })
    return { token: text(field(json, 'access_token')), expiresAtMs: context.now() + number(field(json, 'expires_in')) * 1000 }
  })
  return async () => ({ authorization: `Bearer ${way === 'oauth2' ? (await token()).token : context.setting('OVH_ACCESS_TOKEN')}` })
}

function complaint(context: DnsContext, body: unknown): string | undefined {
  const words = text(field(body, 'message'))
  const code = text(field(body, 'errorCode'))
  const names = guilty[code]
  const which = names === undefined || context.setting('OVH_APPLICATION_KEY') === undefined ? '' : `; look at ${context.named(...names)}`
  return words === '' ? undefined : `${words}${code === '' ? '' : ` (${code})`}${which}`
}
