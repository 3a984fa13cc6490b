import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { SoakpError } from '../../errors.js'
import { writeFileAtomic } from '../../lib/atomic-file.js'
import { certsDirOf } from '../cert-session.js'
import type { Cli } from '../cli.js'

interface Options {
  readonly combined?: boolean
  readonly pkcs12?: boolean
  readonly der?: boolean
  readonly passwordEnv?: string
  readonly passwordStdin?: boolean
}

/** `soakp cert export NAME FILE`: for programs that want it otherwise than in PEM files of its own. Written whole, 0600. */
export function certExport(cli: Cli): Command {
  return new Command('export')
    .description('write a certificate in another form, for other programs')
    .argument('<name>', 'as `soakp cert list` calls it')
    .argument('<file>', 'replaced if it is there; only you can read it')
    .addOption(
      new Option('--combined', 'chain and key in one PEM, as HAProxy reads it (this is what you get if you say nothing)').conflicts([
        'pkcs12',
        'der',
      ]),
    )
    .addOption(new Option('--pkcs12', 'chain and key under a password (.p12, .pfx); it is asked for').conflicts(['combined', 'der']))
    .addOption(new Option('--der', 'the certificate alone, binary').conflicts(['combined', 'pkcs12']))
    .option('--password-env <variable>', 'environment variable that holds the password of PKCS #12')
    .option('--password-stdin', 'read it from standard input')
    .addHelpText('after', '\nFor a copy after each renewal, call this in a --deploy-hook: SOAKP_HOOK_NAME is the name.')
    .action((name: string, file: string, options: Options) => run(cli, name, file, options))
}

async function run(cli: Cli, name: string, file: string, options: Options): Promise<void> {
  if (!options.pkcs12 && (options.passwordEnv !== undefined || options.passwordStdin))
    throw new SoakpError('usage', 'Only PKCS #12 has a password: add --pkcs12.')
  const { liveCertificate, notFound } = await import('../../tls/life/live.js')
  const live = liveCertificate(await certsDirOf(cli), name)
  if (live === undefined) throw notFound(name)
  const key = readFileSync(live.lineage.files.privkey)
  const format = options.pkcs12 ? 'pkcs12' : options.der ? 'der' : 'combined'
  const bytes = options.pkcs12
    ? await asPkcs12(cli, name, live.fullchain.toString(), key, options)
    : options.der
      ? new X509Certificate(live.fullchain).raw
      : Buffer.concat([live.fullchain, key])
  try {
    writeFileAtomic(file, bytes)
  } catch (cause) {
    throw new SoakpError('file_refused', `${file} cannot be written (${(cause as NodeJS.ErrnoException).code ?? 'no code'}).`, { cause })
  } finally {
    key.fill(0)
  }
  cli.result(
    { name, file, format, fingerprint: live.fingerprint },
    `${name} is in ${file}${format === 'der' ? '' : ', with its private key'}`,
  )
}

async function asPkcs12(cli: Cli, name: string, fullchain: string, key: Buffer, { passwordEnv, passwordStdin }: Options): Promise<Buffer> {
  const [{ pkcs12 }, { bundleOf }, { certificatesIn }] = await Promise.all([
    import('../../tls/pkcs12.js'),
    import('../../tls/life/live.js'),
    import('../../tls/pem.js'),
  ])
  const { cert, chain } = bundleOf(fullchain, key)
  const above = certificatesIn(chain.toString())
  const password = await cli.readSecret('Password for the file', {
    fromEnv: passwordEnv,
    stdin: passwordStdin,
    isPassword: true,
  })
  try {
    return pkcs12(name, [cert.toString(), ...above], key, password)
  } finally {
    password.wipe()
  }
}
