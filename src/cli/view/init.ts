import { relative } from 'node:path'
import type { InitReport } from '../../home.js'
import { trustText } from './trust.js'

const meanings: Readonly<Record<string, string>> = {
  '.env': 'settings, all of them explained',
  'master.key': 'the master key, which opens the vault',
  'keys.json': 'the keys of the database and the signing key, sealed under the master key',
  'soakp.db': 'the encrypted database',
  certs: 'the local CA and its certificate for this machine',
}

/** What to do with a home that `soakp init` made. */
const next = 'Next: `soakp key add openai`, `soakp token create --provider openai`, `soakp serve`'

/** The same for a home that is to be reached under a name of its own. */
export function nextFor(domain: string | undefined): string {
  if (domain === undefined) return next
  return `${next}\n\nWhere ${domain} is a public name, a certificate that every client believes, renewed from then on:\n  soakp cert issue --dns PROVIDER -d ${domain}      (soakp cert providers lists the DNS providers)`
}

/** The same where `npm start` made it, in a clone, and serves. */
export const nextToServing = 'Next, in a second terminal: `bin/soakp.js key add openai`, `bin/soakp.js token create --provider openai`'

/** What was made, and what to do with it. */
export function initText({ home, made, masterKeyFile, caFile }: InitReport, whatNext: string = next): string {
  const rows = made.map(path => {
    const name = path.startsWith(home) ? relative(home, path) : path
    return `  ${name.padEnd(12)}${meanings[name] ?? ''}`.trimEnd()
  })
  return [
    `made in ${home}:`,
    ...rows,
    '',
    masterKeyFile === undefined
      ? 'The master key comes from SOAKP_MASTER_KEY. Keep a copy: a lost master key is a lost vault, and no backup holds it.'
      : `Copy ${masterKeyFile} to a safe place now: a lost master key is a lost vault, and no backup holds it.`,
    '',
    trustText(caFile),
    '',
    whatNext,
  ].join('\n')
}
