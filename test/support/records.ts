import { newId } from '../../src/lib/id.js'
import type { GrantRecord, KeyRecord } from '../../src/stores/records.js'

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
    rejectedAtMs: null,
    createdAtMs: 0,
    rotatedAtMs: null,
    ...fields,
  }
}
