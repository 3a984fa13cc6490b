import t from 'tap'
import { call } from '../support/clients.js'
import { makeStage } from '../support/stage.js'
import type { Exchange } from '../support/upstream.js'

t.test('a resumable upload to Gemini goes on through soakp, and never straight to Google', async t => {
  const stage = await makeStage(t, {
    providers: ['gemini'],
    grant: ['--all', '--endpoints', 'inference', '/gemini/upload/v1beta/files'],
    script: async (exchange: Exchange) => {
      const body = await exchange.body()
      const { target } = exchange.request
      if (target.includes('upload_id')) {
        const reply = JSON.stringify({ file: { name: 'files/abc', sizeBytes: String(body.length) } })
        return exchange.send(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${reply.length}\r\n\r\n${reply}`)
      }
      const session = `${stage.upstream.url}/upload/v1beta/files?upload_id=AbC-1&upload_protocol=resumable`
      const foreign = target.includes('foreign') ? 'https://evil.example.com/upload' : session
      return exchange.send(`HTTP/1.1 200 OK\r\nx-goog-upload-url: ${foreign}\r\nx-goog-upload-status: active\r\ncontent-length: 0\r\n\r\n`)
    },
  })
  const { daemon, token, upstream } = stage
  const start = await call(daemon, {
    path: '/gemini/upload/v1beta/files',
    token,
    body: '{"file":{}}',
    headers: { 'x-goog-upload-protocol': 'resumable' },
  })
  t.equal(start.status, 200)
  t.equal(start.headers['x-goog-upload-url'], `${daemon.origin}/gemini/upload/v1beta/files?upload_id=AbC-1&upload_protocol=resumable`)

  const next = new URL(String(start.headers['x-goog-upload-url']))
  const sent = await call(daemon, { path: next.pathname + next.search, method: 'PUT', token, body: Buffer.from('0123456789') })
  t.equal(sent.status, 200)
  t.equal(sent.json().file.sizeBytes, '10')
  t.equal(upstream.requests[1]?.header('x-goog-api-key'), stage.secrets.gemini)

  const foreign = await call(daemon, { path: '/gemini/upload/v1beta/files?foreign', token, body: '{}' })
  t.equal(foreign.headers['x-goog-upload-url'], undefined, 'an address elsewhere does not reach the client')
})
