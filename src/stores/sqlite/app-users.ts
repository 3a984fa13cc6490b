import type { AppUserRecord, TokenRecord } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

type AppUserRow = Omit<AppUserRecord, 'cutStreams'> & { readonly cutStreams: number }

const columns = [
  'id',
  'tenant',
  'app',
  'issuer',
  'user',
  'epoch',
  'createdAtMs',
  'expiresAtMs',
  'revokedAtMs',
  'cutStreams',
] as const satisfies readonly (keyof AppUserRecord)[]

type AppUserQueries = Pick<
  Store,
  'keepAppUser' | 'getAppUser' | 'listAppUsers' | 'updateAppUser' | 'endAppUserTokens' | 'endAppUserToken' | 'spend' | 'pruneApps'
>

export function appUserQueries(db: Connection, { read, write, change }: Transactions): AppUserQueries {
  const insert = db.prepare(`INSERT INTO appUsers (${columns.join(', ')}) VALUES (${columns.map(column => `@${column}`).join(', ')})`)
  const prolong = db.prepare('UPDATE appUsers SET expiresAtMs = max(expiresAtMs, @expiresAtMs) WHERE id = @id')
  const takePlace = db.prepare('UPDATE apps SET users = users + 1 WHERE id = @app AND users < @most')
  const get = db.prepare<[string], AppUserRow>(`SELECT ${columns.join(', ')} FROM appUsers WHERE id = ?`)
  const list = db.prepare<[string], AppUserRow>(`SELECT ${columns.join(', ')} FROM appUsers WHERE app = ? ORDER BY seq`)
  const update = db.prepare('UPDATE appUsers SET revokedAtMs = @revokedAtMs, cutStreams = @cutStreams WHERE id = @id')
  const raise = db.prepare('UPDATE appUsers SET epoch = max(epoch + 1, @now) WHERE id = @id')
  const endedOf = db.prepare<[string], TokenRecord>('SELECT jti, grantId, issuedAtMs, expiresAtMs FROM endedTokens WHERE grantId = ?')
  const end = db.prepare(
    `INSERT INTO endedTokens (jti, grantId, issuedAtMs, expiresAtMs, keepUntilMs)
     SELECT @jti, id, @issuedAtMs, @expiresAtMs, @keepUntilMs FROM appUsers WHERE id = @grantId
     ON CONFLICT (jti) DO UPDATE SET expiresAtMs = min(expiresAtMs, excluded.expiresAtMs)`,
  )
  const spend = db.prepare('INSERT INTO spent (id, keepUntilMs) VALUES (?, ?) ON CONFLICT (id) DO NOTHING')
  const dropUsers = db.prepare('DELETE FROM appUsers WHERE expiresAtMs <= @now AND revokedAtMs IS NULL')
  const dropEnded = db.prepare('DELETE FROM endedTokens WHERE keepUntilMs <= @now')
  const dropSpent = db.prepare('DELETE FROM spent WHERE keepUntilMs <= @now')
  const recount = db.prepare('UPDATE apps SET users = (SELECT count(*) FROM appUsers WHERE app = apps.id)')

  function prune(now: number): void {
    dropEnded.run({ now })
    dropSpent.run({ now })
    if (dropUsers.run({ now }).changes > 0) recount.run()
  }

  return {
    keepAppUser: (user, most, now) =>
      write(() => {
        const { id, app, expiresAtMs } = user
        if (prolong.run({ id, expiresAtMs }).changes > 0) return true
        if (takePlace.run({ app, most }).changes === 0) {
          prune(now)
          if (takePlace.run({ app, most }).changes === 0) return false
        }
        insert.run({ ...user, cutStreams: Number(user.cutStreams) })
        return true
      }),
    getAppUser: id =>
      read(() => {
        const row = get.get(id)
        return row && { user: toRecord(row), ended: endedOf.all(id) }
      }),
    listAppUsers: app => read(() => list.all(app).map(toRecord)),
    updateAppUser: (id, patch) =>
      change(() => {
        const row = get.get(id)
        if (row === undefined) return false
        const { revokedAtMs, cutStreams } = { ...toRecord(row), ...patch }
        update.run({ id, revokedAtMs, cutStreams: Number(cutStreams) })
        return true
      }),
    endAppUserTokens: (id, now) => change(() => raise.run({ id, now }).changes > 0),
    endAppUserToken: (token, keepUntilMs) => change(() => end.run({ ...token, keepUntilMs }).changes > 0),
    spend: (id, keepUntilMs) => write(() => spend.run(id, keepUntilMs).changes > 0),
    pruneApps: now => write(() => prune(now)),
  }
}

function toRecord(row: AppUserRow): AppUserRecord {
  return { ...row, cutStreams: row.cutStreams === 1 }
}
