import { SoakpError } from '../../errors.js'

const full = 'free some space on the disk that holds the database'
const damaged = 'stop soakp and restore a backup: soakp restore FILE'

/** Puts the driver's error into soakp's words; whatever is not the driver's passes unchanged. `file` is named to the reader. */
export function driverError(error: unknown, file: string): unknown {
  if (!(error instanceof Error) || error instanceof SoakpError) return error
  const { code } = error as NodeJS.ErrnoException
  if (typeof code !== 'string') return error
  if (code === 'ENOSPC' || code === 'EDQUOT') return new SoakpError('store_full', file, { cause: error, hint: full })
  if (!code.startsWith('SQLITE_')) return code.startsWith('E') ? unavailable(error, file) : error
  // extended codes carry more words: SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_WRITE
  switch (code.split('_')[1]) {
    case 'BUSY':
    case 'LOCKED':
    case 'PROTOCOL':
      return new SoakpError('store_locked', file, {
        cause: error,
        hint: 'another program has the database open for itself; try again when it is done',
        retryAfterSeconds: 1,
      })
    case 'FULL':
      return new SoakpError('store_full', file, { cause: error, hint: full, retryAfterSeconds: 10 })
    case 'CORRUPT':
      return new SoakpError('store_damaged', file, { cause: error, hint: damaged })
    case 'NOTADB':
      return new SoakpError(
        'store_damaged',
        `${file} cannot be read with the database key of this vault: it belongs to another one, or its beginning is damaged.`,
        { cause: error, hint: damaged },
      )
    case 'IOERR':
    case 'CANTOPEN':
    case 'READONLY':
    case 'PERM':
    case 'NOMEM':
      return unavailable(error, file)
    default:
      // a constraint, a mistake in a statement: ours, not the disk's
      return new SoakpError('internal', undefined, { cause: error })
  }
}

function unavailable(error: Error, file: string): SoakpError {
  return new SoakpError('store_unavailable', file, {
    cause: error,
    hint: 'check that the file and its folder are there, belong to this user and can be written',
    retryAfterSeconds: 5,
  })
}
