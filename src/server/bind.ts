import type { AddressInfo, Server } from 'node:net'
import { SoakpError } from '../errors.js'

/** What to say to whoever wants to listen elsewhere. */
export interface BindHints {
  readonly taken: string
  readonly port: string
  readonly host: string
}

/** Listens, or rejects with `address_in_use` or `address_refused`. */
export function bind(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
  hints: BindHints,
): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const refused = (error: NodeJS.ErrnoException) =>
      reject(bindError(error, host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, hints))
    server.once('error', refused)
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', refused)
      resolve(server.address() as AddressInfo)
    })
  })
}

function bindError(cause: NodeJS.ErrnoException, where: string, hints: BindHints): SoakpError {
  if (cause.code === 'EADDRINUSE') return new SoakpError('address_in_use', where, { cause, hint: hints.taken })
  if (cause.code === 'EACCES')
    return new SoakpError('address_refused', where, { cause, hint: `Ports below 1024 need a privilege. ${hints.port}` })
  return new SoakpError('address_refused', `${where}: ${cause.code ?? 'unknown'}`, { cause, hint: hints.host })
}
