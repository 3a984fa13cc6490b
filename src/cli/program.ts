import { Command } from 'commander'
import { version } from '../lib/version.js'
import type { Cli } from './cli.js'
import { commands, type Group } from './commands/index.js'
import type { Terminal } from './terminal.js'

/** Every command, with help and errors going through the terminal instead of out of the process. */
export function createProgram(cli: Cli, terminal: Pick<Terminal, 'out' | 'note'>): Command {
  const program = new Command('soakp')
    .description('Keeps AI provider keys off clients: an encrypted vault, narrow access tokens, and a relay to every provider.')
    .option('--home <dir>', 'where settings, vault, database and certificates are (default: $SOAKP_HOME, else ~/.soakp)')
    .option('--json', 'print one JSON document on stdout and nothing else there; errors stay text on stderr')
    .version(version(), '--version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .addHelpText('after', '\nStart with `soakp init`, or see it work at once with `soakp demo`.')
  for (const entry of commands) program.addCommand('commands' in entry ? group(entry, cli) : entry(cli))
  tame(program, terminal)
  return program
}

function group({ name, description, commands }: Group, cli: Cli): Command {
  const command = new Command(name).description(description)
  for (const make of commands) command.addCommand(make(cli))
  return command
}

/** Commander's own habits are to print and to end the process. */
function tame(command: Command, terminal: Pick<Terminal, 'out' | 'note'>): void {
  command.exitOverride()
  command.configureOutput({ writeOut: text => terminal.out(text), writeErr: text => terminal.note(text), outputError: () => undefined })
  command.configureHelp({ showGlobalOptions: true })
  command.showSuggestionAfterError(true)
  for (const child of command.commands) tame(child, terminal)
}
