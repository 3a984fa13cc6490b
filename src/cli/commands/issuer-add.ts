import { Command, InvalidArgumentError, Option } from 'commander'
import type { Cli } from '../cli.js'
import { findApp } from '../input/find.js'
import { listOption } from '../input/options.js'
import { issuerText, issuerView } from '../view/issuer.js'

interface Claim {
  readonly name: string
  readonly value: string
}

interface Options {
  readonly app: string
  readonly audience?: readonly string[]
  readonly azp?: readonly string[]
  readonly claim?: readonly Claim[]
  readonly name?: string
  readonly jwks?: string
  readonly allowPrivate?: boolean
  readonly direct?: boolean
  readonly once?: boolean
  readonly check: boolean
}

/** `soakp issuer add`: from now on, whoever it vouches for is a user of the app. */
export function issuerAdd(cli: Cli): Command {
  return new Command('add')
    .description("take the JWTs of an issuer in place of a backend's word: whoever it signs in is a user of the app")
    .argument('<url>', 'what its tokens carry as iss, such as https://example.eu.auth0.com/')
    .requiredOption('--app <app>', 'id or name of the app whose rules its users get')
    .addOption(listOption('--audience <values...>', 'tokens have to be made for one of these (aud)'))
    .addOption(listOption('--azp <values...>', 'tokens have to be given to one of these parties (azp)'))
    .addOption(new Option('--claim <name=value>', 'tokens have to carry this; can be said several times').argParser(readClaim))
    .option('--name <text>', 'stands before the names of its users (default: its host)')
    .option('--jwks <url>', 'where its keys are, for an issuer without discovery')
    .option('--direct', 'its tokens open the relay themselves, without an exchange')
    .option('--once', 'each of its tokens is exchanged once at most')
    .option('--allow-private', 'it may lie in a private network')
    .option('--no-check', 'do not ask it now')
    .action((url: string, options: Options) => add(cli, url, options))
}

async function add(cli: Cli, url: string, options: Options): Promise<void> {
  const { audience, azp, claim, name, jwks, allowPrivate, direct, once, check } = options
  const { apps, issuers } = await cli.open()
  const app = await findApp(apps, options.app)
  const issuer = await issuers.add({
    url,
    app: app.id,
    check,
    ...(audience && { audiences: audience }),
    ...(azp && { parties: azp }),
    ...(claim && { claims: claim }),
    ...(name !== undefined && { name }),
    ...(jwks !== undefined && { jwksUrl: jwks }),
    ...(allowPrivate && { allowPrivate }),
    ...(direct && { direct }),
    ...(once && { once }),
  })
  cli.result(issuerView(issuer), issuerText(issuer))
}

function readClaim(text: string, before: readonly Claim[] | undefined): Claim[] {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It is a claim and its value, such as email_verified=true.')
  return [...(before ?? []), { name: text.slice(0, at), value: text.slice(at + 1) }]
}
