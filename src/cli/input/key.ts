import { SoakpError } from '../../errors.js'
import { isId } from '../../lib/id.js'
import type { Secret } from '../../lib/secret.js'
import type { KeyVerdict, Soakp } from '../../soakp.js'
import type { KeyRecord } from '../../stores/records.js'
import type { KeyPatch } from '../../stores/store.js'
import type { Cli } from '../cli.js'

/**
 * Refuses what is ours and not a provider's; warns where the form is not one that the provider is known to use, or is one that should not be used here.
 * Forms change, so an unknown one is never refused.
 */
export async function checkSecret(cli: Cli, provider: string, secret: Secret): Promise<void> {
  const value = secret.expose()
  if (isAccessToken(value)) {
    throw new SoakpError('usage', 'This is an access token of soakp, not a key of a provider.', {
      hint: 'paste the key that the provider gave you',
    })
  }
  if (isId('key', value) || isId('grt', value)) throw new SoakpError('usage', 'This is the id of a key or grant, not a key of a provider.')
  const { findProvider } = await import('../../providers/index.js')
  const hints = findProvider(provider)?.keyHints ?? []
  const fitting = hints.filter(hint => hint.pattern.test(value))
  if (value.trimStart().startsWith('{') && fitting.length === 0) {
    throw new SoakpError('usage', `${provider} has no keys that are files.`, { hint: 'paste the key that the provider gave you' })
  }
  const warning = fitting.find(hint => hint.warn !== undefined)?.warn
  if (warning !== undefined) cli.warn(`warning: ${warning}`)
  else if (hints.length > 0 && fitting.length === 0)
    cli.warn(`note: this does not look like the keys of ${provider} that are known here; was the right one copied?`)
}

/** RFC 9068: the type in the header of what we hand out. Some providers' keys are JWTs too, of other types. */
function isAccessToken(value: string): boolean {
  const [head = '', , signature] = value.split('.')
  if (!value.startsWith('eyJ') || signature === undefined) return false
  try {
    return (JSON.parse(Buffer.from(head, 'base64url').toString()) as { typ?: unknown }).typ === 'at+jwt'
  } catch {
    return false
  }
}

export interface Check {
  /** For the vault: throws `key_rejected` where the provider refuses the key. Absent under `--no-verify`. */
  readonly accept: ((record: KeyRecord) => Promise<void>) | undefined
  /** What was found, for `--json`. */
  found(): KeyVerdict['result'] | 'not_asked'
}

/** Asks the provider about a key before it is kept, and tells what it said. */
export function verifying(cli: Cli, soakp: Pick<Soakp, 'verifyKey'>, wanted: boolean): Check {
  let found: KeyVerdict['result'] | 'not_asked' = 'not_asked'
  const accept = async (record: KeyRecord) => {
    const verdict = await soakp.verifyKey(record)
    found = verdict.result
    if (verdict.result === 'refused') {
      throw new SoakpError('key_rejected', `${verdict.text} It was not kept.`, {
        hint: 'check that the right key was copied; --no-verify keeps it without asking',
      })
    }
    if (verdict.result === 'works') cli.note(verdict.text)
    else cli.warn(`warning: ${verdict.text}`)
  }
  return { accept: wanted ? accept : undefined, found: () => found }
}

/** Some of these go into headers: visible ASCII and blanks between. */
export function checkText(option: string, text: string): void {
  const good = option === '--name' ? /^[^\p{Cc}\p{Cf}]{1,80}$/u : /^[\x21-\x7e]([\x20-\x7e]{0,126}[\x21-\x7e])?$/
  if (!good.test(text)) throw new SoakpError('usage', `${option} is empty, too long, or holds characters it cannot hold.`)
}

/** Ends whatever a key rests for. */
export function wakingPatch(now: number): KeyPatch {
  return { wokenAtMs: now, spentAtMs: null, rejectedAtMs: null }
}
