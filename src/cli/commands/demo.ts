import { Command } from 'commander'
import type { Cli } from '../cli.js'

/** `soakp demo`: the whole product against the built-in sandbox, in a home of its own that is gone afterwards. */
export function demo(cli: Cli): Command {
  return new Command('demo')
    .description('the whole product in ten seconds against the built-in sandbox provider; leaves nothing behind')
    .action(async () => {
      const { tour } = await import('../tour.js')
      const steps = await tour(step => cli.note(`\n$ ${step.command}\n${step.output}`), cli.now)
      cli.note('\nThat was all of it; the home it ran in is gone. Your own: `soakp init`, then `soakp serve`.')
      cli.result(steps, '')
    })
}
