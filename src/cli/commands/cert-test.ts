import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import { withKeeper } from '../cert-session.js'
import type { Cli } from '../cli.js'
import { printable } from '../format.js'

import { listOption, resolverOption } from '../input/options.js'

interface Options {
  readonly dns: string
  readonly domain: readonly string[]
  readonly resolver?: readonly string[]
}

/** `soakp cert test`: would the names be proved? No CA is asked. */
export function certTest(cli: Cli): Command {
  return new Command('test')
    .description('write a probe record at a DNS provider, see it on every name server, remove it; says what is wrong')
    .requiredOption('--dns <provider>', 'the DNS provider')
    .addOption(listOption('-d, --domain <name...>', 'a name that a certificate is to be for').makeOptionMandatory())
    .addOption(resolverOption())
    .action((options: Options) => run(cli, options))
}

async function run(cli: Cli, { dns, domain, resolver }: Options): Promise<void> {
  const [{ dnsProvider, probeDns }, { identifiersOf }, { pause }] = await Promise.all([
    import('../../tls/dns/index.js'),
    import('../../tls/acme/identifiers.js'),
    import('../../tls/acme/patience.js'),
  ])
  const provider = dnsProvider(dns)
  const names = identifiersOf(domain).map(({ value }) => value)
  const probes = await withKeeper(cli, {}, async keeper => {
    const { now, signal, tell } = keeper.run
    const context = { now, signal, tell, delay: (ms: number) => pause(ms, signal) }
    const options = resolver === undefined ? keeper.dns : { ...keeper.dns, dnsResolvers: resolver }
    const found = []
    for (const name of names) found.push({ name, findings: await probeDns(provider, name, options, context) })
    return found
  })
  const lines = probes.flatMap(({ name, findings }) =>
    findings.flatMap(({ ok, text, hint }) => [
      `${ok ? 'ok  ' : 'fail'}  ${name}  ${printable(text)}`,
      ...(hint === undefined ? [] : [`      ${printable(hint)}`]),
    ]),
  )
  cli.result(
    probes.map(({ name, findings }) => ({ name, ok: findings.every(each => each.ok), findings })),
    lines.join('\n'),
  )
  const failed = probes.filter(({ findings }) => findings.some(each => !each.ok)).length
  if (failed > 0) throw new SoakpError('check_failed', `${failed} of ${probes.length} names could not be proved.`)
}
