import { newId } from '../../src/lib/id.js'
import type { AppRecord, AppUserRecord, BatchRecord, Entry, GrantRecord, IssuerRecord, KeyRecord } from '../../src/stores/records.js'
import { type CertificateRecord, type CertificateState, type CertificateWishes, freshState } from '../../src/tls/life/record.js'

/** A grant that opens everything, but for what the test says. */
export function aGrant(fields: Partial<GrantRecord> = {}): GrantRecord {
  return {
    id: newId('grt'),
    tenant: 'default',
    name: 'test',
    subject: null,
    scope: { kind: 'all' },
    models: [],
    endpoints: [],
    origins: [],
    addresses: [],
    rate: null,
    concurrency: null,
    maxOutputTokens: null,
    retry5xx: false,
    dpop: null,
    quotas: [],
    budgets: [],
    maxCallMicroDollars: null,
    clampOutput: false,
    shadow: false,
    letFinish: false,
    createdAtMs: 0,
    expiresAtMs: Number.MAX_SAFE_INTEGER,
    revokedAtMs: null,
    cutStreams: false,
    ...fields,
  }
}

/** A key of a known provider, but for what the test says. Nothing is sealed in it. */
export function aKey(fields: Partial<KeyRecord> = {}): KeyRecord {
  return {
    id: newId('key'),
    tenant: 'default',
    user: null,
    provider: 'openai',
    name: 'test',
    baseUrl: null,
    allowPrivate: false,
    auth: null,
    dialect: null,
    organization: null,
    project: null,
    sealed: '',
    masterKeyVersion: 1,
    version: 1,
    state: 'active',
    weight: 1,
    rejectedAtMs: null,
    spentAtMs: null,
    wokenAtMs: null,
    createdAtMs: 0,
    rotatedAtMs: null,
    ...fields,
  }
}

/** An app that opens everything to its users, but for what the test says. */
export function anApp(fields: Partial<AppRecord> = {}): AppRecord {
  return {
    id: newId('app'),
    tenant: 'default',
    name: 'test',
    credentials: [],
    scope: { kind: 'all' },
    models: [],
    endpoints: [],
    origins: [],
    addresses: [],
    maxOutputTokens: null,
    retry5xx: false,
    dpop: false,
    maxCallMicroDollars: null,
    clampOutput: false,
    shadow: false,
    letFinish: false,
    rate: null,
    concurrency: null,
    userRate: null,
    userConcurrency: null,
    quotas: [],
    budgets: [],
    userQuotas: [],
    userBudgets: [],
    userTtlMs: 3_600_000,
    sessionMs: 86_400_000,
    maxUsers: 100,
    createdAtMs: 0,
    revokedAtMs: null,
    cutStreams: false,
    ...fields,
  }
}

export function anAppUser(app: string, fields: Partial<AppUserRecord> = {}): AppUserRecord {
  return {
    id: newId('grt'),
    tenant: 'default',
    app,
    issuer: null,
    user: 'alice',
    epoch: 1,
    createdAtMs: 0,
    expiresAtMs: Number.MAX_SAFE_INTEGER,
    revokedAtMs: null,
    cutStreams: false,
    ...fields,
  }
}

export function anIssuer(app: string, fields: Partial<IssuerRecord> = {}): IssuerRecord {
  return {
    id: newId('iss'),
    tenant: 'default',
    name: 'test',
    url: 'https://issuer.example',
    app,
    audiences: ['soakp'],
    parties: [],
    claims: [],
    jwksUrl: null,
    allowPrivate: false,
    direct: false,
    once: false,
    createdAtMs: 0,
    ...fields,
  }
}

export function anEntry(fields: Partial<Entry> = {}): Entry {
  return {
    id: newId('call'),
    attempt: 1,
    final: true,
    startedAtMs: 0,
    tenant: 'default',
    grantId: 'grt_1',
    tokenId: 'tok_1',
    subject: null,
    app: null,
    keyId: 'key_1',
    provider: 'openai',
    method: 'POST',
    endpoint: '/v1/chat/completions',
    model: 'gpt-4o-mini',
    status: 200,
    outcome: 'ok',
    errorCode: null,
    usageSource: 'provider',
    inputTokens: 1,
    outputTokens: 1,
    cachedInputTokens: 0,
    cacheWriteInputTokens: 0,
    reasoningTokens: 0,
    audioInputTokens: 0,
    audioOutputTokens: 0,
    units: 0,
    unit: null,
    costMicroDollars: null,
    price: null,
    bytesIn: 1,
    bytesOut: 1,
    durationMs: 1,
    firstByteMs: 1,
    address: '127.0.0.1',
    upstreamRequestId: null,
    ...fields,
  }
}

/** A certificate to be kept, whose names are proved by hand. */
export function aCertificate(
  name: string,
  wishes: Partial<CertificateWishes> = {},
  state: CertificateState = freshState,
): CertificateRecord {
  return {
    name,
    createdAtMs: 0,
    wishes: {
      names: ['web.example.test'],
      authorities: ['letsencrypt'],
      email: undefined,
      agreesToTerms: true,
      externalAccount: undefined,
      proof: { type: 'dns-01', provider: 'manual', resolvers: [] },
      keyType: 'p256',
      reuseKey: false,
      profile: undefined,
      preferredChain: undefined,
      hooks: {},
      ...wishes,
    },
    state,
  }
}

/** A batch that holds nothing and was due long ago, but for what the test says. */
export function aBatch(fields: Partial<BatchRecord> = {}): BatchRecord {
  return {
    keyId: 'key_1',
    id: 'batch_1',
    tenant: 'default',
    provider: 'openai',
    callId: 'call_1',
    path: '/v1/batches',
    endpoint: '/v1/batches',
    grantId: 'grt_1',
    tokenId: 'tok_1',
    subject: null,
    app: null,
    address: '127.0.0.1',
    models: [],
    requests: null,
    holds: [],
    createdAtMs: 1,
    nextPollAtMs: 1,
    polls: 0,
    misses: 0,
    settledAtMs: null,
    ...fields,
  }
}
