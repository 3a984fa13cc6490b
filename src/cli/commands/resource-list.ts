import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { minute, table } from '../format.js'
import { countOption } from '../input/options.js'
import { ownerOf } from '../input/resource.js'
import { namesOf, resourceView } from '../view/resource.js'

interface Options {
  readonly owner?: string
  readonly provider?: string
  readonly kind?: string
  readonly key?: string
  readonly limit?: number
}

/** `soakp resource list`: what at the providers belongs to whom. */
export function resourceList(cli: Cli): Command {
  return new Command('list')
    .description('list what at the providers belongs to whom, the newest first')
    .option('--owner <owner>', 'only of this grant (grt_…) or user of an app (APP/USER)')
    .option('--provider <provider>', 'only at this provider')
    .option('--kind <kind>', 'only of this kind: file, batch, response …')
    .option('--key <id>', 'only what was made with this key')
    .addOption(countOption('--limit <n>', 'at most so many').default(1000))
    .action(async ({ owner, provider, kind, key, limit }: Options) => {
      const house = await cli.open()
      const filter = {
        tenant: 'default',
        ...(owner === undefined ? {} : { grantId: await ownerOf(house, owner) }),
        ...(provider === undefined ? {} : { provider }),
        ...(kind === undefined ? {} : { kind }),
        ...(key === undefined ? {} : { keyId: key }),
        ...(limit === undefined ? {} : { limit }),
      }
      const records = await house.store.listOwned(filter)
      const names = await namesOf(house, records)
      if (records.length === 0) cli.note('nothing of this is known')
      else if (records.length === limit) cli.note(`the newest ${limit}; --limit shows more`)
      const text = table(records, [
        { title: 'PROVIDER', value: record => record.provider },
        { title: 'KIND', value: record => record.kind },
        { title: 'ID', value: record => record.id },
        { title: 'OWNER', value: record => record.grantId },
        { title: 'NAME', value: record => names.get(record.grantId) },
        { title: 'KEY', value: record => record.keyId },
        { title: 'SINCE', value: record => minute(record.createdAtMs) },
      ])
      cli.result(
        records.map(record => resourceView(record, names)),
        records.length === 0 ? '' : text,
      )
    })
}
