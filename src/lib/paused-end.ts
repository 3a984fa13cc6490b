import type { Socket } from 'node:net'

/** What is used of undici's HTTP/1.1 parser. */
interface Parser {
  readonly paused: boolean
  resume(): void
  finish(): Error | null
}

/**
 * Makes a connection of undici 7 survive its end while the reader of a reply has it paused: undici would raise an assertion that no handler of the request hears of, which
 * ends the process (nodejs/undici#5360, mended in 8). When the peer says FIN, everything it sent was parsed, so the parser is let go on to the end, which the reader must
 * hold until it wants it. When the connection breaks instead, bytes may be lost, and the reply fails.
 *
 * To be called before the connection is handed to undici, whose listeners come after these.
 */
export function survivePausedEnd(socket: Socket): void {
  for (const event of ['end', 'error', 'close']) socket.on(event, () => unpause(socket))
}

function unpause(socket: Socket): void {
  const parser = parserOf(socket)
  if (!parser?.paused) return
  parser.resume()
  if (parser.paused) parser.finish = () => new Error('the connection broke while its reply was paused')
}

/** It lies under a symbol that undici does not export. */
function parserOf(socket: Socket): Parser | undefined {
  const symbol = Object.getOwnPropertySymbols(socket).find(each => each.description === 'parser')
  return symbol && ((socket as unknown as Record<symbol, Parser | null>)[symbol] ?? undefined)
}
