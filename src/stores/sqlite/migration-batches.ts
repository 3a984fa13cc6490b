/** Work that providers do later, and what was seen of files that hold such work. */
export const batches = `
  ALTER TABLE owned ADD COLUMN facts TEXT;

  CREATE TABLE batches (
    keyId TEXT NOT NULL,
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    provider TEXT NOT NULL,
    callId TEXT NOT NULL,
    path TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    grantId TEXT NOT NULL,
    tokenId TEXT NOT NULL,
    subject TEXT,
    app TEXT,
    address TEXT NOT NULL,
    models TEXT NOT NULL,
    requests INTEGER,
    holds TEXT NOT NULL,
    createdAtMs INTEGER NOT NULL,
    nextPollAtMs INTEGER NOT NULL,
    polls INTEGER NOT NULL,
    misses INTEGER NOT NULL,
    settledAtMs INTEGER,
    -- who works on it, in which process of which machine
    leaseHolder TEXT,
    leaseProcess TEXT,
    leaseEndsAtMs INTEGER,
    PRIMARY KEY (keyId, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX batchesByDue ON batches (nextPollAtMs) WHERE settledAtMs IS NULL;
  CREATE INDEX batchesBySettled ON batches (settledAtMs) WHERE settledAtMs IS NOT NULL;
  `
