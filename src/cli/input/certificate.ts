import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'

import { SoakpError } from '../../errors.js'
import type { CertificateWishes } from '../../tls/life/record.js'
import { emailOption, listOption, resolverOption } from './options.js'

export interface IssueOptions {
  readonly dns?: string
  readonly http?: boolean
  readonly httpPort?: number
  readonly domain: readonly string[]
  readonly server?: readonly string[]
  readonly staging?: boolean
  readonly email?: string
  readonly agreeTos?: boolean
  readonly keyType: string
  readonly reuseKey?: boolean
  readonly profile?: string
  readonly requireProfile?: string
  readonly preferredChain?: string
  readonly eabKid?: string
  readonly eabHmacKeyFile?: string
  readonly resolver?: readonly string[]
  readonly certName?: string
  readonly preHook?: string
  readonly deployHook?: string
  readonly postHook?: string
  readonly dryRun?: boolean
  readonly force?: boolean
  readonly replaceValid?: boolean
}

/** Everything that can be said of a certificate that is ordered. */
export function issueOptions(command: Command): Command {
  const names = listOption('-d, --domain <name...>', 'names of the certificate; *.example.com for everything directly below one')
  return command
    .addOption(names.makeOptionMandatory())
    .option('--dns <provider>', 'prove the names by a DNS record at this provider; `soakp cert providers` lists them')
    .option('--http', 'prove the names by HTTP, answered here on port 80 while the order runs; no wildcards')
    .addOption(
      new Option('--http-port <port>', 'answer there instead of port 80, where something in front leads port 80 to it').argParser(portOf),
    )
    .addOption(
      listOption(
        '--server <ca...>',
        'certificate authority, or several to be asked in turn: letsencrypt, zerossl, google, sslcom, actalis, or the URL of any ACME directory; letsencrypt unless told',
      ),
    )
    .option('--staging', 'the staging of that CA: for rehearsals, nobody believes its certificates')
    .addOption(emailOption('contact for the account; optional at most CAs'))
    .option('--agree-tos', 'agree to the terms of the CA; without it you are asked')
    .option('--key-type <type>', 'p256, p384, rsa2048, rsa3072 or rsa4096', 'p256')
    .option('--reuse-key', 'keep the private key when the certificate is renewed, for pinning; else each has a new one')
    .option('--profile <name>', 'the CA’s profile, where it has it: classic, tlsserver, shortlived')
    .option('--require-profile <name>', 'the same, but no certificate without it')
    .option('--preferred-chain <name>', 'the chain that leads to this issuer, where the CA offers several')
    .option('--eab-kid <id>', 'key id of the account at the CA’s site, where it wants one')
    .option('--eab-hmac-key-file <file>', 'file with its HMAC key (chmod 600); it has to stay for renewals that open an account anew')
    .addOption(resolverOption())
    .option('--cert-name <name>', 'what the certificate is called here (default: its first name)')
    .option('--pre-hook <command>', 'run before anything is ordered: program and arguments, no shell')
    .option('--deploy-hook <command>', 'run when a new certificate is in its place; RENEWED_LINEAGE says where')
    .option('--post-hook <command>', 'run at the end, whatever happened')
    .option('--dry-run', 'go through it at the CA’s staging and keep nothing')
    .option('--force', 'also where the certificate that is there is good')
    .option('--replace-valid', 'let a certificate of a staging take the place of one that is believed')
}

/** The wishes that a command line holds, complete. Throws `usage` and what is wrong with names and CAs. */
export async function wishesOf(options: IssueOptions): Promise<{ readonly name: string; readonly wishes: CertificateWishes }> {
  const [{ authorityOf }, { keyTypes }, { identifiersOf }, { stagingOf }, { commandLine }, { dnsProvider }] = await Promise.all([
    import('../../tls/acme/authorities.js'),
    import('../../tls/acme/keys.js'),
    import('../../tls/acme/identifiers.js'),
    import('../../tls/life/simulate.js'),
    import('../../tls/life/argv.js'),
    import('../../tls/dns/index.js'),
  ])
  if ((options.dns === undefined) === !options.http) {
    throw new SoakpError('usage', 'Say how the names are proved: either --dns PROVIDER or --http.', {
      hint: '`soakp cert providers` lists the DNS providers',
    })
  }
  if (options.httpPort !== undefined && !options.http) throw new SoakpError('usage', '--http-port is of use with --http only.')
  const keyType = keyTypes.find(each => each === options.keyType)
  if (keyType === undefined) throw new SoakpError('usage', `--key-type is one of ${keyTypes.join(', ')}.`)
  if (options.profile !== undefined && options.requireProfile !== undefined)
    throw new SoakpError('usage', '--profile and --require-profile exclude each other.')
  const profile = options.requireProfile ?? options.profile
  const names = identifiersOf(options.domain, { allowAddresses: options.http === true && profile !== undefined }).map(({ value }) => value)
  if (options.http && names.some(name => name.startsWith('*.')))
    throw new SoakpError('usage', 'A wildcard is proved by DNS only: --dns PROVIDER.')
  const authorities = (options.server ?? ['letsencrypt']).map(each => {
    const authority = authorityOf(each)
    if (!options.staging || authority.isStaging) return authority.id
    const staging = stagingOf(authority)
    if (staging === undefined)
      throw new SoakpError('usage', `There is no staging of ${authority.title}.`, { hint: '--dry-run rehearses without one' })
    return staging.id
  })
  if ((options.eabKid === undefined) !== (options.eabHmacKeyFile === undefined))
    throw new SoakpError('usage', '--eab-kid and --eab-hmac-key-file go together.')
  const hook = (text: string | undefined, option: string) => (text === undefined ? undefined : commandLine(text, option))
  const name = options.certName ?? (names[0] ?? '').replace(/^\*\./, '')
  return {
    name,
    wishes: {
      names,
      authorities,
      email: options.email,
      agreesToTerms: options.agreeTos === true,
      externalAccount:
        options.eabKid === undefined || options.eabHmacKeyFile === undefined
          ? undefined
          : { kid: options.eabKid, hmacKeyFile: resolve(options.eabHmacKeyFile) },
      proof:
        options.dns === undefined
          ? { type: 'http-01', port: options.httpPort ?? 80 }
          : { type: 'dns-01', provider: dnsProvider(options.dns).id, resolvers: options.resolver ?? [] },
      keyType,
      reuseKey: options.reuseKey === true,
      profile: profile === undefined ? undefined : { name: profile, required: options.requireProfile !== undefined },
      preferredChain: options.preferredChain,
      hooks: {
        pre: hook(options.preHook, '--pre-hook'),
        deploy: hook(options.deployHook, '--deploy-hook'),
        post: hook(options.postHook, '--post-hook'),
      },
    },
  }
}

function portOf(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw new InvalidArgumentError('It is a port from 1 to 65535.')
  return port
}
