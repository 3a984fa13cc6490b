// The certificate of the local CA, put where the host can read it. It is no secret; the key beside it stays with soakp alone.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { trustText } from '../dist/src/cli/view/trust.js'

/** Returns what the user has to do with it. */
export async function exportCa(home) {
  const file = join(home, 'certs', 'local-ca.pem')
  writeFileSync(`${file}.next`, readFileSync(join(home, 'certs', 'local', 'ca.pem')), { mode: 0o644 })
  renameSync(`${file}.next`, file)
  return trustText('certs/local-ca.pem')
}
