import t from 'tap'
import { formatAuthScheme, parseAuthScheme } from '../../src/providers/index.js'

t.test('every way that a key can travel can be written down and read again', async t => {
  const schemes = ['bearer', 'basic', 'none', 'header:x-api-key', 'header:authorization:Token', 'query:key']
  for (const text of schemes) {
    const scheme = parseAuthScheme(text)
    if (!scheme) return t.fail(`${text} is not known`)
    t.equal(formatAuthScheme(scheme), text)
  }
  t.same(parseAuthScheme('header:Authorization:Key'), { type: 'header', name: 'authorization', word: 'Key' })
})

t.test('a way that would break a request is refused', async t => {
  for (const text of [
    '',
    'Bearer',
    'header:',
    'header:host',
    'header:x key',
    'header:x:a b',
    'header:x:',
    'header:x:y:z',
    'query:a:b',
    'query:a&b',
    'none:x',
  ]) {
    t.equal(parseAuthScheme(text), undefined, text)
  }
})
