import type { LocalUpstream } from '../providers/provider.js'

/** Asks a provider that is answered inside the process. Rejects where it breaks off. */
export function askLocal(serve: LocalUpstream, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let status = 0
    serve(
      // any credential opens it
      { method: 'GET', path, headers: ['authorization', 'Bearer sandbox', 'accept', 'application/json'], body: undefined },
      {
        head: given => {
          status = given
        },
        data: piece => {
          pieces.push(piece)
          return true
        },
        end: () => resolve({ status, body: Buffer.concat(pieces).toString('utf8') }),
        fail: reject,
      },
    )
  })
}
