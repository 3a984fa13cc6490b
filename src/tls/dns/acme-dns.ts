import { existsSync } from 'node:fs'
import { SoakpError } from '../../errors.js'
import { writeFileAtomic } from '../../lib/atomic-file.js'
import { openApi } from './api/api.js'
import type { DnsAccount, DnsContext, DnsProvider } from './provider.js'
import { serially } from './records/sets.js'
import { readCredentialFile } from './settings.js'

/** As goacmedns and lego keep it: by domain. */
interface Registration {
  readonly fulldomain: string
  readonly subdomain: string
  readonly username: string
  readonly password: string
  readonly server_url?: string
}

const storagePath = 'ACME_DNS_STORAGE_PATH'

/** A server of joohoi/acme-dns: it serves nothing but challenges, to which the names lead by CNAMEs that are made once by hand. */
export const acmeDns: DnsProvider = {
  id: 'acme-dns',
  title: 'acme-dns',
  link: 'https://github.com/joohoi/acme-dns',
  aliases: ['acmedns', 'joohoi'],
  prefixes: ['ACME_DNS'],
  settings: [
    { name: 'ACME_DNS_API_BASE', required: true, what: 'The address of the server, such as `https://auth.example.org`.' },
    {
      name: storagePath,
      required: true,
      what: 'The file that keeps the registrations, in the form of lego and goacmedns; made if it is not there.',
    },
    { name: 'ACME_DNS_ALLOWLIST', what: 'Address blocks (CIDR), with commas between, from which a new registration may be updated.' },
  ],
  capacity: 'two',
  ttl: { minSeconds: 1, defaultSeconds: 1 },
  propagation: { timeoutSeconds: 60, intervalSeconds: 2 },
  notes: [
    'The first order registers each name and ends with the CNAME that has to be made; the next ones find it by that CNAME. A name and its wildcard share a registration.',
    'The server keeps the two newest values and removes none; they mean nothing once they were used.',
  ],
  open(context) {
    const base = context.setting('ACME_DNS_API_BASE') ?? ''
    if (!URL.canParse(base)) throw new SoakpError('dns_settings_incomplete', `${context.named('ACME_DNS_API_BASE')} is no URL.`)
    return account(context, context.setting(storagePath) ?? '', base)
  },
}

function account(context: DnsContext, file: string, base: string): DnsAccount {
  const registrations = () => readRegistrations(context, file)
  return {
    async zoneOf(name) {
      const known = Object.values(registrations()).find(({ fulldomain }) => fulldomain === name)
      if (known !== undefined) return { id: known.subdomain, name: known.fulldomain }
      const [, domain] = /^_acme-challenge\.(.+)$/.exec(name) ?? []
      if (domain === undefined) {
        const there = Object.values(registrations()).map(({ fulldomain }) => fulldomain)
        throw new SoakpError('dns_zone_not_found', `${name} is no registration in ${file}, which has ${there.join(', ') || 'none'}.`)
      }
      const { fulldomain } = await registered(context, file, base, domain)
      throw new SoakpError('dns_zone_not_found', `${name} does not lead to the server yet: make the record ${name}. CNAME ${fulldomain}.`, {
        hint: `then try again; the registration is kept in ${file}`,
      })
    },
    async add(zone, records) {
      const registration = Object.values(registrations()).find(({ subdomain }) => subdomain === zone.id)
      if (registration === undefined) throw new SoakpError('dns_zone_not_found', `${zone.name} is no registration in ${file}.`)
      const { username, password, subdomain, server_url } = registration
      const api = openApi(context, {
        base: server_url || base,
        headers: () => ({ 'x-api-user': username, 'x-api-key': password }),
        credentials: [storagePath],
      })
      for (const txt of new Set(records.map(({ value }) => value)))
        await api.send('POST', '/update', { json: { subdomain, txt }, idempotent: true })
    },
    async remove() {
      // the API has no way to, and a value that was used proves nothing any more
    },
  }
}

/** The registration of a domain: the one there is, else a new one, kept before it is used. */
function registered(context: DnsContext, file: string, base: string, domain: string): Promise<Registration> {
  return serially(`acme-dns ${file}`, async () => {
    const known = readRegistrations(context, file)[domain]
    if (known !== undefined) return known
    const allowfrom = (context.setting('ACME_DNS_ALLOWLIST') ?? '')
      .split(',')
      .map(block => block.trim())
      .filter(block => block !== '')
    const api = openApi(context, { base, headers: () => ({}), credentials: ['ACME_DNS_API_BASE'] })
    const { json } = await api.send('POST', '/register', { json: allowfrom.length > 0 ? { allowfrom } : {} })
    if (!isRegistration(json))
      throw new SoakpError('dns_provider_failed', `${new URL(api.base).host} answers /register with no registration.`)
    const { fulldomain, subdomain, username, password } = json
    const made = { fulldomain: fulldomain.toLowerCase(), subdomain, username, password, server_url: base }
    // read again: another process may have added one meanwhile
    writeFileAtomic(file, `${JSON.stringify({ ...readRegistrations(context, file), [domain]: made }, null, 1)}\n`)
    return made
  })
}

function readRegistrations(context: DnsContext, file: string): Record<string, Registration> {
  if (!existsSync(file)) return {}
  const content = readCredentialFile(file, context.named(storagePath))
  try {
    const all: unknown = JSON.parse(content.expose())
    if (typeof all === 'object' && all !== null) {
      const entries = Object.entries(all).map(([domain, one]: [string, unknown]) => [domain, one] as const)
      return Object.fromEntries(
        entries.flatMap(([domain, one]) => (isRegistration(one) ? [[domain, { ...one, fulldomain: one.fulldomain.toLowerCase() }]] : [])),
      )
    }
  } catch {
    // said below, without the parser's words: they quote the text
  } finally {
    content.wipe()
  }
  throw new SoakpError(
    'dns_settings_incomplete',
    `${file}, named by ${context.named(storagePath)}, is not the JSON that acme-dns clients keep.`,
  )
}

function isRegistration(value: unknown): value is Registration {
  if (typeof value !== 'object' || value === null) return false
  const { fulldomain, subdomain, username, password }: Partial<Record<keyof Registration, unknown>> = value
  return [fulldomain, subdomain, username, password].every(text => typeof text === 'string' && text !== '')
}
