import { SoakpError } from '../../errors.js'
import { acmeDns } from './acme-dns.js'
import { azure } from './azure.js'
import { bunny } from './bunny.js'
import { cloudflare } from './cloudflare.js'
import { desec } from './desec.js'
import { digitalocean } from './digitalocean.js'
import { dnsimple } from './dnsimple.js'
import { dnsmadeeasy } from './dnsmadeeasy.js'
import { duckdns } from './duckdns.js'
import { exec } from './exec.js'
import { gandi } from './gandi.js'
import { gehirn } from './gehirn.js'
import { godaddy } from './godaddy.js'
import { google } from './google.js'
import { hetzner } from './hetzner.js'
import { httpreq } from './httpreq.js'
import { linode } from './linode.js'
import { luadns } from './luadns.js'
import { manual } from './manual.js'
import { namecheap } from './namecheap.js'
import { ns1 } from './ns1.js'
import { ovh } from './ovh.js'
import { porkbun } from './porkbun.js'
import { powerdns } from './powerdns.js'
import type { DnsProvider } from './provider.js'
import { rfc2136 } from './rfc2136.js'
import { route53 } from './route53.js'
import { sakuracloud } from './sakuracloud.js'
import { vultr } from './vultr.js'

/** Every DNS provider, in the order in which they are listed. */
export const dnsProviders: readonly DnsProvider[] = [
  acmeDns,
  azure,
  bunny,
  cloudflare,
  desec,
  digitalocean,
  dnsmadeeasy,
  dnsimple,
  duckdns,
  exec,
  gandi,
  gehirn,
  godaddy,
  google,
  hetzner,
  httpreq,
  linode,
  luadns,
  manual,
  namecheap,
  ns1,
  ovh,
  porkbun,
  powerdns,
  rfc2136,
  route53,
  sakuracloud,
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
export { probeDns } from './proof/probe.js'
export { cleanDnsLeftovers, dnsSolver, journalFolderIn } from './proof/solver.js'
