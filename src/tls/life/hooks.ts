import { existsSync, readdirSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Run } from '../acme/patience.js'
import { clean } from '../acme/problem.js'
import { runProgram } from '../dns/run-program.js'

export type HookKind = 'pre' | 'deploy' | 'post'

/** What a hook is told, in its environment. Names are Certbot's where it has one; ours begin with SOAKP_HOOK_. Nothing of it is a setting or a secret. */
export interface HookFacts {
  /** `live/NAME`, of the certificate that is deployed. */
  readonly lineage?: string
  readonly name?: string
  /** Of every certificate that was renewed; for a deploy hook, of this one. */
  readonly renewedDomains: readonly string[]
  readonly failedDomains?: readonly string[]
}

export interface HookFailure {
  readonly hook: string
  readonly why: string
}

const timeoutMs = 600_000

/** The user's own command, then every program in `certs/renewal-hooks/KIND`, by name. Answers those that failed: none of them stops anything. */
export async function runHooks(
  certsDir: string,
  kind: HookKind,
  commands: readonly (readonly string[])[],
  facts: HookFacts,
  { signal, tell }: Pick<Run, 'signal' | 'tell'>,
): Promise<HookFailure[]> {
  const failures: HookFailure[] = []
  const { programs, refused } = inFolder(join(certsDir, 'renewal-hooks', kind))
  failures.push(...refused)
  for (const argv of [...commands, ...programs.map(program => [program])]) {
    const hook = `${kind} hook ${argv[0]}`
    tell(`running the ${hook}`)
    const end = await runProgram({ argv, environment: environmentOf(certsDir, kind, facts), timeoutMs, signal })
    if (end.failure === undefined) continue
    const said = clean(end.said || end.output).slice(0, 300)
    failures.push({ hook, why: said === '' ? end.failure : `${end.failure}: ${said}` })
  }
  return failures
}

/** Every hook of these: the same command twice is run once. */
export function distinct(commands: readonly (readonly string[] | undefined)[]): (readonly string[])[] {
  const seen = new Map<string, readonly string[]>()
  for (const command of commands) if (command !== undefined) seen.set(JSON.stringify(command), command)
  return [...seen.values()]
}

/** Whether anything would run. */
export function hasHooks(certsDir: string, kind: HookKind, command: readonly string[] | undefined): boolean {
  const { programs, refused } = inFolder(join(certsDir, 'renewal-hooks', kind))
  return command !== undefined || programs.length + refused.length > 0
}

/** As Certbot takes them: what can be executed, in order of names, without the copies that editors leave. What others may write is not run. */
function inFolder(folder: string): { readonly programs: string[]; readonly refused: HookFailure[] } {
  const programs: string[] = []
  const refused: HookFailure[] = []
  const names = existsSync(folder) ? readdirSync(folder).sort() : []
  for (const name of names) {
    const file = join(folder, name)
    const status = name.endsWith('~') ? undefined : lookAt(file)
    if (status?.isFile() !== true || (status.mode & 0o111) === 0) continue
    if ((status.mode & 0o002) !== 0) refused.push({ hook: file, why: `others may change it, so it is not run; chmod o-w ${file}` })
    else programs.push(file)
  }
  return { programs, refused }
}

/** Undefined also for a link that leads nowhere or round in a circle. */
function lookAt(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

function environmentOf(
  certsDir: string,
  kind: HookKind,
  { lineage, name, renewedDomains, failedDomains }: HookFacts,
): Record<string, string> {
  return {
    RENEWED_DOMAINS: renewedDomains.join(' '),
    ...(lineage === undefined ? {} : { RENEWED_LINEAGE: lineage, SOAKP_HOOK_LINEAGE: lineage }),
    ...(failedDomains === undefined ? {} : { FAILED_DOMAINS: failedDomains.join(' '), SOAKP_HOOK_FAILED: failedDomains.join(' ') }),
    ...(name === undefined ? {} : { SOAKP_HOOK_NAME: name }),
    SOAKP_HOOK_KIND: kind,
    SOAKP_HOOK_RENEWED: renewedDomains.join(' '),
    SOAKP_HOOK_CERTS: certsDir,
  }
}
