import { readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import { certsDirToWrite } from '../cert-session.js'
import type { Cli } from '../cli.js'
import { minute } from '../format.js'
import { statusJson } from '../view/certificate.js'

interface Options {
  readonly cert?: string
  readonly key?: string
  readonly name?: string
}

/** `soakp cert import`: a copy of a pair that somebody else got, checked and put into service. */
export function certImport(cli: Cli): Command {
  return new Command('import')
    .description('put a certificate that came from elsewhere into service; run it again for each new one')
    .argument('[folder]', 'with fullchain.pem and privkey.pem, such as /etc/letsencrypt/live/NAME')
    .option('--cert <file>', 'certificate chain in PEM, leaf first')
    .option('--key <file>', 'its private key in PEM')
    .option('--cert-name <name>', 'what it is called here (default: the folder’s name, else its first name)')
    .action((folder: string | undefined, { certName, ...options }: Options & { certName?: string }) =>
      run(cli, folder, { ...options, ...(certName === undefined ? {} : { name: certName }) }),
    )
}

async function run(cli: Cli, folder: string | undefined, { cert, key, name }: Options): Promise<void> {
  const pair = cert !== undefined && key !== undefined
  if ((folder === undefined) !== pair || (cert === undefined) !== (key === undefined)) {
    throw new SoakpError('usage', 'Name either a folder, or both --cert and --key.')
  }
  const certsDir = await certsDirToWrite(cli)
  const [{ bundleOf }, { installBundle }, { withCertificatesLock }, { checkPair }, { statusOf }, { readRecord }] = await Promise.all([
    import('../../tls/life/live.js'),
    import('../../tls/lineage.js'),
    import('../../tls/life/lock.js'),
    import('../../tls/pair.js'),
    import('../../tls/life/status.js'),
    import('../../tls/life/record.js'),
  ])
  const [certFile, keyFile] = pair ? [cert, key] : [join(folder ?? '', 'fullchain.pem'), join(folder ?? '', 'privkey.pem')]
  const bundle = bundleOf(read(certFile).toString(), read(keyFile))
  const { names } = checkPair({ cert: bundle.cert, key: bundle.key }, { certFile, keyFile }, false, cli.now())
  const called = name ?? (folder === undefined ? (names[0] ?? '').replace(/^\*\./, '') : basename(resolve(folder)))
  await withCertificatesLock(certsDir, async () => installBundle(certsDir, called, bundle, cli.now()))
  const status = statusOf(certsDir, called, readRecord(certsDir, called), cli.now())
  const next =
    status.record === undefined
      ? `soakp does not renew what it did not issue: run this again for the next one, or let soakp issue it: soakp cert issue --cert-name ${called}`
      : 'soakp renews it as it renewed the one before'
  cli.result(
    statusJson(status),
    `${called} is in service: for ${names.join(', ')}, valid until ${minute(status.live?.notAfterMs ?? null)} UTC\n${next}`,
  )
}

function read(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'no code'
    throw new SoakpError('file_refused', `${file} cannot be read (${code}).`, { cause })
  }
}
