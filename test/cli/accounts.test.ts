import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { loadSettings } from '../../src/config/load.js'
import { createSoakp } from '../../src/soakp.js'
import type { Entry } from '../../src/stores/records.js'
import { anEntry } from '../support/records.js'
import { madeHome, type NearHome } from './run.js'

async function homeWith(t: Test, entries: readonly Entry[]): Promise<NearHome> {
  const home = await madeHome(t)
  const soakp = await createSoakp(loadSettings({ env: {}, home: home.dir, flags: {} }), { log: pino({ level: 'silent' }) })
  await soakp.store.appendEntries(entries)
  await soakp.close()
  return home
}

const day = Date.parse('2025-10-05T12:00:00Z')
type Row = Record<string, unknown>

t.test('usage is summed by several things at once, within a time, and of what is asked for', async t => {
  const home = await homeWith(t, [
    anEntry({ startedAtMs: day, model: 'gpt-4o', inputTokens: 5, costMicroDollars: 1_500_000 }),
    anEntry({ startedAtMs: day + 86_400_000, model: 'gpt-4o', inputTokens: 7, costMicroDollars: 1 }),
    anEntry({ startedAtMs: day, provider: 'groq', model: 'llama', inputTokens: 9 }),
  ])
  const rows = await home.json<Row[]>(['usage', '--by', 'day,model', '--since', '2025-10-01', '--provider', 'openai'])
  t.match(rows, [
    { day: '2025-10-05', model: 'gpt-4o', calls: 1, inputTokens: 5, costUsd: 1.5, unpricedCalls: 0 },
    { day: '2025-10-06', model: 'gpt-4o', calls: 1, inputTokens: 7, costUsd: 0.000001 },
  ])
  t.equal(rows.length, 2)
  t.match(await home.json(['usage', '--by', 'provider', '--since', '2025-10-05', '--until', '2025-10-06']), [
    { provider: 'openai', calls: 1 },
    { provider: 'groq', calls: 1, unpricedCalls: 1 },
  ])
  t.match(await home.run(['usage', '--by', 'model', '--since', '2025-10-01']), { stderr: /1 of these consumed what has no price/ })
  t.match(await home.run(['usage', '--by', 'model,model']), { code: 2, stderr: /one or several of/ })
  t.match(await home.run(['usage', '--since', '2025-13-01']), { code: 2, stderr: /a date such as/ })
  t.match(await home.run(['usage', '--since', '5d', '--until', '9d']), { code: 2, stderr: /--until is not after --since/ })
})

t.test('what is counted has the same name in CSV and in JSON, and each number a column that can be added up', async t => {
  const home = await homeWith(t, [
    anEntry({ startedAtMs: day, outcome: 'refused', errorCode: 'rate_limited', usageSource: 'none' }),
    anEntry({ startedAtMs: day, units: 1200, unit: 'characters', costMicroDollars: 18_000 }),
    anEntry({ startedAtMs: day, units: 90, unit: 'audioSeconds', costMicroDollars: 9_000 }),
  ])
  const report = ['usage', '--by', 'day', '--since', '2025-10-01']
  const [{ units, ...row } = {}] = await home.json<Row[]>(report)
  const [names = [], values = []] = (await home.run([...report, '--csv'])).stdout.split('\r\n').map(line => line.split(','))
  const columns = Object.fromEntries(names.map((name, index) => [name, values[index]]))
  t.match(columns, { refusedCalls: '1', characters: '1200', audioSeconds: '90', images: '0', costUsd: '0.027' })
  for (const [name, value] of Object.entries({ ...row, ...(units as Row) })) t.equal(columns[name], String(value), name)
  const [line = ''] = (await home.run(['usage', 'export'])).stdout.split('\n')
  const [head = ''] = (await home.run(['usage', 'export', '--format', 'csv'])).stdout.split('\r\n')
  t.same(head.split(',').sort(), Object.keys(JSON.parse(line) as Row).sort())
})

t.test('one call is shown with every attempt it took', async t => {
  const first = anEntry({ startedAtMs: day, final: false, status: 429, keyId: 'key_1', usageSource: 'none' })
  const home = await homeWith(t, [
    first,
    {
      ...first,
      attempt: 2,
      final: true,
      status: 200,
      keyId: 'key_2',
      usageSource: 'provider',
      costMicroDollars: 42,
      price: 'list/openai/x',
    },
  ])
  t.match(await home.json(['usage', 'show', first.id]), [
    { attempt: 1, final: false, status: 429, key: 'key_1', costUsd: null },
    { attempt: 2, final: true, status: 200, key: 'key_2', costUsd: 0.000042, price: 'list/openai/x' },
  ])
  t.match(await home.run(['usage', 'show', first.id]), { code: 0, stdout: /another one followed[\s\S]*\$0\.000042/ })
  t.match(await home.run(['usage', 'show', 'call_none']), { code: 66 })
})

t.test('an export holds every line, and no text in it is a formula to a spreadsheet', async t => {
  const evil = `=cmd|' /C calc'!A0`
  const entries = Array.from({ length: 2500 }, (_, index) =>
    anEntry({
      startedAtMs: day + index,
      subject: evil,
      model: '+SUM(1)',
      endpoint: '@x,"y"',
      upstreamRequestId: '\t=1',
      costMicroDollars: index,
    }),
  )
  const home = await homeWith(t, entries)
  const lines = (await home.run(['usage', 'export'])).stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Row)
  t.same(
    lines.map(line => line.id),
    entries.map(entry => entry.id),
  )
  t.match(lines[7], { user: evil, costUsd: 0.000007, startedAt: '2025-10-05T12:00:00.007Z' })
  const { stdout } = await home.run(['usage', 'export', '--format', 'csv', '--since', '2025-10-05', '--until', '2025-10-05T12:00:01Z'])
  t.equal(stdout.split('\r\n').length, 1 + 1000 + 1)
  for (const cell of stdout
    .split('\r\n')
    .slice(1)
    .flatMap(line => line.split(',')))
    if (/^"?[=+@\t-]/.test(cell)) return t.fail(cell)
  t.match((await home.run(['usage', '--by', 'user', '--since', '2025-10-01', '--csv'])).stdout, `'=cmd`)
  t.match(await home.run(['usage', 'export', '--csv']), { code: 2, stdout: '', stderr: /--format csv/ })
  t.match(await home.run(['usage', '--grant', 'grt_1', 'export']), { code: 2, stdout: '', stderr: /--grant does not go with an export/ })
})

t.test('what is used without a price is named, and has one from when the operator set it', async t => {
  const home = await homeWith(t, [anEntry({ startedAtMs: Date.now(), provider: 'azure-openai', model: 'our-chat' })])
  t.match(await home.json(['price', 'list', '--unpriced']), [{ provider: 'azure-openai', model: 'our-chat', unpricedCalls: 1 }])
  t.match(await home.run(['price', 'show', 'azure-openai', 'our-chat']), { code: 66 })
  await home.json(['price', 'alias', 'azure-openai/our-chat=azure-openai/gpt-4o'])
  t.match(await home.json(['price', 'show', 'azure-openai', 'our-chat']), { version: /azure\/gpt-4o$/, prices: { input: 2.5, output: 10 } })
  await home.json(['price', 'set', 'openai', 'gpt-4o*', '--input', '1', '--output', '2'])
  await home.json(['price', 'set', 'openai', 'gpt-4o', '--input', '0.5', '--output', '0.0375', '--audio-hours', '0.36'])
  t.match(await home.json(['price', 'show', 'openai', 'gpt-4o']), {
    version: /^own\/openai\/gpt-4o@/,
    prices: { input: 0.5, output: 0.0375, audioHours: 0.36 },
  })
  t.match(
    await home.json(['price', 'show', 'openai', 'gpt-4o-mini']),
    { prices: { input: 1, output: 2 } },
    'the most particular pattern counts',
  )
  await home.json(['price', 'remove', 'openai', 'gpt-4o'])
  t.match(await home.json(['price', 'show', 'openai', 'gpt-4o']), { prices: { input: 1 } })
  await home.json(['price', 'remove', 'openai', 'gpt-4o*'])
  t.match(await home.json(['price', 'show', 'openai', 'gpt-4o']), { version: /^genai-prices/ })
  t.match(await home.run(['price', 'remove', 'openai', 'gpt-4o']), { code: 66 })
})

t.test('a price change holds from its moment on, and what was before keeps its price', async t => {
  const home = await homeWith(t, [])
  await home.json(['price', 'set', 'mine', 'm', '--input', '1'])
  const later = await home.json<Row>(['price', 'set', 'mine', 'm', '--input', '2'])
  t.ok(later.from, 'a second price does not reach back')
  t.equal((await home.json<Row[]>(['price', 'list'])).length, 2)
})

t.test('prices are carried over in a file, all or none', async t => {
  const home = await homeWith(t, [])
  await home.json(['price', 'set', 'openai', 'x', '--input', '2.5', '--images', '0.04'])
  await home.json(['price', 'alias', 'azure-openai/y=azure-openai/gpt-4o'])
  const file = join(home.dir, 'prices.json')
  const list = await home.json<Row[]>(['price', 'list'])
  writeFileSync(file, JSON.stringify(list))
  await home.json(['price', 'remove', 'openai', 'x'])
  await home.json(['price', 'remove', 'azure-openai', 'y'])
  await home.json(['price', 'import', file])
  t.same(await home.json(['price', 'list']), list)
  for (const bad of [{ input: -1 }, { input: 'much' }, { inputs: 1 }, {}]) {
    writeFileSync(
      file,
      JSON.stringify([
        { provider: 'openai', model: 'z', prices: { input: 1 } },
        { provider: 'openai', model: 'w', prices: bad },
      ]),
    )
    const { code, stderr } = await home.run(['price', 'import', file])
    t.match({ code, stderr }, { code: 2, stderr: /row 2/i })
    t.notMatch(stderr, /not understood/, 'the fault is told once')
  }
  t.equal((await home.json<Row[]>(['price', 'list'])).length, 2)
})

t.test('nothing that is no price becomes one', async t => {
  const home = await homeWith(t, [])
  for (const args of [[], ['--input', 'x'], ['--input', '1e3'], ['--input=-1'], ['--free', '--input', '1']]) {
    t.match(await home.run(['price', 'set', 'openai', 'x', ...args]), { code: 2 }, args.join(' '))
  }
  t.same(await home.json(['price', 'list']), [])
})

t.test("the ledger is laid beside OpenAI's own numbers, and whatever only one side has is named", async t => {
  const home = await homeWith(t, [
    anEntry({ startedAtMs: day, model: 'gpt-4o', inputTokens: 900, outputTokens: 100, costMicroDollars: 3250 }),
    anEntry({ startedAtMs: day, model: 'gpt-4o-2024-08-06', inputTokens: 100, outputTokens: 0, costMicroDollars: 250 }),
    anEntry({ startedAtMs: day, model: 'o3', inputTokens: 10, outputTokens: 0, costMicroDollars: 20 }),
    anEntry({ startedAtMs: day, provider: 'groq', model: 'llama', costMicroDollars: 1 }),
    anEntry({ startedAtMs: day + 3 * 86_400_000, model: 'gpt-4o', costMicroDollars: 1 }),
  ])
  const bills = 'test/fixtures/bills'
  t.match(await home.json(['reconcile', `${bills}/openai-cost.csv`]), [
    { model: '=hyperlink("http://evil")', ours: null, theirs: { costUsd: 0.5 }, seenBy: 'them only' },
    { day: '2025-10-05', model: 'gpt-4o', ours: { costUsd: 0.0035 }, theirs: { costUsd: 0.0035 }, seenBy: 'both' },
    { model: 'o3', ours: { costUsd: 0.00002 }, theirs: null, seenBy: 'us only' },
  ])
  t.match(await home.json(['reconcile', `${bills}/openai-activity.csv`]), [
    { model: 'gpt-4o', ours: { calls: 2, inputTokens: 1000 }, theirs: { calls: 3, inputTokens: 1000 } },
    { model: 'o3', seenBy: 'us only' },
    { model: 'text-embedding-3-small', seenBy: 'them only' },
  ])
  t.match(
    (await home.run(['reconcile', `${bills}/openai-cost.csv`, '--csv'])).stdout,
    `2025-10-05,"'=hyperlink(""http://evil"")",,0.5,-0.5,them only`,
  )
  t.match(await home.run(['reconcile', 'package.json']), { code: 2, stderr: /no export/ })
  t.match(await home.run(['reconcile', 'nowhere.csv']), { code: 74, stderr: /nowhere\.csv: it, or its folder, is not there/ })
})

t.test('of the short list that comes with soakp it is told where each price was read, and what is hearsay', async t => {
  const home = await homeWith(t, [])
  const rows = await home.json<Row[]>(['price', 'list', '--built-in'])
  t.ok(rows.every(row => typeof row.source === 'string' && row.source !== '' && typeof row.verified === 'boolean'))
  t.match(await home.json(['price', 'show', 'openai', 'tts-1']), {
    verified: true,
    source: /developers\.openai\.com/,
    prices: { characters: 15 },
  })
  t.match(await home.run(['price', 'show', 'deepgram', 'nova-3']), { stdout: /verified +no/ })
  t.notOk('verified' in (await home.json<Row>(['price', 'show', 'openai', 'gpt-4o'])), 'the bundled list has no such word')
})
