/** Quotas and budgets, and their counters. */
export const spending = `
  ALTER TABLE grants ADD COLUMN quotas TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE grants ADD COLUMN budgets TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE grants ADD COLUMN maxCallMicroDollars INTEGER;
  ALTER TABLE grants ADD COLUMN clampOutput INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE grants ADD COLUMN shadow INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE grants ADD COLUMN letFinish INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE apps ADD COLUMN quotas TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE apps ADD COLUMN budgets TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE apps ADD COLUMN userQuotas TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE apps ADD COLUMN userBudgets TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE apps ADD COLUMN maxCallMicroDollars INTEGER;
  ALTER TABLE apps ADD COLUMN clampOutput INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE apps ADD COLUMN shadow INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE apps ADD COLUMN letFinish INTEGER NOT NULL DEFAULT 0;

  CREATE TABLE limits (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    model TEXT NOT NULL,
    rate TEXT,
    concurrency INTEGER,
    quotas TEXT NOT NULL,
    budgets TEXT NOT NULL,
    shadow INTEGER NOT NULL,
    createdAtMs INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, subject, model)
  ) STRICT, WITHOUT ROWID;

  -- what was drawn of a counter, by each living instance, and in the row of no instance by all that ended
  CREATE TABLE slices (
    counter TEXT NOT NULL,
    windowStartMs INTEGER NOT NULL,
    instance TEXT NOT NULL,
    windowEndMs INTEGER NOT NULL,
    drawn INTEGER NOT NULL,
    used INTEGER NOT NULL,
    mostHeld INTEGER NOT NULL,
    lost INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (counter, windowStartMs, instance)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE instances (
    instance TEXT PRIMARY KEY,
    -- which process of which machine it is, to tell that it is dead before it is overdue
    process TEXT NOT NULL,
    expiresAtMs INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `
