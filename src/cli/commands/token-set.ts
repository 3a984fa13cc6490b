import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { GrantPatch } from '../../stores/store.js'
import type { Cli } from '../cli.js'
import { time } from '../format.js'
import { addClearingOptions, addGrantOptions, type GrantOptions, readDpop, readScope, readSpending } from '../input/grant.js'
import { grantText, grantView } from '../view/grant.js'

/** `soakp token set`: what is given is replaced, the rest stays; the token that is out there goes on working under the new rules. */
export function tokenSet(cli: Cli): Command {
  return addClearingOptions(addGrantOptions(new Command('set').argument('<id>', 'id of the grant')))
    .description('change what a grant allows, from the next call on; lists are replaced')
    .addHelpText(
      'after',
      '\n--ttl counts from now. A token never outlives the end it was issued with: to make one last longer, rotate it after.',
    )
    .action((id: string, options: GrantOptions) => set(cli, id, options))
}

async function set(cli: Cli, id: string, options: GrantOptions): Promise<void> {
  const scope = readScope(options)
  const patch: GrantPatch = { ...(scope && { scope }), ...changes(options, cli.now()) }
  if (Object.keys(patch).length === 0)
    throw new SoakpError('usage', 'There is nothing to change.', { hint: '`soakp token set --help` shows what can be' })
  const { access } = await cli.open()
  await access.set(id, patch)
  const found = await access.show(id)
  const last = Math.max(...found.tokens.map(token => token.expiresAtMs))
  if (options.ttl !== undefined && last < found.grant.expiresAtMs) {
    cli.warn(
      `note: the token that is out there still ends ${time(last)}; \`soakp token rotate ${found.grant.id}\` gives one that lasts as long as the grant`,
    )
  }
  cli.result(grantView(found.grant, cli.now()), grantText(found, cli.now()))
}

function changes(options: GrantOptions, now: number): GrantPatch {
  const { name, subject, ttl, models, endpoints, origin, ip, rate, concurrency, maxOutput, retry5xx, dpop, quota, budget } = options
  return {
    ...(name !== undefined && { name }),
    ...(subject !== undefined && { subject: subject || null }),
    // a JWT counts in whole seconds
    ...(ttl !== undefined && { expiresAtMs: Math.floor((now + ttl) / 1000) * 1000 }),
    ...(models !== undefined && { models: models || [] }),
    ...(endpoints !== undefined && { endpoints: endpoints || [] }),
    ...(origin !== undefined && { origins: origin || [] }),
    ...(ip !== undefined && { addresses: ip || [] }),
    ...(rate !== undefined && { rate: rate || null }),
    ...(concurrency !== undefined && { concurrency: concurrency || null }),
    ...(maxOutput !== undefined && { maxOutputTokens: maxOutput || null }),
    ...(retry5xx !== undefined && { retry5xx }),
    ...(dpop !== undefined && { dpop: readDpop(dpop) }),
    ...(quota !== undefined && { quotas: quota || [] }),
    ...(budget !== undefined && { budgets: budget || [] }),
    ...readSpending(options),
  }
}
