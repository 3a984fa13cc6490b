import type { ChallengeType } from './challenge.js'
import type { Identifier } from './wire.js'

/** One CAA record. `tag` is lower case. */
export interface CaaRecord {
  /** Bit 128 of the flags: who does not know the tag must not issue. */
  readonly critical: boolean
  readonly tag: string
  readonly value: string
}

export interface CaaResolver {
  /** The records that stand at exactly this name, or where its CNAME leads; empty where there is none. Throws where the DNS gives no answer. */
  caa(name: string): Promise<readonly CaaRecord[]>
}

/** What a CA would find; `forbidden` and `unknown` come with a sentence. */
export type CaaVerdict =
  | { readonly name: string; readonly verdict: 'allowed' }
  | { readonly name: string; readonly verdict: 'forbidden' | 'unknown'; readonly why: string }

export interface CaaQuestion {
  readonly identifiers: readonly Identifier[]
  /** Names that records may call the CA by, lower case. Empty: nothing can be said. */
  readonly caaIdentities: readonly string[]
  readonly accountUrl: string
  readonly challenge: ChallengeType
}

/** Whether the domains' CAA records (RFC 8659, RFC 8657) let this CA issue for each name, as the CA itself will look them up. Addresses have no such records. */
export async function checkCaa(resolver: CaaResolver, question: CaaQuestion): Promise<CaaVerdict[]> {
  if (question.caaIdentities.length === 0) return []
  const seen = new Map<string, Promise<readonly CaaRecord[]>>()
  const look = (name: string) => {
    const known = seen.get(name) ?? resolver.caa(name)
    seen.set(name, known)
    return known
  }
  return Promise.all(question.identifiers.flatMap(({ type, value }) => (type === 'dns' ? [judgeName(look, value, question)] : [])))
}

async function judgeName(look: (name: string) => Promise<readonly CaaRecord[]>, name: string, question: CaaQuestion): Promise<CaaVerdict> {
  const isWildcard = name.startsWith('*.')
  const labels = (isWildcard ? name.slice(2) : name).split('.')
  for (let depth = 0; depth < labels.length; depth++) {
    const place = labels.slice(depth).join('.')
    let records: readonly CaaRecord[]
    try {
      records = await look(place)
    } catch (error) {
      const why = `the CAA records of ${place} cannot be looked up (${error instanceof Error ? error.message : String(error)})`
      return { name, verdict: 'unknown', why }
    }
    if (records.length > 0) {
      const why = judgeRecords(records, place, isWildcard, question)
      return why === undefined ? { name, verdict: 'allowed' } : { name, verdict: 'forbidden', why }
    }
  }
  return { name, verdict: 'allowed' }
}

const knownTags: readonly string[] = ['issue', 'issuewild', 'iodef', 'contactemail', 'contactphone', 'issuemail', 'issuevmc']

/** Why these records forbid it; undefined where they do not. */
function judgeRecords(records: readonly CaaRecord[], place: string, isWildcard: boolean, question: CaaQuestion): string | undefined {
  const strange = records.find(({ critical, tag }) => critical && !knownTags.includes(tag))
  if (strange !== undefined) return `${place} has a critical CAA record "${strange.tag}" that CAs do not know`
  const wild = records.filter(({ tag }) => tag === 'issuewild')
  const rules = isWildcard && wild.length > 0 ? wild : records.filter(({ tag }) => tag === 'issue')
  if (rules.length === 0) return undefined
  const reasons = rules.map(rule => whyNot(parse(rule.value), question))
  if (reasons.includes(undefined)) return undefined
  const shown = rules.map(({ tag, value }) => `${tag} "${value.slice(0, 200)}"`).join(', ')
  const account = reasons.find(reason => reason !== undefined && reason !== 'another CA')
  const wanted = `${question.caaIdentities[0]}`
  const because = account === undefined ? `it has to name ${wanted}` : account
  return `the CAA records of ${place} (${shown}) do not allow this CA to issue: ${because}`
}

interface Rule {
  readonly issuer: string
  readonly parameters: ReadonlyMap<string, string>
}

/** `letsencrypt.org; accounturi=https://…; validationmethods=dns-01` */
function parse(value: string): Rule {
  const [issuer = '', ...parts] = value.split(';')
  const pairs = parts.flatMap((part): [string, string][] => {
    const at = part.indexOf('=')
    return at === -1 ? [] : [[part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()]]
  })
  return { issuer: issuer.trim().toLowerCase().replace(/\.$/, ''), parameters: new Map(pairs) }
}

function whyNot({ issuer, parameters }: Rule, { caaIdentities, accountUrl, challenge }: CaaQuestion): string | undefined {
  if (!caaIdentities.includes(issuer)) return 'another CA'
  const account = parameters.get('accounturi')
  if (account !== undefined && account !== accountUrl) return `accounturi has to be ${accountUrl}`
  const methods = parameters
    .get('validationmethods')
    ?.split(',')
    .map(method => method.trim().toLowerCase())
  if (methods !== undefined && !methods.includes(challenge)) return `validationmethods has to hold ${challenge}`
  return undefined
}
