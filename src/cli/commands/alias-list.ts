import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { minute, table } from '../format.js'
import { aliasView } from '../view/alias.js'

/** `soakp alias list`: every name of your own, and what it stands for. */
export function aliasList(cli: Cli): Command {
  return new Command('list').description('list the names of your own, and the models they stand for').action(async () => {
    const { store } = await cli.open()
    const aliases = await store.listAliases('default')
    if (aliases.length === 0) cli.note('no aliases yet; make one with `soakp alias set NAME=PROVIDER/MODEL`')
    const text = table(aliases, [
      { title: 'NAME', value: alias => alias.name },
      { title: 'STANDS FOR', value: alias => alias.target },
      { title: 'CREATED', value: alias => minute(alias.createdAtMs) },
    ])
    cli.result(aliases.map(aliasView), aliases.length === 0 ? '' : text)
  })
}
