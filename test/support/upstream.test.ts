import { once } from 'node:events'
import { request } from 'node:http'
import t from 'tap'
import { answerOf } from './clients.js'
import { anyProvider, chunk, head, lastChunk, raw, rawThenReset } from './scripts.js'
import { until } from './until.js'
import { startUpstream, type Upstream } from './upstream.js'

// the upstream of the other suites is itself checked here: a harness that misreads would make them prove nothing

async function post(upstream: Upstream, path: string, body: string, headers: Record<string, string> = {}) {
  const sent = request(`${upstream.url}${path}`, { method: 'POST', headers, agent: false })
  sent.on('error', () => {})
  sent.end(body)
  const [response] = await once(sent, 'response')
  return answerOf(response)
}

t.test('the test upstream remembers what it was sent', async t => {
  const upstream = await startUpstream(anyProvider)
  t.teardown(() => upstream.close())
  const answer = await post(upstream, '/v1/chat/completions?a=b', '{"model":"m"}', { 'X-Thing': 'One' })
  t.equal(answer.status, 200)
  t.equal(answer.json().usage.total_tokens, 18)
  const [seen] = upstream.requests
  t.equal(seen?.method, 'POST')
  t.equal(seen?.target, '/v1/chat/completions?a=b')
  t.equal(seen?.header('x-thing'), 'One')
  t.equal((await seen?.done)?.toString(), '{"model":"m"}')
})

t.test('the test upstream reads chunked bodies and trailers', async t => {
  const upstream = await startUpstream(raw(head(200, [['Transfer-Encoding', 'chunked']]), chunk('ab'), chunk('c'), lastChunk))
  t.teardown(() => upstream.close())
  const sent = request(`${upstream.url}/x`, { method: 'POST', headers: { Trailer: 'x-sum' }, agent: false })
  sent.write('one')
  sent.write('two')
  sent.addTrailers({ 'X-Sum': '7' })
  sent.end()
  const [response] = await once(sent, 'response')
  t.equal((await answerOf(response)).text(), 'abc')
  t.equal((await upstream.requests[0]?.done)?.toString(), 'onetwo')
  t.strictSame(upstream.requests[0]?.trailers, [['X-Sum', '7']])
})

t.test('the test upstream can cut a reply, and notices that a client left', async t => {
  const upstream = await startUpstream(rawThenReset(head(200, [['Content-Length', '10']]), 'abc'))
  t.teardown(() => upstream.close())
  t.equal((await post(upstream, '/', '')).complete, false)

  upstream.use(async exchange => exchange.left)
  const sent = request(`${upstream.url}/gone`, { agent: false })
  sent.on('error', () => {})
  sent.end()
  await until(() => upstream.requests.length === 2, 'the request')
  t.equal(upstream.open, 1)
  sent.destroy()
  await until(() => upstream.open === 0, 'the upstream to notice')
})
