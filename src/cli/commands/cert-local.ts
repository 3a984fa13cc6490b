import { join } from 'node:path'
import { Command } from 'commander'
import { homeToWrite } from '../cert-session.js'
import type { Cli } from '../cli.js'
import { trustText } from '../view/trust.js'

/** `soakp cert local`: makes what is missing of the local CA and its certificate, renews what is due, and says how to trust it. */
export function certLocal(cli: Cli): Command {
  return new Command('local').description('make or renew the certificate for localhost, and say how to trust its CA').action(async () => {
    const settings = await homeToWrite(cli)
    const [{ ensureLocalCertificate }, { namesFor }] = await Promise.all([import('../../tls/local-ca.js'), import('../../home.js')])
    const { caFile, caMade, leafMade, refusedNames } = await ensureLocalCertificate(
      join(settings.home, 'certs'),
      namesFor(settings),
      cli.now(),
    )
    const done = caMade ? 'made a new CA and its certificate' : leafMade ? 'made a new certificate' : 'the certificate is in order'
    if (refusedNames.length > 0)
      cli.warn(
        `warning: this CA may not certify ${refusedNames.join(', ')}; move ${join(settings.home, 'certs/local')} away and run this again for one that may`,
      )
    cli.result({ caFile, caMade, certificateMade: leafMade, refusedNames }, `${done}\n\n${trustText(caFile)}`)
  })
}
