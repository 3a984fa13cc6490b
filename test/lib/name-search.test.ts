import t from 'tap'
import { NameSearch } from '../../src/lib/name-search.js'

t.test('a name is found wherever it stands between quotes, and an escape counts as one', async t => {
  const search = new NameSearch(['file_id', 'file_ids', 'id'])
  const long = 'x'.repeat(500)
  const found = ['{"id":1}', `{"a":"${long}","file_id":1}`, '["file_ids"]', '{"f\\u0069le_id":1}', `{"${'y'.repeat(63)}":{"id":1}}`]
  const missed = ['', '{}', '"', '{"file":1}', '{"ids":1}', '{"file_id_x":1}', `{"a":"${long} file_id ${long}"}`, '{"a":"\\n"}', '{"fil']
  for (const json of found) t.ok(search.mayStandIn(Buffer.from(json)), json)
  for (const json of missed) t.notOk(search.mayStandIn(Buffer.from(json)), json)
  t.notOk(new NameSearch([]).mayStandIn(Buffer.from('{"id":1}')))
})
