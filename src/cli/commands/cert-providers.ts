import { Command } from 'commander'
import type { DnsProvider } from '../../tls/dns/provider.js'
import type { Cli } from '../cli.js'
import { facts, table } from '../format.js'

/** `soakp cert providers [NAME]`: the DNS providers, and the settings of one, from the table that the docs are made from. */
export function certProviders(cli: Cli): Command {
  return new Command('providers')
    .description('list the DNS providers; with a name, the settings of one')
    .argument('[name]', 'id or alias of a provider')
    .action(async (name: string | undefined) => {
      const { dnsProvider, dnsProviders } = await import('../../tls/dns/index.js')
      if (name !== undefined) {
        const provider = dnsProvider(name)
        return cli.result(json(provider), text(provider))
      }
      const rows = table(dnsProviders, [
        { title: 'NAME', value: row => row.id },
        { title: 'SERVICE', value: row => row.title },
        { title: 'ALSO', value: row => row.aliases.join(', ') },
        { title: 'SETTINGS', value: row => needed(row).join(', ') },
      ])
      cli.result(dnsProviders.map(json), `${rows}\n\nThe settings of one: soakp cert providers NAME`)
    })
}

const needed = ({ settings }: DnsProvider) => settings.filter(({ required }) => required !== undefined).map(each => each.name)

function json({ id, title, link, aliases, settings, prefixes, capacity, notes, ttl, propagation }: DnsProvider): object {
  return {
    id,
    title,
    link,
    aliases,
    settings: settings.map(({ name, aliases = [], hidden = false, required = false, byDefault = null, what }) => ({
      name,
      aliases,
      hidden,
      required,
      byDefault,
      what,
    })),
    prefixes,
    capacity,
    ttl,
    propagation,
    notes,
  }
}

function text({ id, title, link, settings, notes, prefixes }: DnsProvider): string {
  const rows = settings.map(({ name, aliases = [], required, byDefault, what }): [string, string] => [
    name,
    `${what}${aliases.length === 0 ? '' : ` Also ${aliases.join(', ')}.`}${required === true ? ' Needed.' : typeof required === 'string' ? ` Needed, or other settings instead (${required}).` : ''}${byDefault === undefined ? '' : ` Default: ${byDefault}`}`,
  ])
  const common: [string, string][] = prefixes
    .slice(0, 1)
    .map(prefix => [`${prefix}_TTL …`, 'also _PROPAGATION_TIMEOUT, _POLLING_INTERVAL, _HTTP_TIMEOUT: seconds'])
  return [
    `${title} (--dns ${id}), ${link}`,
    '',
    facts([...rows, ...common]),
    '',
    ...notes.map(note => `- ${note}`),
    `Set them in the environment or in .env of the home, in a file of mode 0600 that NAME_FILE names, or seal them in the vault: soakp cert credentials set ${id}`,
  ].join('\n')
}
