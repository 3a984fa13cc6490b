import { SoakpError } from '../../../errors.js'
import type { DnsView, NameServer, Place } from './authority.js'
import { ask, type DnsReply, DnsSilence, plain, type ServerAddress, showServer } from './wire.js'

/**
 * Whom to believe that a record is there:
 * - `authoritative`: every name server of the zone that answers
 * - `recursive`: the resolvers alone, where the name servers cannot be reached from here
 * - `both`: first the one, then the other
 * - `sleep`: nobody; the provider's propagation time is waited out
 * - `none`: nobody; the CA is told at once
 */
export type PropagationMode = 'authoritative' | 'recursive' | 'both' | 'sleep' | 'none'

/** Values that have to be seen at a place. */
export interface Expected {
  readonly place: Place
  readonly values: readonly string[]
}

export interface PropagationOptions {
  readonly mode: PropagationMode
  readonly timeoutMs: number
  readonly intervalMs: number
  /** Waited after all was seen: one address of a name server may be many machines. */
  readonly settleMs: number
  readonly now: () => number
  readonly delay: (ms: number) => Promise<void>
  readonly tell: (line: string) => void
}

/** Resolves when a CA will see the values. Throws `dns_not_published`, which says of every name server what it shows instead. */
export async function untilSeen(expected: readonly Expected[], view: DnsView, options: PropagationOptions): Promise<void> {
  const { mode, now, delay, timeoutMs } = options
  if (mode === 'none' || expected.length === 0) return
  if (mode === 'sleep') return delay(timeoutMs)
  const deadline = now() + timeoutMs
  if (mode !== 'recursive') await poll(lookout(atServers(expected), view, false), options, deadline)
  // only now: a resolver that is asked too early remembers that there is nothing
  if (mode !== 'authoritative') await poll(lookout(atResolvers(expected, view), view, true), options, deadline)
  if (options.settleMs > 0) await delay(options.settleMs)
}

/** What one look has shown. `missing`: who answers and does not show it; `dead`: who does not answer. As sentences without a full stop. */
interface Look {
  readonly missing: readonly string[]
  readonly dead: readonly string[]
  /** Whether each name was shown by at least one. */
  readonly shown: boolean
}

async function poll(
  look: () => Promise<Look>,
  { intervalMs, now, delay, tell, timeoutMs }: PropagationOptions,
  deadline: number,
): Promise<void> {
  for (let round = 0; ; round++) {
    const { missing, dead, shown } = await look()
    if (shown && missing.length === 0) {
      if (dead.length > 0) tell(`passed over: ${dead.join('; ')}`)
      return
    }
    if (now() + intervalMs > deadline) {
      throw new SoakpError('dns_not_published', `Waited ${Math.round(timeoutMs / 1000)} s: ${[...missing, ...dead].join('; ')}.`, {
        hint: 'is this provider the one that serves the zone? A slow one gets more time by its PROPAGATION_TIMEOUT variable',
      })
    }
    if (round === 0) tell(`waiting until ${missing.length + dead.length === 1 ? 'one more name server shows' : 'all name servers show'} it`)
    await delay(Math.max(intervalMs, 100))
  }
}

/** One name at one server. */
interface Spot {
  readonly name: string
  readonly values: readonly string[]
  readonly server: NameServer
}

/** As many questions are under way at once; more, and servers that guard themselves begin to drop them. */
const atOnce = 32

/** A function that looks at all spots it has not seen the values at yet. */
function lookout(spots: readonly Spot[], view: DnsView, recursion: boolean): () => Promise<Look> {
  const names = new Set(spots.map(({ name }) => name))
  const shownAt = new Set<string>()
  let open = spots
  return async () => {
    const missing: string[] = []
    const dead = new Set<string>()
    const left: Spot[] = []
    for (let from = 0; from < open.length; from += atOnce) {
      await Promise.all(
        open.slice(from, from + atOnce).map(async spot => {
          const { name, values, server } = spot
          const who = `${server.name} (${showServer(server)})`
          const answer = await valuesAt(server, name, view, recursion)
          if (typeof answer === 'string') dead.add(`${who} ${answer}`)
          else if (values.every(value => answer.includes(value))) return void shownAt.add(name)
          else missing.push(`${who} ${answer.length === 0 ? 'shows no TXT' : 'shows only other values'} at ${name}`)
          left.push(spot)
        }),
      )
    }
    open = left
    return { missing: missing.sort(), dead: [...dead].sort(), shown: shownAt.size === names.size }
  }
}

function atServers(expected: readonly Expected[]): Spot[] {
  return expected.flatMap(({ place, values }) => place.servers.map(server => ({ name: place.name, values, server })))
}

/** Under the name that a CA begins with, so that the whole chain is looked at. */
function atResolvers(expected: readonly Expected[], { resolvers }: DnsView): Spot[] {
  return expected.flatMap(({ place, values }) =>
    resolvers.map(resolver => ({ name: place.via[0] ?? place.name, values, server: { ...resolver, name: 'resolver' } })),
  )
}

/** The TXT values that a server shows at a name; else why it cannot be counted, as the end of a sentence. */
async function valuesAt(server: ServerAddress, name: string, view: DnsView, recursion: boolean): Promise<string[] | string> {
  let reply: DnsReply
  try {
    reply = await ask(server, { name, type: 'TXT', recursion }, view)
  } catch (error) {
    if (error instanceof DnsSilence) return error.message
    throw error
  }
  if (reply.rcode !== 'NOERROR' && reply.rcode !== 'NXDOMAIN') return `answers ${reply.rcode}`
  if (!recursion && !reply.authoritative) return 'does not serve the zone'
  return txtValues(reply, recursion ? undefined : name)
}

/** TXT data of a reply, each value's pieces joined; of one owner where one is given. */
function txtValues({ answers }: DnsReply, owner?: string): string[] {
  return answers.flatMap(record => {
    if (record.type !== 'TXT' || (owner !== undefined && plain(record.name) !== plain(owner))) return []
    return [Buffer.concat([record.data].flat().map(piece => Buffer.from(piece))).toString()]
  })
}
