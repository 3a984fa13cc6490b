import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Cli } from '../cli.js'
import { printable } from '../format.js'

/** `soakp doctor`: looks at everything, changes nothing, and says what to do about each fault. */
export function doctor(cli: Cli): Command {
  return new Command('doctor')
    .description('check settings, home, master key, database, keys, certificates, clock and port; says what to do about each fault')
    .action(async () => {
      const { examine } = await import('../doctor/examine.js')
      const findings = await examine(() => cli.settings(), cli.now)
      const lines = findings.map(({ check, state, text, todo }) => {
        const line = `${state.padEnd(5)} ${check.padEnd(12)} ${printable(text)}`
        return todo === undefined ? line : `${line}\n${' '.repeat(19)}${printable(todo)}`
      })
      cli.result(findings, lines.join('\n'))
      const failed = findings.filter(({ state }) => state === 'fail').length
      if (failed > 0) throw new SoakpError('check_failed', `${failed} of ${findings.length} checks failed.`)
    })
}
