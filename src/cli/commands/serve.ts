import { Command, Option } from 'commander'
import type { Cli } from '../cli.js'
import { Exit } from '../failure.js'
import { trialText } from '../trial.js'
import { initText, nextToServing } from '../view/init.js'

interface Options {
  readonly host?: string
  readonly port?: string
  readonly http?: boolean
  readonly firstRun?: boolean
}

/** `soakp serve`: the daemon, until it is told to end. Logs go to stdout; a terminal is also told where it listens. */
export function serve(cli: Cli): Command {
  return new Command('serve')
    .description('run the daemon')
    .option('--host <address>', 'address to listen on (default: SOAKP_HOST, else 127.0.0.1)')
    .option('--port <number>', 'port to listen on; 0 takes any free one (default: SOAKP_PORT, else 3033)')
    .option('--http', 'plain HTTP instead of HTTPS: on loopback, or behind a trusted proxy')
    .addOption(new Option('--first-run', 'make the home if there is none, and print a call to try on a terminal').hideHelp())
    .action((options: Options) => run(cli, options))
}

/** A signal that comes while the daemon starts is kept until there is something to end. */
async function run(cli: Cli, options: Options): Promise<void> {
  let told: NodeJS.Signals | undefined
  const keep = (signal: NodeJS.Signals) => {
    told = signal
  }
  const forget = () => process.off('SIGTERM', keep).off('SIGINT', keep)
  process.on('SIGTERM', keep).on('SIGINT', keep)
  try {
    await daemon(cli, options, () => {
      forget()
      if (told !== undefined) process.emit(told, told)
    })
  } finally {
    forget()
  }
}

async function daemon(cli: Cli, { host, port, http, firstRun = false }: Options, ready: () => void): Promise<void> {
  const settings = await cli.settings({ host, port, http: http ? 'true' : undefined })
  const { homeIsThere, initHome, openHomeCertificates } = await import('../../home.js')
  if (firstRun && !homeIsThere(settings)) cli.note(initText(await initHome(settings, { now: cli.now }), nextToServing))
  const [{ pino }, { serve: listen }, { untilEnded }, { watchCertificates }] = await Promise.all([
    import('pino'),
    import('../../server/listen.js'),
    import('../../server/session.js'),
    import('../../tls/life/daemon.js'),
  ])
  const log = pino({ level: settings.logLevel }, cli.log)
  const soakp = await cli.open(log)
  const certificates = await openHomeCertificates(settings, { log, now: cli.now })
  const served = await listen(soakp, { log, certificates, now: cli.now })
  if (cli.interactive) {
    cli.note(`soakp listens on ${served.url}; Ctrl-C ends it`)
    if (firstRun) cli.note(await trialText(soakp, served, certificates?.current.isLocal ?? false, cli.now))
  }
  const watch = watchCertificates({
    certsDir: `${settings.home}/certs`,
    log,
    now: cli.now,
    everyMs: settings.certCheckMs,
    open: async run => (await import('../../keeper.js')).openKeeper(settings, { ...run, attended: false }),
  })
  const door = {
    ...served,
    close() {
      // an order stops while calls still finish
      void watch.close()
      return served.close()
    },
  }
  const close = async () => {
    await watch.close()
    await cli.close()
  }
  const ended = untilEnded({ log, served: door, soakp: { close }, certificates, hangupEnds: cli.interactive })
  ready()
  const exit = await ended
  certificates?.close()
  if (exit !== 0) throw new Exit(exit)
}
