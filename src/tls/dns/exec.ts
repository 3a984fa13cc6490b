import { SoakpError } from '../../errors.js'
import { oneLine } from './api/redact.js'
import type { DnsAccount, DnsContext, DnsProvider, TxtRecord } from './provider.js'
import { runProgram } from './run-program.js'

const [path, mode, authHook, cleanupHook, timeout] = [
  'EXEC_PATH',
  'EXEC_MODE',
  'EXEC_AUTH_HOOK',
  'EXEC_CLEANUP_HOOK',
  'EXEC_TIMEOUT',
] as const

/** Any program, called as lego calls it or as Certbot calls its manual hooks. */
export const exec: DnsProvider = {
  id: 'exec',
  title: 'A program of your own',
  link: 'https://go-acme.github.io/lego/dns/exec/',
  aliases: ['manual-hook', 'script'],
  prefixes: ['EXEC'],
  settings: [
    {
      name: path,
      required: 'lego',
      what: 'The program. It is called with `present FQDN VALUE` and with `cleanup FQDN VALUE`. With arguments of its own, a JSON array: `["/usr/bin/python3", "/etc/hook.py"]`.',
    },
    { name: mode, what: '`RAW`: it is called with `present -- DOMAIN TOKEN KEY_AUTHORIZATION` and works out name and value itself.' },
    {
      name: authHook,
      required: 'certbot',
      what: 'A program made for Certbot’s `--manual-auth-hook`, in the same form. It finds `CERTBOT_DOMAIN`, `CERTBOT_VALIDATION`, `CERTBOT_REMAINING_CHALLENGES` and `CERTBOT_ALL_DOMAINS` in its environment.',
    },
    { name: cleanupHook, what: 'One made for `--manual-cleanup-hook`; it finds what the first one printed in `CERTBOT_AUTH_OUTPUT`, too.' },
    { name: timeout, byDefault: '120', what: 'Seconds that one call may take; then the program and all it has started are killed.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 0, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 60, intervalSeconds: 2 },
  notes: [
    'The program is started without a shell, with `PATH`, `HOME` and `LANG` and nothing else of the environment: credentials of its own it has to read from a file.',
    'Any exit code but 0 is a failure. It is called once for each value, one after the other, also for values that are there already, and for removals of such that are not.',
    'Certbot’s hooks get the name that is proved and cannot know of CNAMEs.',
  ],
  open(context) {
    const seconds = Number(context.setting(timeout))
    if (!(seconds > 0 && seconds <= 86_400))
      throw new SoakpError('dns_settings_incomplete', `${context.named(timeout)} is no number of seconds.`)
    const raw = context.setting(mode)
    if (raw !== undefined && raw !== 'RAW')
      throw new SoakpError('dns_settings_incomplete', `${context.named(mode)} is neither empty nor RAW.`)
    const run = runner(context, seconds * 1000)
    const program = argvOf(context, path)
    if (program !== undefined) return asLego(run, program, raw === 'RAW')
    return asCertbot(run, argvOf(context, authHook) ?? [], argvOf(context, cleanupHook))
  },
}

function argvOf(context: DnsContext, name: string): readonly string[] | undefined {
  const text = context.setting(name)
  if (text === undefined || !text.trimStart().startsWith('[')) return text === undefined ? undefined : [text]
  try {
    const argv: unknown = JSON.parse(text)
    if (Array.isArray(argv) && argv.length > 0 && argv.every((word): word is string => typeof word === 'string')) return argv
  } catch {
    // said below
  }
  throw new SoakpError(
    'dns_settings_incomplete',
    `${context.named(name)} is neither a program nor a JSON array of a program and its arguments.`,
  )
}

type Runner = (argv: readonly string[], environment: Readonly<Record<string, string>>) => Promise<string>

/** Resolves with what the program printed. */
function runner(context: DnsContext, timeoutMs: number): Runner {
  return async (argv, environment) => {
    const { failure, output, said } = await runProgram({ argv, environment, timeoutMs, signal: context.signal })
    for (const line of `${output}\n${said}`.split('\n')) if (line.trim() !== '') context.tell(`${argv[0]}: ${oneLine(line)}`)
    if (failure === undefined) return output.trimEnd()
    if (context.signal.aborted) throw new SoakpError('cancelled')
    const last = oneLine(said.trim().split('\n').at(-1) || output.trim().split('\n').at(-1) || '')
    throw new SoakpError('dns_provider_failed', `${argv[0]} ${failure}${last === '' ? '.' : `: ${last}`}`)
  }
}

/** All names are one zone: the program knows where they lie, and a call says how many are still to come. */
const everything = { id: '.', name: '' }

function asLego(run: Runner, program: readonly string[], raw: boolean): DnsAccount {
  const call = async (what: string, records: readonly TxtRecord[]) => {
    for (const record of records) await run([...program, what, ...(raw ? rawArguments(record) : [`${record.name}.`, record.value])], {})
  }
  return {
    zoneOf: async () => everything,
    add: (_, records) => call('present', records),
    remove: (_, records) => call('cleanup', records),
  }
}

function rawArguments({ name, challenge }: TxtRecord): string[] {
  if (challenge === undefined)
    throw new SoakpError('dns_provider_failed', `${name}: in RAW mode the program is told challenges only, so nothing else can be tried.`)
  return ['--', challenge.domain, challenge.token, challenge.keyAuthorization]
}

/** What auth hooks have printed, by value; gone with the process, as it is with Certbot. */
const printed = new Map<string, string>()

function asCertbot(run: Runner, auth: readonly string[], cleanup: readonly string[] | undefined): DnsAccount {
  const environment = (records: readonly TxtRecord[], index: number) => ({
    CERTBOT_DOMAIN: records[index] ? domainOf(records[index]) : '',
    CERTBOT_IDENTIFIER: records[index] ? domainOf(records[index]) : '',
    CERTBOT_VALIDATION: records[index]?.value ?? '',
    CERTBOT_REMAINING_CHALLENGES: String(records.length - index - 1),
    CERTBOT_ALL_DOMAINS: [...new Set(records.map(domainOf))].join(','),
    CERTBOT_ALL_IDENTIFIERS: [...new Set(records.map(domainOf))].join(','),
  })
  return {
    zoneOf: async () => everything,
    async add(_, records) {
      for (const [index, { value }] of records.entries()) printed.set(value, await run(auth, environment(records, index)))
    },
    async remove(_, records) {
      for (const [index, { value }] of records.entries()) {
        if (cleanup !== undefined) await run(cleanup, { ...environment(records, index), CERTBOT_AUTH_OUTPUT: printed.get(value) ?? '' })
        printed.delete(value)
      }
    },
  }
}

const domainOf = ({ name, challenge }: TxtRecord) => challenge?.domain ?? name.replace(/^_acme-challenge\./, '')
