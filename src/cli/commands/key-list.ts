import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { minute, table } from '../format.js'
import { keyState, keyView } from '../view/key.js'

/** `soakp key list`: what is in the vault, never a key's value. */
export function keyList(cli: Cli): Command {
  return new Command('list')
    .description('list the keys in the vault')
    .option('--provider <name>', 'only keys of this provider')
    .action(async ({ provider }: { provider?: string }) => {
      const { store } = await cli.open()
      const rests = await store.listRests(cli.now())
      const keys = await store.listKeys(provider === undefined ? {} : { provider })
      if (keys.length === 0)
        cli.note(provider === undefined ? 'no keys yet; add one with `soakp key add PROVIDER`' : 'no keys of this provider')
      const text = table(keys, [
        { title: 'ID', value: key => key.id },
        { title: 'PROVIDER', value: key => key.provider },
        { title: 'NAME', value: key => key.name },
        { title: 'USER', value: key => key.user },
        { title: 'WEIGHT', value: key => key.weight, right: true },
        { title: 'STATE', value: key => keyState(key, rests) },
        { title: 'CREATED', value: key => minute(key.createdAtMs) },
      ])
      cli.result(
        keys.map(key => keyView(key, rests)),
        keys.length === 0 ? '' : text,
      )
    })
}
