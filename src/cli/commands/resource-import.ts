import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { OwnedRecord } from '../../stores/records.js'
import type { Cli } from '../cli.js'
import { placedError, readRows, recordMaker } from '../input/resource.js'

/** Written in one commit each. */
const pieceSize = 1000

/** `soakp resource import`: whose things are that were made before soakp, or beside it. All of the file is checked before any of it is taken; a second time changes nothing. */
export function resourceImport(cli: Cli): Command {
  return new Command('import')
    .description('say whose things are that were made without soakp')
    .argument(
      '<file>',
      'CSV with the names provider,kind,id,owner,key in its first line; or one JSON document a line; or what `soakp --json resource list` wrote',
    )
    .addHelpText(
      'after',
      '\nThe owner is a grant (grt_…) or the user of an app (APP/USER). The key may be left out where the provider has only one.',
    )
    .action(async (file: string) => {
      const house = await cli.open()
      const make = recordMaker(house, cli.now())
      const fresh = new Map<string, OwnedRecord>()
      let known = 0
      for (const placed of await readRows(file)) {
        const record = await make(placed)
        const name = JSON.stringify([record.provider, record.kind, record.id, record.keyId])
        const before = fresh.get(name) ?? (await house.store.findOwned(record)).find(({ keyId }) => keyId === record.keyId)
        if (before && before.grantId !== record.grantId)
          throw placedError(
            placed.place,
            new SoakpError('usage', `${record.kind} ${record.id} belongs to ${before.grantId}.`, {
              hint: `to give it to another: soakp resource remove ${record.provider} ${record.kind} ${record.id}, and import again`,
            }),
          )
        if (before) known++
        else fresh.set(name, record)
      }
      const records = [...fresh.values()]
      for (let at = 0; at < records.length; at += pieceSize) await house.store.keepOwned(records.slice(at, at + pieceSize))
      cli.result({ imported: records.length, known }, `${records.length} imported, ${known} were known`)
    })
}
