import { readFile, stat } from 'node:fs/promises'
import { grantOfUser } from '../../access/user-tokens.js'
import { SoakpError } from '../../errors.js'
import { parseCsv } from '../../lib/csv.js'
import { resourceKinds } from '../../providers/index.js'
import { routeOf } from '../../relay/authorize.js'
import type { Soakp } from '../../soakp.js'
import type { KeyRecord, OwnedRecord } from '../../stores/records.js'
import { shown } from '../argv.js'
import { findApp } from './find.js'

const tenant = 'default'
const maxBytes = 64 * 1024 * 1024

type Row = Readonly<Record<string, unknown>>
type House = Pick<Soakp, 'store' | 'access' | 'apps'>

/** One row of a file, and where it stands: `Line 3`, or `Row 3` of a JSON list. */
interface Placed {
  readonly place: string
  readonly row: Row
}

/** Rows of CSV with a line of names, of one JSON document a line, or of a JSON list as `soakp --json resource list` writes it. Throws `usage`. */
export async function readRows(file: string): Promise<Placed[]> {
  if ((await stat(file)).size > maxBytes) throw new SoakpError('usage', `${file} is larger than 64 MB.`)
  const text = (await readFile(file, 'utf8')).replace(/^\ufeff/, '')
  const first = text.trimStart()[0]
  if (first === '[') return (json(text, file) as Row[]).map((row, index) => ({ place: `Row ${index + 1}`, row }))
  const lines = text.split('\n').flatMap((line, index) => (line.trim() === '' ? [] : [{ place: `Line ${index + 1}`, line: line.trim() }]))
  if (first === '{') return lines.map(({ place, line }) => ({ place, row: json(line, `${place} of ${file}`) as Row }))
  const [head, ...rest] = lines
  const names = head ? (parseCsv(head.line)[0] ?? []).map(name => name.trim()) : []
  return rest.map(({ place, line }) => {
    const values = parseCsv(`${head?.line}\n${line}`)[1] ?? []
    if (values.length > names.length) throw new SoakpError('usage', `${place} of ${file} has more values than the first line has names.`)
    return { place, row: Object.fromEntries(names.map((name, at) => [name, values[at]?.trim() || undefined])) }
  })
}

function json(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new SoakpError('usage', `${where} is no JSON.`, { cause: error })
  }
}

/** Makes records of rows. What it looks up is looked up once. */
export function recordMaker(house: House, now: number): (placed: Placed) => Promise<OwnedRecord> {
  const owners = new Map<string, Promise<string>>()
  const keys = new Map<string, Promise<KeyRecord>>()
  const kinds = new Map<string, ReadonlySet<string>>()

  function once<T>(known: Map<string, Promise<T>>, name: string, find: () => Promise<T>): Promise<T> {
    let found = known.get(name)
    if (!found) {
      found = find()
      known.set(name, found)
    }
    return found
  }

  async function read(row: Row): Promise<OwnedRecord> {
    const { provider, kind, id, owner, key, createdAt, endsAt, user: _, ...unknown } = Object(row) as Row
    const [stranger] = Object.keys(unknown)
    if (stranger !== undefined) throw new SoakpError('usage', `There is no field ${shown(stranger)}.`, { hint: fieldsHint })
    const [providerName, kindName, idText, ownerText] = [provider, kind, id, owner].map((value, at) => {
      if (typeof value === 'string' && value !== '') return value
      throw new SoakpError('usage', `It has no ${['provider', 'kind', 'id', 'owner'][at]}.`, { hint: fieldsHint })
    }) as [string, string, string, string]
    const made = await once(keys, `${providerName} ${String(key ?? '')}`, () => keyOf(house, providerName, key))
    const known = kinds.get(made.id) ?? resourceKinds(routeOf(made).provider)
    kinds.set(made.id, known)
    if (!known.has(kindName))
      throw new SoakpError('usage', `${made.provider} has no kind ${shown(kindName)}.`, {
        hint: `it has ${[...known].sort().join(', ') || 'none'}`,
      })
    if (!/^[^\s/\p{C}]{1,500}$/u.test(idText))
      throw new SoakpError('usage', `${shown(idText)} is no id.`, { hint: 'an id stands alone: of files/abc only abc' })
    const grantId = await once(owners, ownerText, () => ownerOf(house, ownerText))
    const times = { createdAtMs: momentOf(createdAt, 'createdAt') ?? now, endsAtMs: momentOf(endsAt, 'endsAt') ?? null }
    return { tenant, provider: made.provider, kind: kindName, id: idText, keyId: made.id, grantId, ...times, facts: null }
  }

  return async ({ place, row }) => {
    try {
      return await read(row)
    } catch (error) {
      throw placedError(place, error)
    }
  }
}

const fieldsHint = 'the fields are provider, kind, id, owner and key, and where you like createdAt and endsAt'

/** The same error, with where it is. */
export function placedError(place: string, error: unknown): unknown {
  if (!(error instanceof SoakpError)) return error
  return new SoakpError('usage', `${place}: ${(error.code === 'usage' && error.detail) || error.message}`, {
    cause: error,
    ...(error.hint && { hint: error.hint }),
  })
}

/** A grant by its id, or `APP/USER`, by the app's id or name. Throws `grant_not_found`, `app_not_found`, `usage`. */
export async function ownerOf({ access, apps, store }: House, text: string): Promise<string> {
  if (text.startsWith('grt_')) {
    // users of apps are forgotten a while after they last came, and what is theirs is not
    const isKnown = (await store.getAppUser(text)) ?? (await store.listOwned({ tenant, grantId: text, limit: 1 }))[0]
    return isKnown ? text : (await access.show(text)).grant.id
  }
  const slash = text.indexOf('/')
  if (slash <= 0 || slash === text.length - 1)
    throw new SoakpError('usage', `${shown(text)} is nobody's name.`, { hint: 'an owner is grt_…, or APP/USER for the user of an app' })
  return grantOfUser(await findApp(apps, text.slice(0, slash)), text.slice(slash + 1))
}

/** Without a key named, the only one there is. */
async function keyOf({ store }: House, provider: string, key: unknown): Promise<KeyRecord> {
  const keys = await store.listKeys({ tenant, provider })
  if (key !== undefined && key !== null) {
    const found = keys.find(({ id }) => id === key)
    if (found) return found
    throw new SoakpError('key_not_found', `There is no key ${shown(String(key))} of ${shown(provider)}.`)
  }
  const [only, other] = keys
  if (!only) throw new SoakpError('key_not_found', `There is no key of ${shown(provider)}.`)
  if (other) throw new SoakpError('usage', `There are several keys of ${provider}.`, { hint: 'say with which one it was made: key_…' })
  return only
}

function momentOf(value: unknown, name: string): number | undefined {
  if (value === undefined || value === null) return undefined
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isNaN(at)) throw new SoakpError('usage', `Its ${name} is no time such as 2026-11-01T00:00:00Z.`)
  return at
}
