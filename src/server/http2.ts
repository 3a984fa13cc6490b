import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Request, Response } from '../relay/call.js'

/** How many streams of one session a client may reset in `resetWindowMs`. A client that leaves with all its hundred streams open does no wrong. */
const maxResets = 300
const resetWindowMs = 10_000
const defaultSweepMs = 20_000
/** A session without streams is closed after this many sweeps. */
const idleSweeps = 4

const http2Limits = { maxResets, maxStreams: 100, maxHeaderBytes: 32_768 } as const

export interface Http2Sessions {
  /** Takes over a connection on which the client chose `h2`. */
  accept(socket: Socket): void
  /** Lets streams finish and takes no new ones (GOAWAY). */
  goAway(): void
  destroyAll(): void
  readonly size: number
  close(): void
}

interface SessionState {
  openStreams: number
  resets: number
  resetsSinceMs: number
  quietSweeps: number
  pingUnanswered: boolean
}

/** HTTP/2 with limits on what one connection can cost: streams, header bytes, unread bytes, resets, silence. */
export function createHttp2(
  onRequest: (request: Request, response: Response) => void,
  now: () => number,
  sweepMs: number = defaultSweepMs,
): Http2Sessions {
  const sessions = new Map<ServerHttp2Session, SessionState>()
  const server: Http2Server = createServer({
    maxSendHeaderBlockLength: 65_536,
    settings: {
      maxConcurrentStreams: http2Limits.maxStreams,
      maxHeaderListSize: http2Limits.maxHeaderBytes,
      enablePush: false,
      // an upload is not to wait for the acknowledgement of each 64 KB
      initialWindowSize: 262_144,
    },
  })
  server.on('request', onRequest)
  // as with HTTP/1.1, whoever answers decides whether the body may come
  server.on('checkContinue', onRequest)
  server.on('session', session => {
    sessions.set(session, { openStreams: 0, resets: 0, resetsSinceMs: 0, quietSweeps: 0, pingUnanswered: false })
    // of all streams together: what a client can make us hold unread
    session.setLocalWindowSize(1_048_576)
    session.on('stream', stream => watchStream(session, stream))
    session.on('close', () => sessions.delete(session))
  })
  // a broken session or stream ends itself; the request on it sees `close`
  server.on('sessionError', () => {})

  function watchStream(session: ServerHttp2Session, stream: ServerHttp2Stream): void {
    const state = sessions.get(session)
    if (state === undefined) return
    state.openStreams++
    stream.on('error', () => {})
    stream.once('close', () => {
      state.openStreams--
      if (stream.rstCode === constants.NGHTTP2_NO_ERROR || session.destroyed) return
      const at = now()
      if (at - state.resetsSinceMs > resetWindowMs) {
        state.resetsSinceMs = at
        state.resets = 0
      }
      if (++state.resets > maxResets) session.destroy(new Error('too many streams were reset'), constants.NGHTTP2_ENHANCE_YOUR_CALM)
    })
  }

  // one timer for all sessions: those without streams are closed, the others have to answer a ping before the next turn
  const timer = setInterval(() => {
    for (const [session, state] of sessions) sweep(session, state)
  }, sweepMs)
  timer.unref()

  return {
    accept: socket => void server.emit('connection', socket),
    goAway() {
      for (const session of sessions.keys()) session.close()
    },
    destroyAll() {
      for (const session of sessions.keys()) session.destroy()
    },
    get size() {
      return sessions.size
    },
    close: () => clearInterval(timer),
  }
}

function sweep(session: ServerHttp2Session, state: SessionState): void {
  if (state.openStreams === 0) {
    if (++state.quietSweeps >= idleSweeps) session.close()
    return
  }
  state.quietSweeps = 0
  if (state.pingUnanswered) {
    session.destroy()
    return
  }
  state.pingUnanswered = true
  session.ping(error => {
    if (error === null) state.pingUnanswered = false
  })
}
