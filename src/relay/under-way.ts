import type { Exchange } from './exchange.js'

/** Of the open calls, those whose reply has begun and goes on, and the open WebSockets. */
export interface UnderWay {
  readonly streams: number
  readonly sockets: number
}

/** Walks all of them: for whoever looks now and then. */
export function underWay(open: readonly Exchange[]): UnderWay {
  let [streams, sockets] = [0, 0]
  for (const { call, answered, recorded, firstByteMs } of open) {
    if (recorded || !answered) continue
    if (call.upgrade !== undefined) sockets++
    else if (firstByteMs !== null) streams++
  }
  return { streams, sockets }
}
