import { join } from 'node:path'
import { readEnvFile } from './env-file.js'
import { homeOf, type LoadOptions } from './load.js'

/**
 * Looks up variables that are no settings of ours, such as a DNS provider's credentials under the names other tools gave them: in the environment, else in the home's `.env`.
 * Empty counts as not set. A name of ours is never found here.
 */
export function foreignVariables({
  env = process.env,
  home,
}: Pick<LoadOptions, 'env' | 'home'> = {}): (name: string) => string | undefined {
  const { entries } = readEnvFile(join(homeOf({ env, home }), '.env'))
  const inFile = new Map(entries.map(({ name, value }) => [name, value]))
  return name => (name.toUpperCase().startsWith('SOAKP_') ? undefined : env[name] || inFile.get(name) || undefined)
}
