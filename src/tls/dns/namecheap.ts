import { isIPv4 } from 'node:net'
import { getDomain } from 'tldts'
import { SoakpError } from '../../errors.js'
import { type ApiReply, type ApiRequest, openApi } from './api/api.js'
import { field, number, text } from './api/fields.js'
import { readXmlWhole, several } from './api/xml.js'
import { describeRow, type HostRow, hostParameters, refuseWhatIsLost } from './namecheap-rows.js'
import type { DnsContext, DnsProvider, Zone } from './provider.js'
import { deepest, relativeName } from './records/values.js'
import { type WholeZone, wholeZoneAccount } from './records/whole-zone.js'
import { plainName, zoneMissing } from './records/zones.js'

interface NamecheapZone extends WholeZone<HostRow> {
  readonly emailType: string
}

/** Numbers of the API’s errors. Source: https://www.namecheap.com/support/api/error-codes/ */
const badCredentials = new Set(['1010101', '1010102', '1011101', '1011102', '1017101', '1017103', '1019103', '1016103', '1030408'])
const badAddress = new Set(['1010105', '1011105', '1011147', '1011150', '1017105', '1017150'])
const noSuchDomain = new Set(['2016166', '2019166', '2030166', '3016166', '3019166'])
const tooFast = '500000'

export const namecheap: DnsProvider = {
  id: 'namecheap',
  title: 'Namecheap',
  link: 'https://www.namecheap.com/support/api/methods/domains-dns/set-hosts/',
  aliases: [],
  prefixes: ['NAMECHEAP'],
  settings: [
    { name: 'NAMECHEAP_API_USER', required: true, what: 'The user name of the account.' },
    {
      name: 'NAMECHEAP_API_KEY',
      hidden: true,
      required: true,
      what: 'The API key: Profile, Tools, Business & Dev Tools, Namecheap API access.',
    },
    {
      name: 'NAMECHEAP_CLIENT_IP',
      what: 'The public IPv4 address of this machine, as the API sees it. Without it, dynamicdns.park-your-domain.com is asked.',
    },
    { name: 'NAMECHEAP_SANDBOX', what: '`true` for the sandbox, which has accounts of its own.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 60, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 3600, intervalSeconds: 15 },
  notes: [
    'API access has to be switched on (Profile, Tools), which Namecheap does for accounts with 20 domains, 50 dollars of balance, or 50 dollars spent in two years; and this machine’s IPv4 address has to be on the list of allowed ones there.',
    'The API writes a zone as a whole. Each write carries every row with its TTL and MX preference, and the mail setting; then the zone is read again, and what was there has to be there as it was. A zone with a row that the API cannot write back (one that is switched off, or has dynamic DNS) is left alone, with an error that names the row.',
    'The API does not show SRV records made in the control panel, and a write may lose them: for such a zone, and wherever a lost row would hurt, point `_acme-challenge` by a CNAME into a zone at another DNS provider.',
    'Do not change the zone in the control panel while a certificate is issued.',
    'A record may take up to an hour until it is seen.',
  ],
  open(context) {
    const ask = commands(context)
    return { zoneOf: name => zoneOf(ask, name), ...account(ask, context) }
  },
}

type Ask = (
  command: string,
  parameters?: Readonly<Record<string, string>>,
  request?: Pick<ApiRequest, 'accept' | 'idempotent'>,
) => Promise<ApiReply>

/** All commands are POSTs to one address, the credentials in the body: in a URL they would lie in logs. */
function commands(context: DnsContext): Ask {
  const api = openApi(context, {
    base: context.setting('NAMECHEAP_SANDBOX') === 'true' ? 'https://api.sandbox.namecheap.com' : 'https://api.namecheap.com',
    headers: () => ({ accept: 'application/xml' }),
    credentials: ['NAMECHEAP_API_USER', 'NAMECHEAP_API_KEY'],
    // 20 a minute are what Namecheap’s own clients keep to; a run needs fewer than that
    perSecond: 1,
    refuses: reply => reply.status === 401 || reply.status === 403 || errors(reply).some(({ code }) => badCredentials.has(code)),
    // errors come with status 200
    fails: reply => field(response(reply), '@Status') !== 'OK',
    busy: reply => reply.status === 405 || errors(reply).some(({ code }) => code === tooFast),
    comeBackMs: reply => (reply.status === 405 || errors(reply).some(({ code }) => code === tooFast) ? 20_000 : undefined),
    complaint: (_, reply) => errors(reply).map(explained).join('; ') || undefined,
  })
  let address: Promise<string> | undefined
  return async (command, parameters = {}, { accept = [], idempotent = true } = {}) => {
    address ??= publicAddress(context)
    const user = context.setting('NAMECHEAP_API_USER') ?? ''
    const clientIp = await address.catch(error => {
      address = undefined
      throw error
    })
    const credentials = { ApiUser: user, ApiKey: context.setting('NAMECHEAP_API_KEY') ?? '', UserName: user, ClientIp: clientIp }
    return api.send('POST', '/xml.response', { form: { ...credentials, Command: command, ...parameters }, accept, idempotent })
  }
}

/** The API wants to be told from which address it is asked. */
async function publicAddress(context: DnsContext): Promise<string> {
  const given = context.setting('NAMECHEAP_CLIENT_IP')
  if (given !== undefined) {
    if (isIPv4(given)) return given
    throw new SoakpError('dns_settings_incomplete', `${context.named('NAMECHEAP_CLIENT_IP')} is no IPv4 address.`)
  }
  const mirror = openApi(context, {
    base: 'https://dynamicdns.park-your-domain.com',
    headers: () => ({}),
    credentials: [],
    refuses: () => false,
  })
  const found = (await mirror.send('GET', '/getip')).text.trim()
  if (isIPv4(found)) return found
  throw new SoakpError(
    'dns_settings_incomplete',
    `${new URL(mirror.base).host} does not tell this machine’s IPv4 address; set NAMECHEAP_CLIENT_IP.`,
  )
}

function account(ask: Ask, context: DnsContext) {
  return wholeZoneAccount<HostRow, NamecheapZone>(context, `namecheap ${context.setting('NAMECHEAP_API_USER')}`, {
    async read(zone) {
      const result = field(
        response(await ask('namecheap.domains.dns.getHosts', halves(zone.name))),
        'CommandResponse',
        'DomainDNSGetHostsResult',
      )
      if (field(result, '@IsUsingOurDNS') === 'false') throw servedElsewhere(zone.name)
      const rows = several(field(result, 'host') ?? field(result, 'Host')).map(asRow)
      const emailType = text(field(result, '@EmailType'))
      refuseWhatIsLost(zone.name, rows, emailType)
      return { rows, settings: [`EmailType ${emailType}`], emailType }
    },
    async write(zone, rows, { emailType }) {
      const parameters = { ...halves(zone.name), EmailType: emailType, ...hostParameters(rows) }
      // a second attempt could undo what somebody else has written since
      const reply = await ask('namecheap.domains.dns.setHosts', parameters, { idempotent: false })
      if (text(field(response(reply), 'CommandResponse', 'DomainDNSSetHostsResult', '@IsSuccess')).toLowerCase() === 'true') return
      throw new SoakpError(
        'dns_provider_failed',
        `${zone.name}: Namecheap took the rows and says that it did not write them (setHosts, IsSuccess).`,
      )
    },
    txt: (zone, row) => (row.Type === 'TXT' ? { name: absolute(row.Name ?? '', zone), value: row.Address ?? '' } : undefined),
    make: (zone, { name, value }) => ({
      Name: relativeName(name, zone.name) || '@',
      Type: 'TXT',
      Address: value,
      MXPref: '10',
      TTL: String(context.ttlSeconds),
    }),
    describe: describeRow,
  })
}

/** Among the domains of the account, found by the one that can be bought; a domain that others share with it is in no list, but opens. */
async function zoneOf(ask: Ask, name: string): Promise<Zone> {
  const registrable = getDomain(name, { validateHostname: false })
  if (registrable !== null) {
    const found = deepest(name, await domains(ask, registrable))
    if (found?.elsewhere) throw servedElsewhere(found.name)
    if (found !== undefined) return { name: found.name, id: found.name }
    const shared = await ask('namecheap.domains.dns.getHosts', halves(registrable), { accept: reply => errors(reply).some(notHere) })
    if (!errors(shared).some(notHere)) return { name: registrable, id: registrable }
  }
  const all = await domains(ask, undefined).catch(() => undefined)
  throw zoneMissing(
    name,
    all?.map(domain => domain.name),
  )
}

interface Domain {
  readonly name: string
  /** Not Namecheap’s own name servers answer for it: rows here mean nothing. */
  readonly elsewhere: boolean
}

async function domains(ask: Ask, search: string | undefined): Promise<Domain[]> {
  const all: Domain[] = []
  for (let page = 1; ; page++) {
    const parameters = { ListType: 'ALL', Page: String(page), PageSize: '100', ...(search === undefined ? {} : { SearchTerm: search }) }
    const result = field(response(await ask('namecheap.domains.getList', parameters)), 'CommandResponse')
    const found = several(field(result, 'DomainGetListResult', 'Domain'))
    all.push(...found.map(one => ({ name: plainName(text(field(one, '@Name'))), elsewhere: field(one, '@IsOurDNS') === 'false' })))
    if (found.length === 0 || page * 100 >= number(field(result, 'Paging', 'TotalItems'))) return all
  }
}

const servedElsewhere = (domain: string) =>
  new SoakpError('dns_zone_not_found', `${domain} is registered at Namecheap, but other name servers answer for it.`, {
    hint: 'take the DNS provider that those name servers belong to',
  })

/** As the API wants a domain: `example` and `co.uk`. */
function halves(domain: string): { readonly SLD: string; readonly TLD: string } {
  const at = domain.indexOf('.')
  return { SLD: domain.slice(0, at), TLD: domain.slice(at + 1) }
}

const absolute = (name: string, zone: Zone) => (name === '@' || name === '' ? zone.name : `${name.toLowerCase()}.${zone.name}`)

function asRow(value: unknown): HostRow {
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(
        Object.entries(value).flatMap(([name, one]) => (name.startsWith('@') ? [[name.slice(1), text(one)] as const] : [])),
      )
    : {}
}

const response = (reply: ApiReply) => field(readXmlWhole(reply.text), 'ApiResponse')

interface Complaint {
  readonly code: string
  readonly words: string
}

function errors(reply: ApiReply): Complaint[] {
  return several(field(response(reply), 'Errors', 'Error')).map(error => ({
    code: text(field(error, '@Number')),
    words: text(field(error, '#text')).trim() || text(error).trim(),
  }))
}

const notHere = ({ code }: Complaint) => noSuchDomain.has(code)

function explained({ code, words }: Complaint): string {
  const where = 'Profile, Tools, Business & Dev Tools, Namecheap API access'
  if (badAddress.has(code)) return `${words} (${code}); allow this machine’s IPv4 address under ${where}, Allowed IPs`
  return badCredentials.has(code) ? `${words} (${code}); API access is switched on under ${where}` : `${words} (${code})`
}
