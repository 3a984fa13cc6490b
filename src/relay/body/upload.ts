import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { streamed } from '../call.js'
import type { Exchange } from '../exchange.js'

/** Sees a body pass. */
export interface Watcher {
  add(piece: Buffer): void
  end(): void
}

const waitingBytes = 64 * 1024

/**
 * A request body on its way out, as it comes. While nothing waits to be taken the client has `patienceMs` for its next piece: it is not held to blame for a
 * provider that reads slowly. What passes is also given to `watchers`. What nobody wants any more is read and thrown away, so that the connection can carry a next request.
 */
export function createUpload(exchange: Exchange, patienceMs: number, clock: () => number, watchers: readonly Watcher[] = []): Readable {
  const request = streamed(exchange.call)
  const response = exchange.call.response as ServerResponse
  const upload = new Readable({
    highWaterMark: waitingBytes,
    read() {
      exchange.clientDeadlineAt = clock() + patienceMs
      request.resume()
    },
    destroy(error, done) {
      exchange.clientDeadlineAt = 0
      request.off('data', take)
      request.resume()
      done(error)
    },
  })
  function take(piece: Buffer): void {
    for (const watcher of watchers) watcher.add(piece)
    if (upload.push(piece)) exchange.clientDeadlineAt = clock() + patienceMs
    else {
      exchange.clientDeadlineAt = 0
      request.pause()
    }
  }
  request.on('data', take)
  request.once('end', () => {
    // HTTP/2 makes an end of a stream that was reset
    exchange.clientDeadlineAt = 0
    if (request.aborted) upload.destroy()
    else {
      for (const watcher of watchers) watcher.end()
      upload.push(null)
    }
  })
  request.on('error', () => upload.destroy())
  request.once('close', () => {
    if (!request.readableEnded) upload.destroy()
  })
  // it was answered without being read
  response.once('finish', () => upload.destroy())
  return upload
}
