import { SoakpError } from '../../errors.js'
import { oneLine } from './api/redact.js'

/** A row of `getHosts`: its attributes as they are. Source: https://www.namecheap.com/support/api/methods/domains-dns/get-hosts/ */
export type HostRow = Readonly<Record<string, string>>

/** Of each row, the name in `getHosts` and the parameter of `setHosts`: all that the API takes back. */
const writable = [
  ['Name', 'HostName'],
  ['Type', 'RecordType'],
  ['Address', 'Address'],
  ['MXPref', 'MXPref'],
  ['TTL', 'TTL'],
] as const

const types = new Set(['A', 'AAAA', 'ALIAS', 'CAA', 'CNAME', 'FRAME', 'MX', 'MXE', 'NS', 'TXT', 'URL', 'URL301'])
const emailTypes = new Set(['NONE', 'MX', 'MXE', 'FWD', 'OX', 'GMAIL'])

/** Attributes that the API makes itself, or that mean nothing to name servers. */
const immaterial = new Set(['HostId', 'AssociatedAppTitle', 'FriendlyName'])
/** What an attribute has to be, where the API cannot write it. */
const asWritten: Readonly<Record<string, string>> = { IsActive: 'true', IsDDNSEnabled: 'false' }

/** Throws where writing these rows again would lose something of them. */
export function refuseWhatIsLost(zone: string, rows: readonly HostRow[], emailType: string): void {
  const faults = rows.flatMap(row => {
    const fault = whatIsLost(row)
    return fault === undefined ? [] : [`“${oneLine(describeRow(row), 120)}”, ${fault}`]
  })
  if (!emailTypes.has(emailType)) {
    faults.push(emailType === '' ? 'how mail is handled (EmailType), which the API does not tell' : `the mail setting ${emailType}`)
  }
  if (faults.length === 0) return
  throw new SoakpError(
    'dns_provider_failed',
    `${zone}: Namecheap’s API writes a zone as a whole and cannot write back ${faults.slice(0, 5).join('; ')}. Nothing was changed.`,
    { hint: 'point _acme-challenge by a CNAME into a zone at another DNS provider, and name that one with --dns' },
  )
}

function whatIsLost(row: HostRow): string | undefined {
  for (const [name] of writable) if (row[name] === undefined) return `which is shown without ${name}`
  if (!types.has(row.Type ?? '')) return `a kind that it does not take`
  // a line break or a tab in an attribute is read as a space
  if (/[\u0000-\u001f]/.test(row.Address ?? '')) return 'which holds a control character'
  for (const [name, value] of Object.entries(row)) {
    if (immaterial.has(name) || writable.some(([known]) => known === name)) continue
    if (value.toLowerCase() !== (asWritten[name] ?? '')) return `which has ${name}=${value}`
  }
  return undefined
}

/** The parameters of `setHosts` for rows, counted from 1. */
export function hostParameters(rows: readonly HostRow[]): Record<string, string> {
  return Object.fromEntries(
    rows.flatMap((row, index) => writable.map(([name, parameter]) => [`${parameter}${index + 1}`, row[name] ?? ''] as const)),
  )
}

/** What counts of a row. The API may add or drop the dot at the end of a host name, and writes names in lower case. */
export function describeRow(row: HostRow): string {
  const address = row.Type === 'TXT' ? row.Address : row.Address?.replace(/\.$/, '')
  return `${(row.Name || '@').toLowerCase()} ${row.TTL} ${row.Type} ${row.MXPref} ${address}`
}
