import { createHash } from 'node:crypto'
import { SoakpError } from '../../errors.js'
import type { Challenge, Solver, SolverContext } from './challenge.js'
import { pause, poll, type Run } from './patience.js'
import { AcmeError, type AcmeProblem, isProblem, retryAfter, type Subproblem } from './problem.js'
import type { Session } from './session.js'
import { type Authorization, type OfferedChallenge, type Order, readAuthorization } from './wire.js'

/** How long a CA may take to look. */
const validationMs = 180_000
/** A clean-up is not cut short by what ended the run, but neither does it hold the run for ever. */
const cleanUpMs = 120_000
/** Authorizations that are read at the same time: an order has up to a hundred. */
const atOnce = 4

interface Task {
  readonly authorization: Authorization
  readonly offered: OfferedChallenge
  readonly challenge: Challenge
}

/**
 * Proves every name of an order that is not proved yet. What the solver made is removed again, whether it worked or not. Throws `acme_refused` with what the CA
 * says about each name that it did not believe.
 */
export async function prove(session: Session, order: Order, solver: Solver, run: Run): Promise<void> {
  const authorizations = await inBatches(order.authorizations, atOnce, url => readAt(session, url))
  // CAs list them in any order; people read them in this one
  const sorted = authorizations.toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
  const tasks = sorted.flatMap(each => taskFor(session, each, solver))
  if (tasks.length === 0) return
  const context = contextOf(run, run.signal)
  const groups = await solver.plan(
    tasks.map(each => each.challenge),
    context,
  )
  for (const group of groups) {
    const members = tasks.filter(each => group.includes(each.challenge))
    await proveGroup(session, members, solver, run)
  }
}

function sortKey({ identifier, wildcard }: Authorization): string {
  return `${identifier.value} ${wildcard ? '*' : ''}`
}

async function proveGroup(session: Session, tasks: readonly Task[], solver: Solver, run: Run): Promise<void> {
  const challenges = tasks.map(each => each.challenge)
  try {
    await solver.prepare(challenges, contextOf(run, run.signal))
    for (const { authorization, offered } of tasks) await answer(session, authorization, offered)
    const failed = await settle(session, tasks, run)
    if (failed.length > 0) throw refusal(failed, solver)
    run.tell(`the CA believes ${challenges.map(({ wildcard, identifier }) => (wildcard ? `*.${identifier}` : identifier)).join(', ')}`)
  } finally {
    await cleanUp(solver, challenges, run)
  }
}

/** Never hides what went wrong before it; leftovers are found again by the solver's own journal. */
async function cleanUp(solver: Solver, challenges: readonly Challenge[], run: Run): Promise<void> {
  try {
    await solver.cleanUp(challenges, contextOf(run, AbortSignal.timeout(cleanUpMs)))
  } catch (error) {
    run.tell(`cleaning up failed: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function contextOf({ now, tell }: Run, signal: AbortSignal): SolverContext {
  return { now, tell, signal, delay: ms => pause(ms, signal) }
}

function taskFor(session: Session, authorization: Authorization, solver: Solver): Task[] {
  const { status, identifier, wildcard, challenges } = authorization
  const shown = wildcard ? `*.${identifier.value}` : identifier.value
  if (status === 'valid') return []
  if (status !== 'pending') {
    const failure = { authorization, problem: challenges.find(each => each.error !== undefined)?.error }
    throw refusal([failure], solver)
  }
  const offered = challenges.find(each => each.type === solver.type)
  if (offered?.token === undefined) {
    const kinds = challenges.map(each => each.type).join(', ') || 'nothing'
    throw new SoakpError('acme_refused', `${shown}: the CA takes ${kinds} as proof, not ${solver.type}.`, {
      ...(wildcard && solver.type === 'http-01' ? { hint: 'A wildcard is proved by DNS only: name a DNS provider with --dns.' } : {}),
    })
  }
  const keyAuthorization = `${offered.token}.${session.thumbprint}`
  const challenge: Challenge = {
    type: solver.type,
    identifier: identifier.value,
    wildcard,
    token: offered.token,
    keyAuthorization,
    txtValue: createHash('sha256').update(keyAuthorization).digest('base64url'),
  }
  return [{ authorization, offered, challenge }]
}

/** Tells the CA to look. One that was told already, before an answer was lost or the process ended, says so, and what counts is what it sees. */
async function answer(session: Session, authorization: Authorization, offered: OfferedChallenge): Promise<void> {
  if (offered.status !== 'pending') return
  try {
    await session.post('challenge', offered.url, {})
  } catch (error) {
    if (!isProblem(error, 'malformed', 'unauthorized')) throw error
    const now = await readAt(session, authorization.url)
    const same = now.challenges.find(each => each.type === offered.type)
    if (now.status === 'pending' && same?.status === 'pending') throw error
  }
}

interface Failure {
  readonly authorization: Authorization
  readonly problem: AcmeProblem | undefined
}

/** Waits until the CA has judged all of them; answers those that it did not believe. */
async function settle(session: Session, tasks: readonly Task[], run: Run): Promise<Failure[]> {
  const failures: Failure[] = []
  for (const { authorization, challenge } of tasks) {
    const settled = await poll(
      run,
      validationMs,
      async () => {
        const reply = await session.post('authorization', authorization.url, null)
        const seen = readAuthorization(reply.data, authorization.url)
        const retryAfterSeconds = retryAfter(reply.headers['retry-after'], run.now())
        return seen.status === 'pending' ? { retryAfterSeconds } : { done: seen }
      },
      () => new SoakpError('acme_unreachable', `The CA did not look at ${challenge.identifier} within ${validationMs / 1000} s.`),
    )
    if (settled.status === 'valid') continue
    failures.push({ authorization: settled, problem: settled.challenges.find(each => each.error !== undefined)?.error })
  }
  return failures
}

/** One error for all names that were not believed, each with the CA's own words. */
function refusal(failures: readonly Failure[], solver: Solver): AcmeError {
  const subproblems = failures.map(({ authorization, problem }): Subproblem => {
    const { identifier, wildcard, status } = authorization
    return {
      identifier: wildcard ? `*.${identifier.value}` : identifier.value,
      type: problem?.type ?? status,
      detail: problem?.detail ?? `the authorization is ${status}`,
    }
  })
  const first = failures[0]?.problem
  const names = failures.length === 1 ? 'a name' : `${failures.length} names`
  return new AcmeError(`proof by ${solver.type}`, {
    type: first?.type ?? 'unauthorized',
    status: first?.status ?? 403,
    detail: `the CA does not believe ${names}`,
    subproblems,
    instance: first?.instance,
    retryAfterSeconds: undefined,
  })
}

async function readAt(session: Session, url: string): Promise<Authorization> {
  return readAuthorization((await session.post('authorization', url, null)).data, url)
}

async function inBatches<A, B>(items: readonly A[], size: number, work: (item: A) => Promise<B>): Promise<B[]> {
  const results: B[] = []
  for (let at = 0; at < items.length; at += size) results.push(...(await Promise.all(items.slice(at, at + size).map(work))))
  return results
}
