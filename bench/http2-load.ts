import { once } from 'node:events'
import { type ClientHttp2Session, connect, constants } from 'node:http2'
import type { Target } from './contenders/contender.js'
import { percentile } from './statistics.js'
import { jsonRequest, path } from './traffic.js'
import type { Load } from './wrk.js'

/** JSON calls over one HTTP/2 connection, `streams` at a time. Throws when any was refused or broken. */
export async function http2Load(target: Target, streams: number, seconds: number): Promise<Load> {
  const session = connect(target.http2Origin, target.cert === undefined ? {} : { ca: target.cert })
  await once(session, 'connect')
  const latenciesMs: number[] = []
  const startedAt = performance.now()
  const deadline = startedAt + seconds * 1000
  const worker = async (): Promise<void> => {
    while (performance.now() < deadline) {
      const sentAt = performance.now()
      await call(session, target.authorization)
      latenciesMs.push(performance.now() - sentAt)
    }
  }
  try {
    await Promise.all(Array.from({ length: streams }, worker))
  } finally {
    session.destroy()
  }
  const tookMs = performance.now() - startedAt
  return {
    calls: latenciesMs.length,
    callsPerSecond: (latenciesMs.length / tookMs) * 1000,
    p50Ms: percentile(latenciesMs, 50),
    p99Ms: percentile(latenciesMs, 99),
  }
}

function call(session: ClientHttp2Session, authorization: string): Promise<void> {
  return new Promise((done, failed) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: path,
      'content-type': 'application/json',
      'content-length': jsonRequest.length,
      authorization,
    })
    stream.once('response', headers => {
      if (headers[':status'] !== 200) failed(new Error(`a call over HTTP/2 was answered with ${headers[':status']}`))
    })
    stream.once('error', failed)
    stream.once('end', done)
    stream.resume()
    stream.end(jsonRequest)
  })
}
