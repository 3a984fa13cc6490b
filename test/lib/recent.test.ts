import t from 'tap'
import { Recent } from '../../src/lib/recent.js'

t.test('a text is told from every other, also from those that end alike', async t => {
  const recent = new Recent<number>()
  recent.set('one.abcdefgh', 1)
  t.equal(recent.get('one.abcdefgh'), 1)
  t.equal(recent.get('two.abcdefgh'), undefined)
  t.equal(recent.get('abcdefgh'), undefined)
  t.equal(recent.get(''), undefined)
  recent.set('two.abcdefgh', 2)
  t.equal(recent.get('two.abcdefgh'), 2)
  t.equal(recent.get('one.abcdefgh'), undefined, 'the later one has its place')
})
