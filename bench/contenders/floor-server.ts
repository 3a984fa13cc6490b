import { readFileSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { Agent, type Dispatcher } from 'undici'

/**
 * The least that a relay on Node can be: read the request, pass it on, pass the reply back as it comes, give it up when the client does. No authentication,
 * no rule, no limit, no metering, no ledger. Written as fast as it honestly can be: undici's handler interface with raw headers, no promises, head and body
 * of a short reply in one write.
 */
const [certFile = '', keyFile = '', upstream = ''] = process.argv.slice(2)
const agent = new Agent({ pipelining: 1, keepAliveTimeout: 60_000, headersTimeout: 600_000, bodyTimeout: 300_000 })
const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile) }

type Request = IncomingMessage | Http2ServerRequest
type Response = ServerResponse | Http2ServerResponse

function onRequest(request: Request, response: Response): void {
  let body: Buffer | undefined
  request.on('data', (bytes: Buffer) => {
    body = body === undefined ? bytes : Buffer.concat([body, bytes])
  })
  request.on('end', () => forward(request, response, body))
}

function forward(request: Request, response: Response, body: Buffer | undefined): void {
  const options: Dispatcher.DispatchOptions = {
    origin: upstream,
    path: request.url ?? '/',
    method: (request.method ?? 'GET') as Dispatcher.HttpMethod,
    headers: requestHeaders(request.rawHeaders),
    body: body ?? null,
  }
  agent.dispatch(options, passBack(response))
}

/** A WebSocket, as bytes: its messages are not looked at. */
function onUpgrade(request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => socket.destroy())
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => name !== 'host'))
  const asked = httpRequest(`${upstream}${request.url ?? '/'}`, { headers, agent: false })
  asked.on('error', () => socket.destroy())
  asked.on('upgrade', (reply, provider) => {
    provider.on('error', () => socket.destroy())
    const lines = reply.rawHeaders.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('')
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`)
    provider.pipe(socket).pipe(provider)
  })
  asked.end()
}

function requestHeaders(raw: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase()
    if (name === 'host' || name === 'connection' || name === 'content-length' || name.startsWith(':')) continue
    kept.push(name, raw[i + 1] as string)
  }
  return kept
}

function passBack(response: Response): Dispatcher.DispatchHandler {
  let abort: (() => void) | undefined
  let left = Number.POSITIVE_INFINITY
  let done = false
  let goOn: () => void
  response.on('close', () => {
    if (!done) abort?.()
  })
  return {
    onConnect(stop) {
      abort = stop
    },
    onHeaders(status, raw, resume) {
      const headers: string[] = []
      for (let i = 0; i < raw.length; i += 2) {
        const name = (raw[i] as Buffer).toString('latin1').toLowerCase()
        if (name === 'connection' || name === 'keep-alive' || name === 'transfer-encoding') continue
        const value = (raw[i + 1] as Buffer).toString('latin1')
        if (name === 'content-length') left = Number(value)
        headers.push(name, value)
      }
      ;(response as ServerResponse).writeHead(status, headers)
      goOn = resume
      return true
    },
    onData(bytes) {
      left -= bytes.length
      if (left <= 0) {
        done = true
        response.end(bytes)
        return true
      }
      if ((response as ServerResponse).write(bytes)) return true
      response.once('drain', goOn)
      return false
    },
    onComplete() {
      if (done) return
      done = true
      response.end()
    },
    onError() {
      if (done) return
      done = true
      response.destroy()
    },
  }
}

const server = createServer(tls, onRequest)
server.keepAliveTimeout = 65_000
server.on('upgrade', onUpgrade)
const http2Server = createSecureServer(tls, onRequest)
server.listen(0, '127.0.0.1', 4096, () => {
  http2Server.listen(0, '127.0.0.1', 4096, () => {
    process.send?.({ port: (server.address() as AddressInfo).port, http2Port: (http2Server.address() as AddressInfo).port })
  })
})
process.on('disconnect', () => process.exit())
process.on('SIGTERM', () => process.exit())
