import { SoakpError } from '../../errors.js'
import { acmeDns } from './acme-dns.js'
import { azure } from './azure.js'
import { cloudflare } from './cloudflare.js'
import { desec } from './desec.js'
import { digitalocean } from './digitalocean.js'
import { dnsimple } from './dnsimple.js'
import { duckdns } from './duckdns.js'
import { exec } from './exec.js'
import { gandi } from './gandi.js'
import { google } from './google.js'
import { hetzner } from './hetzner.js'
import { httpreq } from './httpreq.js'
import { linode } from './linode.js'
import { manual } from './manual.js'
import { ovh } from './ovh.js'
import { porkbun } from './porkbun.js'
import { powerdns } from './powerdns.js'
import type { DnsProvider } from './provider.js'
import { rfc2136 } from './rfc2136.js'
import { route53 } from './route53.js'
import { vultr } from './vultr.js'

/** Every DNS provider, in the order in which they are listed. */
export const dnsProviders: readonly DnsProvider[] = [
  acmeDns,
  azure,
  cloudflare,
  desec,
  digitalocean,
  dnsimple,
  duckdns,
  exec,
  gandi,
  google,
  hetzner,
  httpreq,
  linode,
  manual,
  ovh,
  porkbun,
  powerdns,
  rfc2136,
  route53,
  vultr,
]

/** A provider by id or alias, in any case. Throws `dns_provider_unknown`, which lists them all. */
export function dnsProvider(name: string): DnsProvider {
  const wanted = name.toLowerCase()
  const found = dnsProviders.find(({ id, aliases }) => id === wanted || aliases.includes(wanted))
  if (found !== undefined) return found
  throw new SoakpError('dns_provider_unknown', `There are: ${dnsProviders.map(({ id }) => id).join(', ')}.`, {
    hint: 'exec and httpreq open what has no provider of its own here',
  })
}

export { openDnsAccount } from './account.js'
export type { DnsOptions } from './options.js'
export { probeDns } from './probe.js'
export { cleanDnsLeftovers, dnsSolver, journalFolderIn } from './solver.js'
