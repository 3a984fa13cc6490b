import { SoakpError } from '../../errors.js'
import type { Solver } from './challenge.js'
import { issuersOf, preferredChain } from './checks.js'
import { sameIdentifiers } from './identifiers.js'
import type { OrderFiles } from './order-files.js'
import { poll, type Run } from './patience.js'
import { AcmeError, isProblem, protocolProblem, type Reply, retryAfter } from './problem.js'
import { prove } from './prove.js'
import type { Session } from './session.js'
import { type Identifier, type Order, readAccount, readOrder, readOrderList } from './wire.js'

/** How long a CA may take to make an order ready, or to sign. */
const processingMs = 300_000
/** An order that lay longer than this is not gone on with. */
const staleMs = 3 * 86_400_000
/** A lost newOrder is looked for among so many. */
const lookedAt = 20
const maxPages = 100

export interface OrderWishes {
  readonly identifiers: readonly Identifier[]
  readonly profile: string | undefined
  /** The certificate that this one takes the place of: RFC 9773 section 5. */
  readonly replaces: string | undefined
}

/** The order to go on with: the one that an earlier run left, where it is for the same, else a new one. It is on disk when this resolves. */
export async function takeUpOrder(session: Session, files: OrderFiles, wishes: OrderWishes, run: Run): Promise<Order> {
  const accountUrl = session.accountUrl ?? ''
  const kept = files.order()
  const same =
    kept !== undefined &&
    kept.accountUrl === accountUrl &&
    kept.profile === wishes.profile &&
    sameIdentifiers(kept.identifiers, wishes.identifiers) &&
    run.now() - kept.createdAtMs < staleMs
  if (same) {
    const order = kept.url === undefined ? await findLost(session, wishes) : await readKept(session, kept.url)
    if (order !== undefined && order.status !== 'invalid') {
      run.tell(`going on with the order that was begun at ${new Date(kept.createdAtMs).toISOString()} (${order.status})`)
      await files.writeOrder({ ...kept, url: order.url })
      return order
    }
  }
  const { identifiers, profile } = wishes
  const begun = { directoryUrl: session.directoryUrl, accountUrl, identifiers, profile, createdAtMs: run.now(), url: undefined }
  await files.writeOrder(begun)
  const order = await newOrder(session, wishes, run)
  await files.writeOrder({ ...begun, url: order.url })
  return order
}

/** Undefined where the CA does not know it any more. */
async function readKept(session: Session, url: string): Promise<Order | undefined> {
  try {
    return await readAt(session, url)
  } catch (error) {
    if (error instanceof AcmeError && error.code === 'acme_refused' && !isProblem(error, 'accountDoesNotExist')) return undefined
    throw error
  }
}

/**
 * Asks for an order. An answer that was lost may have been a yes: then the order is looked for before another one is asked for. `replaces` is left out where the CA
 * will not hear of it: another order for that certificate is under way, it is not theirs, or not this account's.
 */
async function newOrder(session: Session, { identifiers, profile, replaces }: OrderWishes, run: Run): Promise<Order> {
  const { newOrder: url } = await session.directory()
  let predecessor = replaces
  for (let attempt = 1; ; attempt++) {
    const payload = {
      identifiers,
      ...(profile === undefined ? {} : { profile }),
      ...(predecessor === undefined ? {} : { replaces: predecessor }),
    }
    try {
      const reply = await session.post('new order', url, payload, { once: true })
      const location = reply.headers.location
      if (location === undefined) throw new AcmeError('new order', protocolProblem('the CA does not say where the order is'))
      return readOrder(reply.data, location)
    } catch (error) {
      const lost = isProblem(error, 'network')
      const unwanted = predecessor !== undefined && isProblem(error, 'alreadyReplaced', 'malformed', 'unauthorized', 'notFound')
      if (!(lost || unwanted) || attempt >= 4) throw error
      const found = await findLost(session, { identifiers, profile, replaces })
      if (found !== undefined) return found
      if (unwanted) {
        run.tell(`ordering without naming the old certificate: ${error.detail}`)
        predecessor = undefined
      }
    }
  }
}

/** An order for the same names that is still open: its making was not heard of. Only where the CA lists an account's orders. */
async function findLost(session: Session, { identifiers, profile }: OrderWishes): Promise<Order | undefined> {
  const accountUrl = session.accountUrl ?? ''
  const { orders } = readAccount((await session.post('account', accountUrl, null)).data, accountUrl)
  if (orders === undefined) return undefined
  const listed = await listOrders(session, orders)
  for (const url of listed.slice(-lookedAt).reverse()) {
    const order = await readKept(session, url)
    const open = order?.status === 'pending' || order?.status === 'ready'
    if (order !== undefined && open && order.profile === profile && sameIdentifiers(order.identifiers, identifiers)) return order
  }
  return undefined
}

/** All pages of the list: the newest orders stand on the last. */
async function listOrders(session: Session, first: string): Promise<string[]> {
  const urls: string[] = []
  let page: string | undefined = first
  for (let count = 0; page !== undefined && count < maxPages; count++) {
    // a convenience that not every CA offers, though it names the URL
    const reply: Reply | undefined = await session.post('orders', page, null).catch(() => undefined)
    urls.push(...readOrderList(reply?.data))
    page = linksTo(reply?.headers.link, 'next', page)[0]
  }
  return urls
}

/**
 * Brings an order to its certificate, from wherever it stands: names proved, request handed in, signed. Every step may be the first of this process. `request` makes
 * the signing request, base64url of DER.
 */
export async function complete(session: Session, order: Order, request: () => Promise<string>, solver: Solver, run: Run): Promise<Order> {
  let at = order
  let proved = false
  const deadline = run.now() + 2 * processingMs
  while (run.now() < deadline) {
    switch (at.status) {
      case 'valid':
        return at
      case 'invalid':
        throw new AcmeError(
          'the order failed',
          at.error ?? { ...protocolProblem('the CA does not say why; one of the names was not believed'), type: 'unauthorized' },
        )
      case 'pending':
        if (!proved) await prove(session, at, solver, run)
        proved = true
        at = await moved(session, at, run)
        break
      case 'ready':
        at = await finalize(session, at, await request(), run)
        break
      case 'processing':
        at = await moved(session, at, run)
    }
  }
  throw slow(order)
}

/** The order when its status is another than it was. */
function moved(session: Session, order: Order, run: Run): Promise<Order> {
  return poll(
    run,
    processingMs,
    async () => {
      const reply = await session.post('order', order.url, null)
      const seen = readOrder(reply.data, order.url)
      return seen.status === order.status ? { retryAfterSeconds: retryAfter(reply.headers['retry-after'], run.now()) } : { done: seen }
    },
    () => slow(order),
  )
}

async function finalize(session: Session, order: Order, csr: string, run: Run): Promise<Order> {
  try {
    const reply = await session.post('finalize', order.finalize, { csr }, { once: true })
    const seen = readOrder(reply.data, order.url)
    return seen.status === 'ready' ? await moved(session, seen, run) : seen
  } catch (error) {
    // a lost answer, or one that comes too early or too late: the order itself says where it stands
    if (!isProblem(error, 'network', 'orderNotReady')) throw error
    const seen = await readAt(session, order.url)
    if (seen.status !== 'ready') return seen
    run.tell('handing in the request again')
    return readOrder((await session.post('finalize', order.finalize, { csr })).data, order.url)
  }
}

/** The chain, PEM, leaf first. `issuer` chooses among several; where none of them leads there the CA's own choice is taken, and said. */
export async function download(session: Session, order: Order, issuer: string | undefined, run: Run): Promise<string> {
  if (order.certificate === undefined) throw new AcmeError('certificate', protocolProblem('the order is valid but names no certificate'))
  const first = await session.post('certificate', order.certificate, null)
  if (issuer === undefined) return pem(first)
  const others: string[] = []
  for (const url of linksTo(first.headers.link, 'alternate', order.certificate))
    others.push(pem(await session.post('other chain', url, null)))
  const chains = [pem(first), ...others]
  const chosen = preferredChain(chains, issuer)
  if (chosen !== undefined) return chosen
  const offered = chains.map(chain => issuersOf(chain).at(-1)).join(', ')
  run.tell(`no chain leads to ${issuer}; the CA offers ${offered}. Its own choice is taken`)
  return pem(first)
}

/** `Link: <url>;rel="alternate"`, as often as there are others: RFC 8555 section 7.4.2. */
export function linksTo(header: string | undefined, relation: string, base: string): string[] {
  const links = [...(header ?? '').matchAll(/<([^>]+)>\s*((?:;[^,<]*)*)/g)]
  return links.flatMap(([, url = '', parameters = '']) => {
    const named = parameters.split(';').some(each => /^rel\s*=\s*"?([^"]*)"?$/i.exec(each.trim())?.[1]?.toLowerCase() === relation)
    return named && URL.canParse(url, base) ? [new URL(url, base).href] : []
  })
}

function pem({ data }: Reply): string {
  if (typeof data === 'string' && data.includes('-----BEGIN CERTIFICATE-----')) return data.endsWith('\n') ? data : `${data}\n`
  throw new AcmeError('certificate', protocolProblem('what the CA sent is no certificate in PEM'))
}

async function readAt(session: Session, url: string): Promise<Order> {
  return readOrder((await session.post('order', url, null)).data, url)
}

function slow(order: Order): SoakpError {
  return new SoakpError('acme_unreachable', `The order is still ${order.status} after ${processingMs / 1000} s.`, {
    hint: 'Run the same command again later: it goes on from there.',
  })
}
