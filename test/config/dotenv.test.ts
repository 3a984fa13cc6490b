import t from 'tap'
import { parseDotenv } from '../../src/config/dotenv.js'

const read = (text: string) => {
  const { entries, problems } = parseDotenv(Buffer.from(text))
  return { values: Object.fromEntries(entries.map(entry => [entry.name, entry.value])), problems: [...problems] }
}

t.test('a value is taken as it stands: nothing is expanded', async t => {
  t.same(read('A=1\n# note\n\n  B = two\nC="a # b \'c\'"\r\nD=\'$HOME "x" \\n\'\nE=\nF=$HOME=x\nG=""'), {
    values: { A: '1', B: 'two', C: "a # b 'c'", D: '$HOME "x" \\n', E: '', F: '$HOME=x', G: '' },
    problems: [],
  })
})

t.test('what could be read in two ways is a problem, named by its line and never quoted', async t => {
  for (const line of [
    'A=secret b',
    'A=secret #b',
    'A="secret',
    'A=secret"',
    "A='secret' b",
    'A=se\\cret',
    'secret',
    'export A=secret',
    'A B=secret',
    '1A=secret',
    'A=sec\0ret',
  ]) {
    const { values, problems } = read(`Z=1\n${line}\n`)
    t.same(values, { Z: '1' }, JSON.stringify(line))
    t.equal(problems.length, 1)
    t.match(problems[0], /^line 2 /)
    t.notMatch(problems[0], 'secret')
  }
})

t.test('a name that stands twice is a problem', async t => {
  t.same(read('A=1\nA=2\n').problems, ['line 2 sets A a second time'])
})

t.test('a byte order mark is no part of the first name, and bytes that are no text are a problem', async t => {
  t.same(read('\uFEFFA=1').values, { A: '1' })
  t.equal(parseDotenv(Buffer.from([0x41, 0x3d, 0xff])).problems.length, 1)
})
