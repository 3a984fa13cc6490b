import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'

interface Counted {
  name: string
  passed: number
  failed: number
  skipped: { name: string; why: string }[]
  lines: string[]
}
type Counter = { line(line: string): void; end(): void }

const { countTap } = (await import(pathToFileURL(resolve('scripts/tap-count.mjs')).href)) as {
  countTap(onFile: (file: Counted) => void): Counter
}

function count(tap: string): Counted[] {
  const files: Counted[] = []
  const counter = countTap(file => files.push(file))
  for (const line of tap.split('\n')) counter.line(line)
  counter.end()
  return files
}

t.test('test cases are counted, not the assertions within them', async t => {
  const [file] = count(`TAP version 14
# Subtest: dist/test/a.test.js
    # Subtest: one
        ok 1 - x
        ok 2 - y
        1..2
    ok 1 - one # time=1ms
    # Subtest: two
        not ok 1 - z
          ---
          at: here
          ...
        ok 2 - fine
        1..2
    not ok 2 - two # time=1ms
    1..2
    # failed 1 of 2 tests
not ok 1 - dist/test/a.test.js # time=5ms
`)
  t.match(file, { name: 'dist/test/a.test.js', passed: 1, failed: 1, skipped: [] })
  t.match(file?.lines.join('\n'), 'at: here')
  t.notMatch(file?.lines.join('\n'), 'fine')
})

t.test('a skipped test is listed with its reason and counts as neither', async t => {
  const [file] = count(`# Subtest: a
    ok 1 - needs \\#1 # SKIP no server here
    ok 2 - later # TODO
    # Subtest: done
        ok 1 - x
        1..1
    ok 3 - done
    1..3
ok 1 - a # time=5ms`)
  t.match(file, {
    passed: 1,
    failed: 0,
    skipped: [
      { name: 'a: needs #1', why: 'no server here' },
      { name: 'a: later', why: 'todo' },
    ],
  })
})

t.test('a file that dies without a failing test counts as one failure', async t => {
  const [file, next] = count(`# Subtest: a
    # Subtest: fine
        ok 1 - x
        1..1
    ok 1 - fine
    1..1
not ok 1 - a # time=5ms
  ---
  signal: SIGSEGV
  ...
# Subtest: b
    ok 1 - fine
    1..1
ok 2 - b`)
  t.match(file, { passed: 1, failed: 1 })
  t.match(file?.lines.join('\n'), 'SIGSEGV')
  t.match(next, { passed: 1, failed: 0 })
})

t.test('a file that never ended counts as one failure', async t => {
  t.match(count('# Subtest: a\n    ok 1 - fine'), [{ passed: 1, failed: 1 }])
})

t.test('assertions outside of a test case count when they fail, and else make one case of a file without others', async t => {
  t.match(count('# Subtest: a\n    ok 1 - x\n    ok 2 - y\n    1..2\nok 1 - a'), [{ passed: 1, failed: 0 }])
  t.match(
    count(
      '# Subtest: a\n    ok 1 - x\n    # Subtest: b\n        ok 1 - z\n        1..1\n    ok 2 - b\n    not ok 3 - w\n    1..3\nnot ok 1 - a',
    ),
    [{ passed: 1, failed: 1 }],
  )
})
