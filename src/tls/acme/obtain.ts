import { SoakpError } from '../../errors.js'
import { type AccountDeps, type AccountWishes, openAccount, register } from './account.js'
import type { Authority } from './authorities.js'
import { type CaaResolver, checkCaa } from './caa.js'
import type { Solver } from './challenge.js'
import { checkIssued, faultsOf } from './checks.js'
import { identifiersOf } from './identifiers.js'
import { type KeyType, keyTypeOf, keyTypes, newKey, publicPart, readKey, signingRequest } from './keys.js'
import { complete, download, takeUpOrder } from './order.js'
import { type OrderFiles, orderFiles, removeOrders } from './order-files.js'
import { AcmeError, isProblem } from './problem.js'
import type { Session } from './session.js'
import type { Directory, Identifier } from './wire.js'

export interface EngineDeps extends AccountDeps {
  /** Absent: CAA records are not looked at before ordering. */
  readonly caa?: CaaResolver | undefined
}

/** A CA to ask, and what an account there is opened with where there is none. */
export interface AuthorityChoice {
  readonly authority: Authority
  readonly account: AccountWishes
}

export interface CertificateRequest {
  /** What the certificate is called on disk: the folder of its orders. */
  readonly name: string
  /** As the user wrote them. */
  readonly names: readonly string[]
  readonly keyType: KeyType
  /** PEM: certified again in place of a new key. */
  readonly reuseKey?: Buffer | undefined
  /** `required`: without it there is no order. Else it is left out where the CA does not have it. */
  readonly profile?: { readonly name: string; readonly required: boolean } | undefined
  /** The certificate that is renewed, by its `certId`, and where it came from: no other CA knows it. */
  readonly replaces?: { readonly certId: string; readonly directoryUrl: string } | undefined
  /** Common name, or whole subject, of the root or intermediate that the chain is to lead to. */
  readonly preferredChain?: string | undefined
}

export interface Obtained {
  readonly authority: Authority
  readonly accountUrl: string
  readonly profile: string | undefined
  readonly identifiers: readonly Identifier[]
  /** PEM, leaf first; checked. */
  readonly fullchain: string
  /** PEM. */
  readonly key: Buffer
  /** Forgets the order. To be called when the certificate is safely where it belongs; until then another run would fetch the same one again. */
  finished(): void
}

/**
 * Gets a certificate from the first CA that can give one. The next is asked only where one has trouble of its own (down, or asking to wait for long): what is wrong
 * with a name is wrong everywhere. Whoever calls holds the lock of the certificates. Stopped or killed at any moment, the next call with the same request goes on.
 */
export async function obtain(
  deps: EngineDeps,
  choices: readonly AuthorityChoice[],
  request: CertificateRequest,
  solver: Solver,
): Promise<Obtained> {
  const failures: AcmeError[] = []
  for (const choice of choices) {
    try {
      return await obtainFrom(deps, choice, request, solver)
    } catch (error) {
      if (!(error instanceof AcmeError && error.isFaultOfCa)) throw withEarlier(error, failures)
      failures.push(error)
      deps.run.tell(`${choice.authority.title}: ${error.detail ?? error.message}`)
    }
  }
  const [first] = failures
  if (first === undefined) throw new SoakpError('usage', 'No certificate authority was named.')
  throw failures.length === 1 ? first : withEarlier(failures.at(-1), failures.slice(0, -1))
}

async function obtainFrom(
  deps: EngineDeps,
  { authority, account }: AuthorityChoice,
  request: CertificateRequest,
  solver: Solver,
): Promise<Obtained> {
  const { certsDir, run } = deps
  const files = orderFiles(certsDir, request.name, authority.directoryUrl)
  let session = await openAccount(deps, authority, account)
  const directory = await session.directory()
  const profile = profileAt(authority, directory, request, run.tell)
  const identifiers = identifiersOf(request.names, { allowAddresses: profile !== undefined && solver.type === 'http-01' })
  await askCaa(deps, authority, directory, identifiers, session, solver)
  const key = await keyFor(files, request)
  const replaces = request.replaces?.directoryUrl === authority.directoryUrl ? request.replaces.certId : undefined
  const wishes = { identifiers, profile, replaces: directory.renewalInfo === undefined ? undefined : replaces }
  const order = await takeUpOrder(session, files, wishes, run).catch(async (error: unknown) => {
    if (!isProblem(error, 'accountDoesNotExist')) throw error
    run.tell(`${authority.title} does not know our account any more; opening it again`)
    session = await register(deps, authority, account)
    return takeUpOrder(session, files, wishes, run)
  })
  try {
    const done = await complete(session, order, () => signingRequest(key, identifiers), solver, run)
    const fullchain = await download(session, done, request.preferredChain, run)
    // another order has to do better; a clock that is wrong is set right, and then this one serves
    if (faultsOf({ fullchain, key }, identifiers, run.now()).lasting.length > 0) files.remove()
    checkIssued({ fullchain, key }, identifiers, run.now())
    const accountUrl = session.accountUrl ?? ''
    return { authority, accountUrl, profile, identifiers, fullchain, key, finished: () => removeOrders(certsDir, request.name) }
  } catch (error) {
    // what the CA refused is over; the rest is gone on with
    if (error instanceof AcmeError && error.code === 'acme_refused' && !error.isFaultOfCa) files.remove()
    throw error
  }
}

function profileAt(
  authority: Authority,
  { profiles }: Directory,
  { profile }: CertificateRequest,
  tell: (line: string) => void,
): string | undefined {
  if (profile === undefined) return undefined
  if (profiles.has(profile.name)) return profile.name
  const offered = profiles.size === 0 ? 'It has none.' : `It has ${[...profiles.keys()].join(', ')}.`
  if (profile.required) throw new SoakpError('acme_refused', `${authority.title} has no profile ${profile.name}. ${offered}`)
  tell(`${authority.title} has no profile ${profile.name}; going on without. ${offered}`)
  return undefined
}

/** A definite no is said before anything is ordered; a DNS that does not answer is the CA's to judge. */
async function askCaa(
  { caa, run }: EngineDeps,
  authority: Authority,
  directory: Directory,
  identifiers: readonly Identifier[],
  session: Session,
  solver: Solver,
): Promise<void> {
  if (caa === undefined) return
  const caaIdentities = directory.caaIdentities.length > 0 ? directory.caaIdentities : authority.caaIdentities
  const accountUrl = session.accountUrl ?? ''
  const verdicts = await checkCaa(caa, { identifiers, caaIdentities, accountUrl, challenge: solver.type })
  const reasons = verdicts.flatMap(each => (each.verdict === 'forbidden' ? [`${each.name}: ${each.why}`] : []))
  if (reasons.length > 0) {
    throw new SoakpError('acme_refused', `${authority.title} may not issue. ${reasons.join('; ')}.`, {
      hint: 'Change the CAA records, or choose a certificate authority that they allow.',
    })
  }
  for (const each of verdicts) if (each.verdict === 'unknown') run.tell(`${each.name}: ${each.why}`)
}

/** The key that lies with the order while it serves, else a new one, on disk before it is used. */
async function keyFor(files: OrderFiles, { keyType, reuseKey }: CertificateRequest): Promise<Buffer> {
  const kept = files.key()
  if (kept !== undefined && serves(kept, keyType, reuseKey)) return kept
  // an order that was handed in with another key cannot be gone on with
  files.remove()
  const key = reuseKey ?? (await newKey(keyType))
  if (reuseKey !== undefined && keyTypeOf(readKey(reuseKey, 'The key to use again')) === undefined) {
    throw new SoakpError('certificate_invalid', `The key to use again is none of ${keyTypes.join(', ')}.`)
  }
  await files.writeKey(key)
  return key
}

function serves(kept: Buffer, keyType: KeyType, reuseKey: Buffer | undefined): boolean {
  try {
    const key = readKey(kept, 'The key of the order')
    return reuseKey === undefined
      ? keyTypeOf(key) === keyType
      : publicPart(key).equals(publicPart(readKey(reuseKey, 'The key to use again')))
  } catch {
    return false
  }
}

/** The same error, told together with what other CAs said before. */
function withEarlier(error: unknown, earlier: readonly AcmeError[]): unknown {
  if (earlier.length === 0 || !(error instanceof SoakpError)) return error
  const told = [...earlier, error].map(each => each.detail ?? each.message).join(' And: ')
  return new SoakpError(error.code, told, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
  })
}
