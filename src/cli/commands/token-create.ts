import { Command } from 'commander'
import type { NewGrant } from '../../access/access.js'
import { SoakpError } from '../../errors.js'
import { anyKey } from '../../stores/records.js'
import type { Store } from '../../stores/store.js'
import type { Cli } from '../cli.js'
import { time } from '../format.js'
import { addGrantOptions, type GrantOptions, readDpop, readScope, readSpending } from '../input/grant.js'
import { grantView, scopeText } from '../view/grant.js'

const defaultLifetimeMs = 30 * 86_400_000

/** `soakp token create`: the token alone on stdout, so that `TOKEN=$(soakp token create …)` works; the rest is on stderr. */
export function tokenCreate(cli: Cli): Command {
  return addGrantOptions(new Command('create'))
    .description('make an access token for a new grant; it is printed once and not kept')
    .addHelpText('after', '\nOne of --provider, --key and --all is needed. Without --ttl a token lasts 30d.')
    .action((options: GrantOptions) => create(cli, options))
}

async function create(cli: Cli, options: GrantOptions): Promise<void> {
  const scope = readScope(options)
  if (!scope)
    throw new SoakpError('usage', 'A token opens nothing by itself.', { hint: 'say what it opens: --provider NAME, --key ID or --all' })
  const { access, store } = await cli.open()
  const issued = await access.create(wanted(scope, options))
  const { grant, token } = issued
  cli.note(`grant ${grant.id} opens ${scopeText(grant.scope)} until ${time(issued.expiresAtMs)}; the token is shown only now:`)
  if (scope.kind === 'providers') await noteKeyless(cli, store, grant.tenant, scope.providers)
  if (grant.dpop === anyKey)
    cli.warn('note: it opens nothing by itself: the client exchanges it, once, at /auth/refresh for one that is bound to its key')
  cli.result({ ...grantView(grant, cli.now()), token, expiresAt: time(issued.expiresAtMs) }, token)
}

/** A grant may be made before the keys it opens; calls are refused until then. */
async function noteKeyless(cli: Cli, store: Pick<Store, 'listKeys'>, tenant: string, names: readonly string[]): Promise<void> {
  for (const provider of names) {
    const keys = await store.listKeys({ tenant, provider })
    if (keys.length === 0)
      cli.warn(`note: there is no key of ${provider} yet, and calls are refused until there is: soakp key add ${provider}`)
  }
}

function wanted(scope: NewGrant['scope'], options: GrantOptions): NewGrant {
  const { subject, models, endpoints, origin, ip, rate, concurrency, maxOutput, retry5xx, dpop, quota, budget } = options
  const { maxCallMicroDollars, ...spending } = readSpending(options)
  return {
    scope,
    name: options.name ?? 'default',
    lifetimeMs: options.ttl ?? defaultLifetimeMs,
    ...(subject && { subject }),
    ...(models && { models }),
    ...(endpoints && { endpoints }),
    ...(origin && { origins: origin }),
    ...(ip && { addresses: ip }),
    ...(rate && { rate }),
    ...(concurrency && { concurrency }),
    ...(maxOutput && { maxOutputTokens: maxOutput }),
    ...(retry5xx && { retry5xx }),
    ...(dpop && { dpop: readDpop(dpop) ?? anyKey }),
    ...(quota && { quotas: quota }),
    ...(budget && { budgets: budget }),
    ...spending,
    ...(maxCallMicroDollars && { maxCallMicroDollars }),
  }
}
