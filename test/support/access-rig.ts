import { generateKeyPair } from 'jose'
import type { SigningKey } from '../../src/access/access-token.js'
import { createApps } from '../../src/access/apps.js'
import { createAccess } from '../../src/access/grants.js'
import { createIssuers } from '../../src/access/issuers.js'
import { createPolicy } from '../../src/access/policy.js'
import { createUserTokens } from '../../src/access/user-tokens.js'
import type { Outbound } from '../../src/lib/outbound.js'
import { memory } from '../../src/stores/memory.js'
import { databaseKey } from '../contracts/store.js'

/** Everything that lets clients in, over a store in memory, with a clock that is set by hand. */
export async function accessRig(outbound: Pick<Outbound, 'pool'> = noOutbound, mayCheck: (address: string) => boolean = () => true) {
  const clock = { now: 1_800_000_000_000 }
  const now = () => clock.now
  const store = await memory.open({ location: '', databaseKey, durability: 'normal', create: true, now })
  const policy = createPolicy(store)
  const { publicKey, privateKey } = await generateKeyPair('EdDSA')
  const signingKey: SigningKey = { kid: 'one', publicJwk: {}, publicKey, privateKey }
  const checkScope = async () => {}
  const apps = createApps({ store, policy, checkScope, now })
  const users = createUserTokens({ store, policy, instanceId: 'inst_1', signingKey, now })
  const issuers = createIssuers({ store, policy, users, outbound, mayCheck, now })
  const access = createAccess({
    store,
    policy,
    instanceId: 'inst_1',
    signingKeys: [signingKey],
    checkScope,
    authenticateOfIssuer: (token, address) => issuers.claimsOf(token, address),
    now,
  })
  return { clock, store, policy, apps, users, issuers, access, signingKey }
}

const noOutbound: Pick<Outbound, 'pool'> = {
  pool() {
    throw new Error('nothing goes out in this test')
  },
}
