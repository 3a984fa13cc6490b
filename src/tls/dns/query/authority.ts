import { randomBytes } from 'node:crypto'
import { getServers, lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Answer } from 'dns-packet'
import { parse } from 'tldts'
import { SoakpError } from '../../../errors.js'
import { inZone } from '../records/values.js'
import { ask, type DnsQuestion, type DnsReply, DnsSilence, plain, type ServerAddress, showServer } from './wire.js'

/** How the DNS is asked. */
export interface DnsView {
  /** Resolvers that find name servers; the system's unless told. */
  readonly resolvers: readonly ServerAddress[]
  /** Where name servers listen: 53. */
  readonly nameServerPort: number
  readonly signal: AbortSignal
}

/** A name server by name, at one of its addresses. */
export interface NameServer extends ServerAddress {
  readonly name: string
}

/** Where a TXT record that is asked for under `name` really stands. */
export interface Place {
  readonly name: string
  /** The names that lead to it by CNAME, beginning with the one asked for; empty where it is that name itself. */
  readonly via: readonly string[]
  /** The zone, as the DNS has it. */
  readonly zone: string
  /** Every address of every name server that the zone or its parent names. */
  readonly servers: readonly NameServer[]
  /** Name servers that have no address. */
  readonly lost: readonly string[]
}

const longestChain = 16

/** The resolvers of the system, or those given as `HOST[:PORT]`, `[IPv6]:PORT` or a name. Throws `dns_name_refused` for one that is none. */
export async function resolversOf(given: readonly string[]): Promise<ServerAddress[]> {
  const all = given.length > 0 ? given : getServers()
  return Promise.all(all.map(resolver))
}

async function resolver(text: string): Promise<ServerAddress> {
  if (isIP(text) !== 0) return { host: text, port: 53 }
  const [, bracketed, name, port = '53'] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? name
  if (host === undefined) throw new SoakpError('dns_name_refused', `${text} is no resolver: write HOST, HOST:PORT or [IPV6]:PORT.`)
  if (isIP(host) !== 0) return { host, port: Number(port) }
  try {
    return { host: (await lookup(host)).address, port: Number(port) }
  } catch (cause) {
    throw new SoakpError('dns_name_refused', `The resolver ${host} has no address.`, { cause })
  }
}

/**
 * Follows CNAMEs to the name that holds the TXT record, and finds the zone and the name servers of that. Resolvers are asked about zones and servers only, never about the name itself:
 * they would remember that it does not exist. Throws `dns_name_refused` where CNAMEs go in a circle or too far, or the domain does not exist; `dns_not_published` where nobody answers.
 */
export async function locate(name: string, view: DnsView): Promise<Place> {
  let found: Found | undefined
  const chain = await follow(name, async current => {
    found = await descend(current, view)
    return found.target
  })
  const { zone = '', servers = [], lost = [] } = found ?? {}
  return { name: chain.at(-1) ?? name, via: chain.slice(0, -1), zone, servers, lost }
}

/** The same, where name servers cannot be reached: resolvers are asked about the name itself, and nothing is known of zone and servers. */
export async function locateByResolvers(name: string, view: DnsView): Promise<Place> {
  const chain = await follow(name, async current => targetOf((await askResolvers({ name: current, type: 'CNAME' }, view)).answers, current))
  return { name: chain.at(-1) ?? name, via: chain.slice(0, -1), zone: '', servers: [], lost: [] }
}

/** The name and the names it leads to, the last one being where it ends. */
async function follow(name: string, next: (name: string) => Promise<string | undefined>): Promise<string[]> {
  const chain = [name]
  for (;;) {
    const target = await next(chain.at(-1) ?? name)
    if (target === undefined) return chain
    const again = chain.includes(target)
    chain.push(target)
    if (again) throw new SoakpError('dns_name_refused', `Its CNAMEs go in a circle: ${chain.join(' → ')}.`)
    if (chain.length > longestChain)
      throw new SoakpError('dns_name_refused', `It leads on by more than ${longestChain} CNAMEs: ${chain.join(' → ')}.`)
  }
}

const memory = new WeakMap<DnsView, Map<string, unknown>>()

/** What was found out once under a view is not asked again: an order may have a hundred names in one zone. */
function remembered<T>(view: DnsView, what: string, find: () => Promise<T>): Promise<T> {
  const known: Map<string, unknown> = memory.get(view) ?? new Map()
  memory.set(view, known)
  // each key stands for one kind of thing
  const there = known.get(what) as Promise<T> | undefined
  if (there !== undefined) return there
  const found = find()
  known.set(what, found)
  return found
}

interface Found {
  readonly zone: string
  readonly servers: readonly NameServer[]
  readonly lost: readonly string[]
  /** The name is a CNAME to this one. */
  readonly target?: string
}

/** From a zone that resolvers know down to the one that holds `name`, asking authoritative servers only. */
async function descend(name: string, view: DnsView): Promise<Found> {
  let zone = await startingZone(name, view)
  let { servers, lost } = await remembered(view, zone, () => serversOf(zone, view))
  for (let depth = 0; depth < longestChain; depth++) {
    const reply = await askAny(servers, { name, type: 'SOA' }, view, zone)
    const target = targetOf(reply.answers, name)
    if (target !== undefined) return { zone, servers, lost, ...((await isWildcard(name, target, servers, view, zone)) ? {} : { target }) }
    const below = deeperZone(name, zone, reply)
    if (below === undefined) return { zone, servers, lost }
    const above = servers
    const next = await remembered(view, below, () => serversOf(below, view, above, reply))
    if (next.servers.length === 0)
      throw new SoakpError('dns_not_published', `No name server of ${below} has an address (${next.lost.join(', ')}).`)
    zone = below
    servers = next.servers
    lost = next.lost
  }
  throw new SoakpError('dns_name_refused', `${name} lies below too many delegations.`)
}

/**
 * Whether the CNAME is one that a `*` makes of every name there: it makes way as soon as the name itself has a record, so it leads nowhere that a CA would go.
 */
async function isWildcard(name: string, target: string, servers: readonly NameServer[], view: DnsView, zone: string): Promise<boolean> {
  const sibling = `${randomBytes(8).toString('hex')}${name.slice(name.indexOf('.'))}`
  const reply = await askAny(servers, { name: sibling, type: 'CNAME' }, view, zone)
  return targetOf(reply.answers, sibling) === target
}

/** The zone that a reply says it comes from or refers to, where that lies between `zone` and `name`. */
function deeperZone(name: string, zone: string, { answers, authorities }: DnsReply): string | undefined {
  const owners = [...answers, ...authorities].filter(({ type }) => type === 'SOA' || type === 'NS').map(record => plain(record.name))
  return owners.find(owner => owner !== zone && inZone(owner, zone) && inZone(name, owner))
}

/** A zone at or above `name` that resolvers know, as deep as can be told without asking them about `name`. */
async function startingZone(name: string, view: DnsView): Promise<string> {
  const labels = name.split('.')
  const parsed = parse(name, { validateHostname: false })
  const domain = parsed.domain ?? labels.slice(-2).join('.')
  const first = await remembered(view, `SOA ${domain}`, () => askResolvers({ name: domain, type: 'SOA' }, view))
  const owner = soaOwner(first)
  if (owner === domain) return domain
  // a zone of the house that only its own resolvers know, below the domain or above it
  for (let length = labels.length - 1; length > domain.split('.').length; length--) {
    const candidate = labels.slice(-length).join('.')
    if (candidate.startsWith('_')) continue
    const reply = await askResolvers({ name: candidate, type: 'SOA' }, view)
    if (reply.rcode === 'NOERROR' && soaOwner(reply) === candidate) return candidate
  }
  if (owner && inZone(domain, owner) && (first.rcode === 'NOERROR' || !parsed.isIcann)) return owner
  throw new SoakpError('dns_name_refused', `${domain} is no domain that the DNS knows (${first.rcode}).`, {
    hint: 'is it registered, and does it have name servers? A name that only resolvers of the house know needs --resolver',
  })
}

function soaOwner({ answers, authorities }: DnsReply): string | undefined {
  const soa = [...answers, ...authorities].find(({ type }) => type === 'SOA')
  return soa && plain(soa.name)
}

/** The name servers of a zone: those its parent names, those it names itself, with all their addresses. */
async function serversOf(
  zone: string,
  view: DnsView,
  parents?: readonly NameServer[],
  referral?: DnsReply,
): Promise<Pick<Found, 'servers' | 'lost'>> {
  const replies = referral ? [referral] : []
  // where there was no referral, the parent's own servers are asked; that a resolver knows nothing of them does no harm
  const above = parents ?? (await parentServers(zone, view))
  const asParent = await askAny(above, { name: zone, type: 'NS' }, view, zone).catch(ignoreSilence)
  if (asParent) replies.push(asParent)
  if (parents === undefined) replies.push(await askResolvers({ name: zone, type: 'NS' }, view))
  const first = await addressesOf(zone, replies, view)
  const own = await askAny(first.servers, { name: zone, type: 'NS' }, view, zone).catch(ignoreSilence)
  return own ? addressesOf(zone, [...replies, own], view) : first
}

async function parentServers(zone: string, view: DnsView): Promise<readonly NameServer[]> {
  const labels = zone.split('.')
  for (let cut = 1; cut <= labels.length; cut++) {
    const parent = labels.slice(cut).join('.')
    const reply = await askResolvers({ name: parent, type: 'NS' }, view).catch(ignoreSilence)
    if (reply && nameServers(reply, parent).length > 0) return (await addressesOf(parent, [reply], view)).servers.slice(0, 6)
  }
  return []
}

function nameServers(reply: DnsReply, zone: string): string[] {
  return [...reply.answers, ...reply.authorities]
    .filter(record => record.type === 'NS' && plain(record.name) === zone)
    .flatMap(record => (record.type === 'NS' ? plain(record.data) : []))
}

async function addressesOf(zone: string, replies: readonly DnsReply[], view: DnsView): Promise<Pick<Found, 'servers' | 'lost'>> {
  const names = [...new Set(replies.flatMap(reply => nameServers(reply, zone)))].sort()
  const glue = replies.flatMap(reply => reply.additionals)
  const found = await Promise.all(names.map(name => addresses(name, zone, glue, view)))
  const servers = new Map<string, NameServer>()
  names.forEach((name, index) => {
    for (const host of found[index] ?? []) servers.set(host, { name, host, port: view.nameServerPort })
  })
  return { servers: [...servers.values()], lost: names.filter((_, index) => found[index]?.length === 0) }
}

async function addresses(name: string, zone: string, glue: readonly Answer[], view: DnsView): Promise<string[]> {
  const given = hostsIn(glue, name)
  // what lies in the zone itself may be known to nobody else yet
  if (given.length > 0 && inZone(name, zone)) return given
  const replies = await Promise.all((['A', 'AAAA'] as const).map(type => askResolvers({ name, type }, view).catch(ignoreSilence)))
  const asked = replies.flatMap(reply => (reply ? reply.answers.flatMap(record => hostOf(record) ?? []) : []))
  return [...new Set([...given, ...asked])]
}

const hostsIn = (records: readonly Answer[], name: string) =>
  records.flatMap(record => (plain(record.name) === name ? (hostOf(record) ?? []) : []))

const hostOf = (record: Answer) => (record.type === 'A' || record.type === 'AAAA' ? record.data : undefined)

function targetOf(records: readonly Answer[], name: string): string | undefined {
  for (const record of records) if (record.type === 'CNAME' && plain(record.name) === plain(name)) return plain(record.data)
  return undefined
}

/** The first of these servers that answers with sense. */
async function askAny(servers: readonly NameServer[], question: DnsQuestion, view: DnsView, zone: string): Promise<DnsReply> {
  const said: string[] = []
  for (const server of servers) {
    try {
      const reply = await ask(server, question, view)
      if (reply.rcode === 'NOERROR' || reply.rcode === 'NXDOMAIN') return reply
      said.push(`${server.name} (${showServer(server)}) answers ${reply.rcode}`)
    } catch (error) {
      if (!(error instanceof DnsSilence)) throw error
      said.push(`${server.name} (${showServer(server)}) ${error.message}`)
    }
  }
  throw new SoakpError('dns_not_published', `No name server of ${zone} can be asked: ${said.join('; ') || 'none has an address'}.`)
}

/** What the resolvers know; the first one that answers counts. */
export async function askResolvers(question: DnsQuestion, view: DnsView): Promise<DnsReply> {
  const said: string[] = []
  for (const server of view.resolvers) {
    try {
      const reply = await ask(server, { ...question, recursion: true }, view)
      if (reply.rcode === 'NOERROR' || reply.rcode === 'NXDOMAIN') return reply
      said.push(`${showServer(server)} answers ${reply.rcode}`)
    } catch (error) {
      if (!(error instanceof DnsSilence)) throw error
      said.push(`${showServer(server)} ${error.message}`)
    }
  }
  throw new SoakpError(
    'dns_not_published',
    `No resolver can be asked for ${question.name || 'the root'}: ${said.join('; ') || 'there is none'}.`,
    {
      hint: 'name one with --resolver HOST:PORT',
    },
  )
}

function ignoreSilence(error: unknown): undefined {
  if (error instanceof SoakpError) return undefined
  throw error
}
