import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type ErrorCode, errors } from '../errors.js'
import { problem, problemType } from './problem.js'

/** What the parser of Node reports, as one of our codes. */
function codeOf(error: NodeJS.ErrnoException): ErrorCode {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large'
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'client_timeout'
  return 'invalid_request'
}

function reasonPhrase(status: number): string {
  if (status === 408) return 'Request Timeout'
  return status === 431 ? 'Request Header Fields Too Large' : 'Bad Request'
}

/** The reply under way on an HTTP/1.1 connection, until its last byte has left. Node has no public way to ask. */
export function replyOn(socket: Socket): ServerResponse | undefined {
  return (socket as Socket & { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined
}

/**
 * Ends a connection whose bytes are no HTTP, whose header is too large or too slow. It is answered only where no reply has begun: anything written into the middle of one
 * would be taken for a part of it.
 */
export function refuseBytes(error: NodeJS.ErrnoException, socket: Socket): void {
  if (replyOn(socket)?.headersSent === true || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const code = codeOf(error)
  const body = JSON.stringify(problem(code))
  const { status } = errors[code]
  socket.write(
    `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\nContent-Type: ${problemType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
  socket.destroySoon()
}
