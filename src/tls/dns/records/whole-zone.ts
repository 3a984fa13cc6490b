import { SoakpError } from '../../../errors.js'
import type { DnsAccount, DnsContext, TxtRecord, Zone } from '../provider.js'
import { StaleSet, serially } from './sets.js'

/** All rows of a zone, in the provider's own shape. */
export interface WholeZone<R> {
  readonly rows: readonly R[]
  /** What else has to be there after a write as it was before, in words. */
  readonly settings: readonly string[]
}

/** An API whose only way to change one row is to write all of them. */
export interface WholeZoneApi<R, Z extends WholeZone<R>> {
  /** Throws where the zone holds something that writing it again would lose. */
  read(zone: Zone): Promise<Z>
  /** `before` is what was read. Throws `StaleSet` where the API says that the zone is not that any more. */
  write(zone: Zone, rows: readonly R[], before: Z): Promise<unknown>
  /** Undefined for a row that is no TXT. */
  txt(zone: Zone, row: R): TxtRecord | undefined
  make(zone: Zone, record: TxtRecord): R
  /** A row in words, everything that counts: rows that mean the same read the same. */
  describe(row: R): string
}

const rounds = 4
/** A provider may show its former state for a moment. */
const looks = 3

/**
 * `add` and `remove` for APIs that replace a whole zone: a lost row would be somebody’s mail or web site. Within the process, writes to one zone go one after the other; read,
 * change and write follow each other at once; then the zone is read again, and each row that is not ours has to be there as it was. One that is missing ends the run with an
 * error that holds it, to be put back.
 */
export function wholeZoneAccount<R, Z extends WholeZone<R>>(
  context: DnsContext,
  scope: string,
  api: WholeZoneApi<R, Z>,
): Pick<DnsAccount, 'add' | 'remove'> {
  const holds = (zone: Zone, records: readonly TxtRecord[], row: R) => {
    const txt = api.txt(zone, row)
    return txt !== undefined && records.some(({ name, value }) => name === txt.name && value === txt.value)
  }
  const change = (zone: Zone, edit: (rows: readonly R[]) => { readonly kept: readonly R[]; readonly added: readonly R[] }) =>
    serially(`${scope} ${zone.id}`, async () => {
      for (let round = 1; round <= rounds; round++) {
        const before = await api.read(zone)
        const { kept, added } = edit(before.rows)
        if (kept.length === before.rows.length && added.length === 0) return
        try {
          await api.write(zone, [...kept, ...added], before)
          await untilKept(context, zone, api, [...kept.map(api.describe), ...before.settings])
        } catch (error) {
          if (!(error instanceof StaleSet)) throw error
          await context.delay(200 * 2 ** round * Math.random())
        }
      }
      throw new SoakpError(
        'dns_provider_failed',
        `${zone.name}: what was written does not stay, as if something else wrote the zone all the time.`,
      )
    })
  return {
    add: (zone, records) =>
      change(zone, rows => {
        const missing = records.filter(
          (record, index) => records.findIndex(one => one.name === record.name && one.value === record.value) === index,
        )
        return { kept: rows, added: missing.filter(one => !rows.some(row => holds(zone, [one], row))).map(one => api.make(zone, one)) }
      }),
    remove: (zone, records) => change(zone, rows => ({ kept: rows.filter(row => !holds(zone, records, row)), added: [] })),
  }
}

async function untilKept<R, Z extends WholeZone<R>>(
  context: DnsContext,
  zone: Zone,
  api: WholeZoneApi<R, Z>,
  expected: readonly string[],
): Promise<void> {
  for (let look = 1; ; look++) {
    const after = await api.read(zone)
    const lost = missing(expected, [...after.rows.map(api.describe), ...after.settings])
    if (lost.length === 0) return
    if (look === looks) {
      throw new SoakpError(
        'dns_provider_failed',
        `${zone.name}: after the write, this is not there any more, or not as it was: ${lost.map(row => `“${row}”`).join(', ')}.`,
        { hint: 'if nobody else has changed the zone at this moment, put it back in the provider’s control panel' },
      )
    }
    await context.delay(2000)
  }
}

/** What of `expected` is not in `there`, each counted as often as it stands. */
function missing(expected: readonly string[], there: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const one of there) counts.set(one, (counts.get(one) ?? 0) + 1)
  return expected.filter(one => {
    const left = counts.get(one) ?? 0
    counts.set(one, left - 1)
    return left <= 0
  })
}
