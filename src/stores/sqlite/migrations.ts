import { accounts } from './migration-accounts.js'
import { batches } from './migration-batches.js'
import { spending } from './migration-spending.js'

/** One step of the schema, run in a transaction of its own. Never changed once released: a later step changes what an earlier one made. */
export type Migration = string

/** The position of a step, counted from 1, is the `user_version` it leads to. */
export const migrations: readonly Migration[] = [
  `
  CREATE TABLE policy (one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL) STRICT;
  INSERT INTO policy VALUES (1, 1);

  CREATE TABLE probe (one INTEGER PRIMARY KEY CHECK (one = 1), atMs INTEGER NOT NULL) STRICT;
  INSERT INTO probe VALUES (1, 0);

  CREATE TABLE keys (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    user TEXT,
    provider TEXT NOT NULL,
    name TEXT NOT NULL,
    baseUrl TEXT,
    allowPrivate INTEGER NOT NULL,
    auth TEXT,
    dialect TEXT,
    organization TEXT,
    project TEXT,
    sealed TEXT NOT NULL,
    masterKeyVersion INTEGER NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    rejectedAtMs INTEGER,
    createdAtMs INTEGER NOT NULL,
    rotatedAtMs INTEGER
  ) STRICT;

  CREATE TABLE grants (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    subject TEXT,
    scope TEXT NOT NULL,
    models TEXT NOT NULL,
    endpoints TEXT NOT NULL,
    origins TEXT NOT NULL,
    addresses TEXT NOT NULL,
    rate TEXT,
    concurrency INTEGER,
    maxOutputTokens INTEGER,
    createdAtMs INTEGER NOT NULL,
    expiresAtMs INTEGER NOT NULL,
    revokedAtMs INTEGER,
    cutStreams INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE tokens (
    seq INTEGER PRIMARY KEY,
    jti TEXT NOT NULL UNIQUE,
    grantId TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    issuedAtMs INTEGER NOT NULL,
    expiresAtMs INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX tokensByGrant ON tokens (grantId);

  CREATE TABLE contexts (
    context INTEGER PRIMARY KEY,
    attempt INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    grantId TEXT NOT NULL,
    tokenId TEXT NOT NULL,
    subject TEXT,
    keyId TEXT,
    provider TEXT NOT NULL,
    method TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    model TEXT,
    status INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    errorCode TEXT,
    usageSource TEXT NOT NULL
  ) STRICT;

  -- no index: every page that a commit touches is encrypted anew, and this is the table that every call writes to
  CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    context INTEGER NOT NULL,
    id TEXT NOT NULL,
    startedAtMs INTEGER NOT NULL,
    inputTokens INTEGER NOT NULL,
    outputTokens INTEGER NOT NULL,
    cachedInputTokens INTEGER NOT NULL,
    cacheWriteInputTokens INTEGER NOT NULL,
    reasoningTokens INTEGER NOT NULL,
    audioInputTokens INTEGER NOT NULL,
    audioOutputTokens INTEGER NOT NULL,
    costMicroDollars INTEGER,
    bytesIn INTEGER NOT NULL,
    bytesOut INTEGER NOT NULL,
    durationMs REAL NOT NULL,
    firstByteMs REAL,
    address TEXT NOT NULL,
    upstreamRequestId TEXT
  ) STRICT;

  CREATE VIEW ledger AS SELECT
    seq, id, attempt, startedAtMs, tenant, grantId, tokenId, subject, keyId, provider, method, endpoint, model, status, outcome, errorCode, usageSource,
    inputTokens, outputTokens, cachedInputTokens, cacheWriteInputTokens, reasoningTokens, audioInputTokens, audioOutputTokens, costMicroDollars,
    bytesIn, bytesOut, durationMs, firstByteMs, address, upstreamRequestId
    FROM entries CROSS JOIN contexts USING (context);
  `,
  `
  ALTER TABLE keys ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE keys ADD COLUMN spentAtMs INTEGER;
  ALTER TABLE keys ADD COLUMN wokenAtMs INTEGER;
  ALTER TABLE grants ADD COLUMN retry5xx INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE contexts ADD COLUMN final INTEGER NOT NULL DEFAULT 1;

  CREATE TABLE rests (
    keyId TEXT NOT NULL,
    model TEXT NOT NULL,
    sinceMs INTEGER NOT NULL,
    untilMs INTEGER NOT NULL,
    status INTEGER NOT NULL,
    PRIMARY KEY (keyId, model)
  ) STRICT, WITHOUT ROWID;

  DROP VIEW ledger;
  CREATE VIEW ledger AS SELECT
    seq, id, attempt, final, startedAtMs, tenant, grantId, tokenId, subject, keyId, provider, method, endpoint, model, status, outcome, errorCode, usageSource,
    inputTokens, outputTokens, cachedInputTokens, cacheWriteInputTokens, reasoningTokens, audioInputTokens, audioOutputTokens, costMicroDollars,
    bytesIn, bytesOut, durationMs, firstByteMs, address, upstreamRequestId
    FROM entries CROSS JOIN contexts USING (context);
  `,
  `
  CREATE TABLE apps (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    credentials TEXT NOT NULL,
    scope TEXT NOT NULL,
    models TEXT NOT NULL,
    endpoints TEXT NOT NULL,
    origins TEXT NOT NULL,
    addresses TEXT NOT NULL,
    maxOutputTokens INTEGER,
    retry5xx INTEGER NOT NULL,
    rate TEXT,
    concurrency INTEGER,
    userRate TEXT,
    userConcurrency INTEGER,
    userTtlMs INTEGER NOT NULL,
    sessionMs INTEGER NOT NULL,
    maxUsers INTEGER NOT NULL,
    createdAtMs INTEGER NOT NULL,
    revokedAtMs INTEGER,
    cutStreams INTEGER NOT NULL,
    -- rows of appUsers, so that adding one need not count them
    users INTEGER NOT NULL DEFAULT 0
  ) STRICT;

  CREATE TABLE appUsers (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    app TEXT NOT NULL REFERENCES apps (id),
    issuer TEXT,
    user TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    createdAtMs INTEGER NOT NULL,
    expiresAtMs INTEGER NOT NULL,
    revokedAtMs INTEGER,
    cutStreams INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX appUsersByApp ON appUsers (app);

  CREATE TABLE endedTokens (
    jti TEXT PRIMARY KEY,
    grantId TEXT NOT NULL,
    issuedAtMs INTEGER NOT NULL,
    expiresAtMs INTEGER NOT NULL,
    keepUntilMs INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX endedTokensByGrant ON endedTokens (grantId);

  CREATE TABLE spent (id TEXT PRIMARY KEY, keepUntilMs INTEGER NOT NULL) STRICT;

  CREATE TABLE issuers (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    app TEXT NOT NULL,
    audiences TEXT NOT NULL,
    parties TEXT NOT NULL,
    claims TEXT NOT NULL,
    jwksUrl TEXT,
    allowPrivate INTEGER NOT NULL,
    direct INTEGER NOT NULL,
    once INTEGER NOT NULL,
    createdAtMs INTEGER NOT NULL
  ) STRICT;
  `,
  // what is billed by something else than model tokens
  `
  ALTER TABLE entries ADD COLUMN units INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE entries ADD COLUMN unit TEXT;
  DROP VIEW ledger;
  CREATE VIEW ledger AS SELECT
    seq, id, attempt, final, startedAtMs, tenant, grantId, tokenId, subject, keyId, provider, method, endpoint, model, status, outcome, errorCode, usageSource,
    inputTokens, outputTokens, cachedInputTokens, cacheWriteInputTokens, reasoningTokens, audioInputTokens, audioOutputTokens,
    units, unit, costMicroDollars, bytesIn, bytesOut, durationMs, firstByteMs, address, upstreamRequestId
    FROM entries CROSS JOIN contexts USING (context);
  `,
  `
  CREATE TABLE aliases (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    createdAtMs INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
  ) STRICT, WITHOUT ROWID;
  `,
  // tokens bound to a key of the client's (RFC 9449)
  `
  ALTER TABLE grants ADD COLUMN dpop TEXT;
  ALTER TABLE apps ADD COLUMN dpop INTEGER NOT NULL DEFAULT 0;
  `,
  accounts,
  spending,
  // what belongs to whoever made it
  `
  CREATE TABLE holders (
    holder INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    provider TEXT NOT NULL,
    kind TEXT NOT NULL,
    keyId TEXT NOT NULL,
    grantId TEXT NOT NULL,
    UNIQUE (grantId, provider, kind, keyId, tenant)
  ) STRICT;
  CREATE TABLE owned (
    id TEXT NOT NULL,
    holder INTEGER NOT NULL,
    createdAtMs INTEGER NOT NULL,
    endsAtMs INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX ownedById ON owned (id, holder);
  CREATE INDEX ownedByHolder ON owned (holder);
  CREATE INDEX ownedByEnd ON owned (endsAtMs) WHERE endsAtMs IS NOT NULL;
  `,
  // the days and months of limits
  `
  CREATE TABLE timeZones (
    tenant TEXT NOT NULL,
    timeZone TEXT NOT NULL,
    fromMs INTEGER NOT NULL,
    PRIMARY KEY (tenant, fromMs)
  ) STRICT, WITHOUT ROWID;
  `,
  // calls that only watched limits would have refused, and that took more than was held
  `
  ALTER TABLE hourly ADD COLUMN overQuota INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE hourly ADD COLUMN overBudget INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE hourly ADD COLUMN overrun INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE daily ADD COLUMN overQuota INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE daily ADD COLUMN overBudget INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE daily ADD COLUMN overrun INTEGER NOT NULL DEFAULT 0;
  `,
  batches,
  // rows that are there already may be in use by a daemon for as long as it runs
  `
  ALTER TABLE contexts ADD COLUMN createdAtMs INTEGER;
  `,
]
