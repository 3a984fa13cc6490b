import t from 'tap'
import { timeZoneName, windowIn, type ZoneSince } from '../../src/lib/zoned-calendar.js'

const at = (text: string) => Date.parse(text)
const since = (timeZone: string, from = '1970-01-01T00:00:00Z'): ZoneSince => ({ timeZone, fromMs: at(from) })

/** Start, end and length in hours of the day that an instant lies in. */
function day(zones: readonly ZoneSince[], text: string) {
  const { startMs, endMs } = windowIn(zones, 'day', at(text))
  return `${new Date(startMs).toISOString().slice(0, 16)} ${new Date(endMs).toISOString().slice(0, 16)} ${(endMs - startMs) / 3_600_000}`
}

const days: readonly [zone: string, instant: string, day: string, what: string][] = [
  ['Europe/Berlin', '2026-03-29T00:30:00Z', '2026-03-28T23:00 2026-03-29T22:00 23', 'clocks put forward'],
  ['Europe/Berlin', '2026-10-25T12:00:00Z', '2026-10-24T22:00 2026-10-25T23:00 25', 'clocks put back'],
  ['Europe/Berlin', '2026-10-25T23:00:00Z', '2026-10-25T23:00 2026-10-26T23:00 24', 'the first instant of a day belongs to it'],
  ['Europe/Berlin', '2026-10-25T22:59:59.999Z', '2026-10-24T22:00 2026-10-25T23:00 25', 'and the last of the one before does not'],
  ['Australia/Sydney', '2026-10-03T20:00:00Z', '2026-10-03T14:00 2026-10-04T13:00 23', 'spring in the south'],
  ['Australia/Sydney', '2026-04-05T10:00:00Z', '2026-04-04T13:00 2026-04-05T14:00 25', 'autumn in the south'],
  ['Australia/Lord_Howe', '2026-10-04T00:00:00Z', '2026-10-03T13:30 2026-10-04T13:00 23.5', 'half an hour of summer time'],
  ['Asia/Kolkata', '2026-11-22T12:00:00Z', '2026-11-21T18:30 2026-11-22T18:30 24', 'half an hour off'],
  ['Asia/Kathmandu', '2026-11-22T12:00:00Z', '2026-11-21T18:15 2026-11-22T18:15 24', 'a quarter off'],
  ['Pacific/Chatham', '2026-09-26T20:00:00Z', '2026-09-26T11:15 2026-09-27T10:15 23', 'a quarter off, and summer time'],
  ['America/Sao_Paulo', '2018-11-04T12:00:00Z', '2018-11-04T03:00 2018-11-05T02:00 23', 'midnight left out: the day begins at one'],
  ['America/Sao_Paulo', '2018-02-18T02:30:00Z', '2018-02-17T02:00 2018-02-18T03:00 25', 'the hour before midnight twice'],
  ['America/Havana', '2026-11-01T05:30:00Z', '2026-11-01T04:00 2026-11-02T05:00 25', 'the hour after midnight twice'],
  [
    'America/St_Johns',
    '2010-11-07T02:31:00Z',
    '2010-11-07T02:30 2010-11-08T03:30 25',
    'put back over midnight a minute after it: no day opens twice',
  ],
  ['Pacific/Apia', '2011-12-30T09:59:00Z', '2011-12-29T10:00 2011-12-30T10:00 24', 'the day before one that never was'],
  ['Pacific/Apia', '2011-12-30T10:00:00Z', '2011-12-30T10:00 2011-12-31T10:00 24', 'and the day after it'],
]

for (const [zone, instant, expected, what] of days) t.test(`${zone}: ${what}`, async t => t.equal(day([since(zone)], instant), expected))

t.test('a month begins with the midnight of its zone, an hour with that of UTC, and what never ends has no zone', async t => {
  const zones = [since('Europe/Berlin')]
  const month = windowIn(zones, 'month', at('2026-10-31T23:30:00Z'))
  t.same([month.startMs, month.endMs], [at('2026-10-31T23:00:00Z'), at('2026-11-30T23:00:00Z')])
  t.equal(windowIn([since('Asia/Kolkata')], 'hour', at('2026-11-22T12:45:00Z')).startMs, at('2026-11-22T12:00:00Z'))
  t.equal(windowIn(zones, 'total', 1).startMs, 0)
})

t.test(
  'a change of zone lets the day that is open run to its end, and the one after it is the shorter or longer by what is between them',
  async t => {
    const change = '2026-11-22T15:00:00Z'
    const changed = (zone: string, text: string) => day([since(zone, change)], text)
    for (const zone of ['Europe/Berlin', 'America/Los_Angeles', 'Asia/Tokyo', 'Pacific/Kiritimati'])
      t.equal(changed(zone, '2026-11-22T23:59:00Z'), '2026-11-22T00:00 2026-11-23T00:00 24', 'today stays as it is')
    t.equal(changed('Europe/Berlin', '2026-11-23T00:00:00Z'), '2026-11-23T00:00 2026-11-23T23:00 23')
    t.equal(
      changed('America/Los_Angeles', '2026-11-23T09:00:00Z'),
      '2026-11-23T00:00 2026-11-24T08:00 32',
      'no day of eight hours with a budget of its own',
    )
    t.equal(changed('Asia/Tokyo', '2026-11-23T14:00:00Z'), '2026-11-23T00:00 2026-11-23T15:00 15')
    t.equal(changed('Asia/Tokyo', '2026-11-23T15:00:00Z'), '2026-11-23T15:00 2026-11-24T15:00 24')
  },
)

t.test('however often the zone is changed, windows follow each other without a gap and none opens twice', async t => {
  const names = ['Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Apia', 'UTC', 'Australia/Lord_Howe', 'Pacific/Chatham']
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed % below
  }
  for (const kind of ['day', 'month'] as const) {
    let fromMs = at('2026-01-01T00:00:00Z')
    const zones = Array.from({ length: 6 }, () => {
      fromMs += 1 + random(40 * 86_400_000)
      return { timeZone: names[random(names.length)] as string, fromMs }
    })
    const ends = new Set<number>()
    let window = windowIn(zones, kind, at('2026-01-01T00:00:00Z'))
    while (window.startMs < fromMs + 60 * 86_400_000) {
      const next = windowIn(zones, kind, window.endMs)
      if (next.startMs !== window.endMs || ends.has(next.endMs)) return t.fail(`${kind}: ${JSON.stringify({ window, next, zones })}`)
      ends.add(next.endMs)
      t.same(
        windowIn(zones, kind, window.startMs + random(window.endMs - window.startMs)),
        window,
        'it is the same wherever within it one asks',
      )
      const days = (next.endMs - next.startMs) / 86_400_000
      if (days < (kind === 'day' ? 0.45 : 13) || days > (kind === 'day' ? 1.6 : 48)) t.fail(`${kind} of ${days} days`)
      window = next
    }
  }
})

t.test('a zone is called as the IANA calls it; an offset is none', async t => {
  t.equal(timeZoneName('europe/berlin'), 'Europe/Berlin')
  t.equal(timeZoneName('UTC'), 'UTC')
  for (const none of ['Mars/Olympus', '+02:00', '', 'Europe/Berlin\n', '../etc/localtime']) t.equal(timeZoneName(none), undefined, none)
})
