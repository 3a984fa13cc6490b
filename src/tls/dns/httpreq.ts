import { SoakpError } from '../../errors.js'
import { type Api, openApi } from './api/api.js'
import type { DnsAccount, DnsContext, DnsProvider, TxtRecord } from './provider.js'

/** A bridge of the user's own, spoken to as lego speaks to it: whatever program already answers there goes on to work. */
export const httpreq: DnsProvider = {
  id: 'httpreq',
  title: 'HTTP request',
  link: 'https://go-acme.github.io/lego/dns/httpreq/',
  aliases: ['webhook'],
  prefixes: ['HTTPREQ'],
  settings: [
    { name: 'HTTPREQ_ENDPOINT', required: true, what: 'The address to which `/present` and `/cleanup` are appended.' },
    {
      name: 'HTTPREQ_MODE',
      what: '`RAW`: the body is `{"domain","token","keyAuth"}`, and the server works out the rest. Else it is `{"fqdn","value"}`.',
    },
    { name: 'HTTPREQ_USERNAME', what: 'For Basic authentication.' },
    { name: 'HTTPREQ_PASSWORD', hidden: true, what: 'For Basic authentication.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 0, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 60, intervalSeconds: 2 },
  notes: [
    'POST with a JSON body, once for each value; `fqdn` ends with a dot and is where CNAMEs lead to. Any status from 200 to 299 is success. The server must take a value that is there already, and the removal of one that is not.',
  ],
  open(context) {
    const base = context.setting('HTTPREQ_ENDPOINT') ?? ''
    if (!/^https?:\/\//i.test(base) || !URL.canParse(base)) {
      throw new SoakpError('dns_settings_incomplete', `${context.named('HTTPREQ_ENDPOINT')} is no http or https URL.`)
    }
    const mode = context.setting('HTTPREQ_MODE')
    if (mode !== undefined && mode !== 'RAW')
      throw new SoakpError('dns_settings_incomplete', `${context.named('HTTPREQ_MODE')} is neither empty nor RAW.`)
    const api = openApi(context, { base, headers: () => authentication(context), credentials: ['HTTPREQ_USERNAME', 'HTTPREQ_PASSWORD'] })
    return account(api, mode === 'RAW')
  },
}

function authentication(context: DnsContext): Record<string, string> {
  const user = context.setting('HTTPREQ_USERNAME')
  const password = context.setting('HTTPREQ_PASSWORD')
  if (user === undefined && password === undefined) return {}
  return { authorization: `Basic ${Buffer.from(`${user ?? ''}:${password ?? ''}`).toString('base64')}` }
}

function account(api: Api, raw: boolean): DnsAccount {
  const send = async (path: string, records: readonly TxtRecord[]) => {
    for (const record of records)
      await api.send('POST', path, { json: raw ? rawBody(record) : { fqdn: `${record.name}.`, value: record.value }, idempotent: true })
  }
  return {
    // where a name lies is the server's business
    zoneOf: async name => ({ id: name, name }),
    add: (_, records) => send('/present', records),
    remove: (_, records) => send('/cleanup', records),
  }
}

function rawBody({ name, challenge }: TxtRecord): object {
  if (challenge === undefined) {
    throw new SoakpError('dns_provider_failed', `${name}: in RAW mode the server is told challenges only, so nothing else can be tried.`)
  }
  return { domain: challenge.domain, token: challenge.token, keyAuth: challenge.keyAuthorization }
}
