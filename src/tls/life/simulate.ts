import { cpSync, existsSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { accountFiles } from '../acme/account-files.js'
import { type Authority, authorities, authorityOf } from '../acme/authorities.js'
import { makeDirectory } from '../files.js'
import { type KeeperDeps, order } from './keeper.js'
import type { CertificateRecord } from './record.js'

/**
 * Goes through an order to its end, challenges and all, and keeps nothing of it: at the CA's staging, where it has one, so that nothing is counted. A private CA
 * is asked itself. The caller holds the lock.
 */
export async function simulate(deps: KeeperDeps, record: CertificateRecord): Promise<void> {
  const folder = join(deps.certsDir, 'dry-run')
  // of one that was killed
  rmSync(folder, { recursive: true, force: true })
  try {
    const asked = record.wishes.authorities.map(each => rehearsalAt(authorityOf(each)))
    const chosen = asked.filter((each, at) => asked.findIndex(other => other.directoryUrl === each.directoryUrl) === at)
    for (const { directoryUrl } of chosen) await copyAccount(deps.certsDir, folder, directoryUrl)
    deps.run.tell(`rehearsing ${record.name} at ${chosen.map(({ title }) => title).join(', then ')}`)
    const { state, ...rest } = record
    const obtained = await order(deps, { ...rest, state: { ...state, issuedBy: undefined } }, chosen, folder)
    obtained.key.fill(0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Public CAs without a staging of their own count every order: Let's Encrypt's staging stands in for them. */
function rehearsalAt(authority: Authority): Authority {
  if (authority.isStaging || !authorities.includes(authority)) return authority
  return stagingOf(authority) ?? authorityOf('letsencrypt-staging')
}

/** The staging of the same CA. */
export function stagingOf({ id }: Pick<Authority, 'id'>): Authority | undefined {
  return authorities.find(each => each.id === `${id}-staging`)
}

/** The account that is there is used, so that none has to be opened for it. */
async function copyAccount(certsDir: string, to: string, directoryUrl: string): Promise<void> {
  const { folder } = accountFiles(certsDir, directoryUrl)
  if (!existsSync(folder)) return
  await makeDirectory(join(to, 'accounts'))
  cpSync(folder, join(to, 'accounts', basename(folder)), { recursive: true })
}
