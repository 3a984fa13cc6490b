/** Prices of the operator's own, and the sums of each hour and day. */
export const accounts = `
  ALTER TABLE contexts ADD COLUMN app TEXT;
  ALTER TABLE contexts ADD COLUMN price TEXT;
  DROP VIEW ledger;
  CREATE VIEW ledger AS SELECT
    seq, id, attempt, final, startedAtMs, tenant, grantId, tokenId, subject, app, keyId, provider, method, endpoint, model, status, outcome, errorCode, usageSource,
    inputTokens, outputTokens, cachedInputTokens, cacheWriteInputTokens, reasoningTokens, audioInputTokens, audioOutputTokens,
    units, unit, costMicroDollars, price, bytesIn, bytesOut, durationMs, firstByteMs, address, upstreamRequestId
    FROM entries CROSS JOIN contexts USING (context);

  CREATE TABLE prices (
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    fromMs INTEGER NOT NULL,
    rates TEXT,
    sameAs TEXT,
    createdAtMs INTEGER NOT NULL,
    PRIMARY KEY (provider, model, fromMs)
  ) STRICT, WITHOUT ROWID;

  -- what calls are summed up by; empty where an entry has none
  CREATE TABLE dims (
    dim INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    app TEXT NOT NULL,
    grantId TEXT NOT NULL,
    subject TEXT NOT NULL,
    keyId TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    UNIQUE (grantId, model, keyId, subject, provider, app, tenant)
  ) STRICT;

  CREATE TABLE hourly (
    -- hours since 1970, UTC
    hour INTEGER NOT NULL,
    dim INTEGER NOT NULL,
    unit TEXT NOT NULL,
    calls INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    inputTokens INTEGER NOT NULL,
    outputTokens INTEGER NOT NULL,
    cachedInputTokens INTEGER NOT NULL,
    cacheWriteInputTokens INTEGER NOT NULL,
    reasoningTokens INTEGER NOT NULL,
    audioInputTokens INTEGER NOT NULL,
    audioOutputTokens INTEGER NOT NULL,
    units INTEGER NOT NULL,
    costMicroDollars INTEGER NOT NULL,
    -- among these numbers lie all its entries
    firstSeq INTEGER NOT NULL,
    lastSeq INTEGER NOT NULL,
    PRIMARY KEY (hour, dim, unit)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE daily (
    -- days since 1970, UTC
    day INTEGER NOT NULL,
    dim INTEGER NOT NULL,
    unit TEXT NOT NULL,
    calls INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    inputTokens INTEGER NOT NULL,
    outputTokens INTEGER NOT NULL,
    cachedInputTokens INTEGER NOT NULL,
    cacheWriteInputTokens INTEGER NOT NULL,
    reasoningTokens INTEGER NOT NULL,
    audioInputTokens INTEGER NOT NULL,
    audioOutputTokens INTEGER NOT NULL,
    units INTEGER NOT NULL,
    costMicroDollars INTEGER NOT NULL,
    PRIMARY KEY (day, dim, unit)
  ) STRICT, WITHOUT ROWID;

  -- entries up to this one are in the sums
  CREATE TABLE rolled (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL) STRICT;
  INSERT INTO rolled VALUES (1, 0);
  `
