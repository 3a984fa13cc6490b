import type { Command } from 'commander'
import { takeVariable, wantsStack } from '../config/variable.js'
import { refuseDiagnostics } from '../server/session.js'
import { refuseSecrets } from './argv.js'
import type { SettingFlags } from './cli.js'
import { failureOf } from './failure.js'
import { createProgram } from './program.js'
import { createSession, type Parts } from './session.js'
import { createTerminal, processStreams, type Streams } from './terminal.js'

/** Runs one command line and resolves to the exit code of the table in errors.ts. */
export async function main(argv: readonly string[], streams: Streams = processStreams, parts: Parts = realParts): Promise<number> {
  refuseDiagnostics()
  const terminal = createTerminal(streams, takeVariable)
  let program: Command | undefined
  const session = createSession(terminal, () => program?.opts() ?? {}, parts)
  try {
    refuseSecrets(argv)
    program = createProgram(session, terminal)
    await program.parseAsync(argv, { from: 'user' })
    await session.close()
    return 0
  } catch (error) {
    const failure = failureOf(error, wantsStack())
    terminal.failure(failure)
    await session.close().catch(() => undefined)
    return failure.exit
  }
}

const realParts: Parts = {
  async settings({ home, ...flags }: SettingFlags) {
    const { loadSettings } = await import('../config/load.js')
    return loadSettings({ home, flags })
  },
  async open(settings, log) {
    const { createSoakp } = await import('../soakp.js')
    return createSoakp(settings, { log })
  },
  now: Date.now,
}
