import t from 'tap'
import { mostInputTokens } from '../../../src/relay/spending/worst-input.js'

const most = (body: unknown, dialect = 'openai') =>
  mostInputTokens(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), dialect)
const says = (content: unknown) => ({ model: 'm', messages: [{ role: 'user', content }] })

t.test('a prompt is bounded by its size, whatever it talks about', async t => {
  const plain = most(says('hello'))
  t.ok(plain !== undefined && plain >= Buffer.byteLength(JSON.stringify(says('hello'))))
  for (const text of [
    '{"web_search": true}',
    'use "mcp_server" and "file_id", or "documents"',
    '"input_image" and "image_url":',
    'ünï"bash_"',
  ])
    t.equal(most(says(text)), Buffer.byteLength(JSON.stringify(says(text))) + 1000, text)
})

t.test('what brings in more than the body holds is not bounded, however its name is written', async t => {
  for (const body of [
    { ...says('hi'), previous_response_id: 'resp_1' },
    { ...says('hi'), tools: [{ type: 'web_search_preview' }] },
    { ...says('hi'), tools: [{ type: 'mcp', server_url: 'https://example.com' }] },
    { ...says('hi'), prompt: { id: 'pmpt_1' } },
    { ...says('hi'), tools: [{ type: 'advisor_20260301', name: 'advisor', model: 'm' }] },
    { ...says('hi'), context_management: { edits: [{ type: 'compact_20260112' }] } },
    { ...says('hi'), compaction: { type: 'summarize' } },
    { ...says('hi'), fallbacks: 'default' },
    { ...says('hi'), tools: [{ type: 'x_search' }] },
    says([{ type: 'input_file', file_id: 'file-1' }]),
    { model: 'm', input: [{ type: 'item_reference', id: 'msg_1' }] },
    { ...says('hi'), tools: [{ type: 'shell', environment: { type: 'container_auto' } }] },
    { ...says('hi'), tools: [{ type: 'tool_search_tool_regex_20251119', name: 'tool_search_tool_regex' }] },
    { contents: [], tools: [{ fileSearch: { fileSearchStoreNames: ['fileSearchStores/a'] } }] },
    { contents: [], tools: [{ retrieval: { vertexAiSearch: { datastore: 'x' } } }] },
    { model: 'm', previous_interaction_id: 'int_1', input: 'hi' },
    { ...says([{ type: 'document_url', document_url: 'https://example.com/a.pdf' }]) },
    { ...says('hi'), deferred: true },
    '{"model":"m","file\\u005fid" : "file-1"}',
    '{"model":"m","prompt" :\n{"id":"pmpt_1"}}',
  ])
    t.equal(most(body), undefined, JSON.stringify(body))
  t.type(most({ model: 'm', prompt: 'a text' }), 'number')
})

t.test('each picture is counted, also with blanks around its name', async t => {
  const part = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } }
  const one = most(says([part])) ?? 0
  const two = most(says([part, part])) ?? 0
  t.ok(one > 50_000)
  t.ok(two > 100_000)
  const spaced = JSON.stringify(says([part])).replace('"image_url":{', '"image_url"\n :{')
  t.ok((most(spaced) ?? 0) > 50_000)
  t.ok((most(says([{ type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } }]), 'anthropic') ?? 0) > 5000)
})
