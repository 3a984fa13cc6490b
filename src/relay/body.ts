import { SoakpError } from '../errors.js'
import type { Exchange } from './exchange.js'

const empty = Buffer.alloc(0)
/** So many pieces are put together as they come: a body sent byte by byte must not cost a hundred times its size. */
const mostPieces = 1024

/**
 * Reads a request body into memory, for a rule or the metering to see. Rejects with `body_too_large` beyond `mostBytes`. The caller's `stop` ends the
 * waiting; the sweep of open calls ends it when nothing comes for `patienceMs`.
 */
export function readBody(exchange: Exchange, mostBytes: number, patienceMs: number, clock: () => number): Promise<Buffer> {
  const { request } = exchange.call
  const stated = exchange.head?.contentLength
  if (stated !== undefined && stated > mostBytes) return Promise.reject(tooLarge(mostBytes))
  return new Promise((resolve, reject) => {
    const whole: Buffer[] = []
    let pieces: Buffer[] = []
    let size = 0
    exchange.clientDeadlineAt = clock() + patienceMs
    request.on('data', (piece: Buffer) => {
      exchange.clientDeadlineAt = clock() + patienceMs
      size += piece.length
      if (size > mostBytes) {
        request.removeAllListeners('data')
        exchange.clientDeadlineAt = 0
        reject(tooLarge(mostBytes))
        return
      }
      pieces.push(piece)
      if (pieces.length === mostPieces) {
        whole.push(Buffer.concat(pieces))
        pieces = []
      }
    })
    request.on('end', () => {
      exchange.clientDeadlineAt = 0
      exchange.bytesIn = size
      // HTTP/2 makes an end of a stream that was reset
      if (request.aborted) {
        reject(new SoakpError('client_gone'))
        return
      }
      if (whole.length > 0) pieces = [...whole, ...pieces]
      resolve(pieces.length === 1 ? (pieces[0] as Buffer) : pieces.length === 0 ? empty : Buffer.concat(pieces, size))
    })
    // when the client goes away the exchange's stop ends the call; this only keeps the error from being nobody's
    request.on('error', cause => reject(new SoakpError('client_gone', undefined, { cause })))
    exchange.stop = reason => reject(new SoakpError(reason === 'client_gone' ? 'client_gone' : 'client_timeout'))
  })
}

function tooLarge(mostBytes: number): SoakpError {
  return new SoakpError('body_too_large', `At most ${Math.floor(mostBytes / (1024 * 1024))} MB.`)
}
