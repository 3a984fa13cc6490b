import type { Command } from 'commander'
import type { Cli } from '../cli.js'
import { aliasList } from './alias-list.js'
import { aliasRemove } from './alias-remove.js'
import { aliasSet } from './alias-set.js'
import { appCreate } from './app-create.js'
import { appList } from './app-list.js'
import { appRevoke } from './app-revoke.js'
import { appRotate } from './app-rotate.js'
import { appSet } from './app-set.js'
import { appShow } from './app-show.js'
import { backup } from './backup.js'
import { batchCheck } from './batch-check.js'
import { batchList } from './batch-list.js'
import { certAccount } from './cert-account.js'
import { certCredentials } from './cert-credentials.js'
import { certDelete } from './cert-delete.js'
import { certExport } from './cert-export.js'
import { certImport } from './cert-import.js'
import { certIssue } from './cert-issue.js'
import { certList } from './cert-list.js'
import { certLocal } from './cert-local.js'
import { certProviders } from './cert-providers.js'
import { certRenew } from './cert-renew.js'
import { certRevoke } from './cert-revoke.js'
import { certShow } from './cert-show.js'
import { certTest } from './cert-test.js'
import { demo } from './demo.js'
import { doctor } from './doctor.js'
import { init } from './init.js'
import { issuerAdd } from './issuer-add.js'
import { issuerCheck } from './issuer-check.js'
import { issuerList } from './issuer-list.js'
import { issuerRemove } from './issuer-remove.js'
import { issuerShow } from './issuer-show.js'
import { keyAdd } from './key-add.js'
import { keyDisable } from './key-disable.js'
import { keyEnable } from './key-enable.js'
import { keyList } from './key-list.js'
import { keyProviders } from './key-providers.js'
import { keyRemove } from './key-remove.js'
import { keyRotate } from './key-rotate.js'
import { keySet } from './key-set.js'
import { keyShow } from './key-show.js'
import { keyVerify } from './key-verify.js'
import { keyWake } from './key-wake.js'
import { limitList } from './limit-list.js'
import { limitRemove } from './limit-remove.js'
import { limitSet } from './limit-set.js'
import { limitShow } from './limit-show.js'
import { limitTimezone } from './limit-timezone.js'
import { masterRotate } from './master-rotate.js'
import { priceAlias } from './price-alias.js'
import { priceImport } from './price-import.js'
import { priceList } from './price-list.js'
import { priceRemove } from './price-remove.js'
import { priceSet } from './price-set.js'
import { priceShow } from './price-show.js'
import { reconcile } from './reconcile.js'
import { resourceImport } from './resource-import.js'
import { resourceList } from './resource-list.js'
import { resourceRemove } from './resource-remove.js'
import { restore } from './restore.js'
import { serve } from './serve.js'
import { tokenCreate } from './token-create.js'
import { tokenList } from './token-list.js'
import { tokenRevoke } from './token-revoke.js'
import { tokenRotate } from './token-rotate.js'
import { tokenSet } from './token-set.js'
import { tokenShow } from './token-show.js'
import { usage } from './usage.js'

export type MakeCommand = (cli: Cli) => Command

/** Commands under one word. */
export interface Group {
  readonly name: string
  readonly description: string
  readonly commands: readonly MakeCommand[]
}

/** Every command there is, in the order of the help. */
export const commands: readonly (MakeCommand | Group)[] = [
  init,
  serve,
  demo,
  doctor,
  {
    name: 'key',
    description: 'the AI provider keys in the vault',
    commands: [keyAdd, keyList, keyShow, keyVerify, keySet, keyRotate, keyWake, keyDisable, keyEnable, keyRemove, keyProviders],
  },
  {
    name: 'token',
    description: 'access tokens, and the grants that say what they open',
    commands: [tokenCreate, tokenSet, tokenList, tokenShow, tokenRotate, tokenRevoke],
  },
  {
    name: 'app',
    description: 'apps, whose backends fetch access tokens for their users',
    commands: [appCreate, appSet, appList, appShow, appRotate, appRevoke],
  },
  {
    name: 'issuer',
    description: 'who signs your users in: Firebase, Supabase, Auth0, Clerk, any OpenID Connect provider',
    commands: [issuerAdd, issuerList, issuerShow, issuerCheck, issuerRemove],
  },
  {
    name: 'limit',
    description: 'limits on keys, users, models and on all calls, and what of them is used',
    commands: [limitSet, limitList, limitShow, limitRemove, limitTimezone],
  },
  {
    name: 'resource',
    description: 'what at the providers belongs to whom: files, batches, stored replies',
    commands: [resourceList, resourceImport, resourceRemove],
  },
  {
    name: 'alias',
    description: 'names of your own for models, on the unified endpoint',
    commands: [aliasSet, aliasList, aliasRemove],
  },
  usage,
  { name: 'batch', description: 'work that providers do later, and what is held for it', commands: [batchList, batchCheck] },
  reconcile,
  {
    name: 'price',
    description: 'what calls cost',
    commands: [priceSet, priceAlias, priceList, priceShow, priceImport, priceRemove],
  },
  backup,
  restore,
  { name: 'master', description: 'the master key, which seals the vault', commands: [masterRotate] },
  {
    name: 'cert',
    description: 'certificates: from a public CA, from elsewhere, and those of the local CA',
    commands: [
      certIssue,
      certRenew,
      certList,
      certShow,
      certRevoke,
      certDelete,
      certImport,
      certExport,
      certTest,
      certProviders,
      certCredentials,
      certAccount,
      certLocal,
    ],
  },
]
