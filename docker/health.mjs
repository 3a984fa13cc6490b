// Whether the daemon of this container would take a call now: /readyz over loopback, as its own settings say it listens. Ends with 0 or 1.
import { request as plain } from 'node:http'
import { request as secure } from 'node:https'
import { loadSettings } from '../dist/src/config/load.js'

const everywhere = { '0.0.0.0': '127.0.0.1', '::': '::1' }

function end(problem) {
  if (problem !== undefined) process.stderr.write(`${problem}\n`)
  process.exit(problem === undefined ? 0 : 1)
}

try {
  const { http, host, port } = loadSettings()
  // nothing secret is sent, and which certificate is served is not what is asked
  const options = {
    host: everywhere[host] ?? host,
    port,
    path: '/readyz',
    headers: { host: 'localhost' },
    rejectUnauthorized: false,
    agent: false,
    timeout: 4000,
  }
  const asked = (http ? plain : secure)(options, ({ statusCode }) => end(statusCode === 200 ? undefined : `/readyz answers ${statusCode}`))
  asked.on('timeout', () => end('no answer within 4 s'))
  asked.on('error', ({ message }) => end(message))
  asked.end()
} catch ({ message }) {
  end(message)
}
