import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { SoakpError } from '../../errors.js'
import type { Challenge, Solver } from './challenge.js'

const prefix = '/.well-known/acme-challenge/'

export interface Http01Options {
  /** Where CAs look is 80; another one where something in front leads there. */
  readonly port?: number
  /** Addresses to listen on; every one of IPv6 and IPv4 unless told. */
  readonly hosts?: readonly string[]
}

/**
 * Proves names by HTTP: RFC 8555 section 8.3. The port is open only while a CA may look, and answers nothing but the tokens it was given. A CA looks from several places,
 * and follows redirects to it from port 443.
 */
export function http01Solver({ port = 80, hosts = ['::', '0.0.0.0'] }: Http01Options = {}): Solver {
  let servers: readonly Server[] = []
  return {
    type: 'http-01',
    plan: async challenges => [challenges],
    async prepare(challenges, { tell }) {
      const answers = new Map(challenges.map(each => [each.token, each.keyAuthorization]))
      servers = await listen(hosts, port, (request, response) => answer(answers, request, response))
      tell(`answering on port ${port} for ${named(challenges)}`)
    },
    async cleanUp() {
      const open = servers
      servers = []
      await Promise.all(open.map(close))
    },
  }
}

function named(challenges: readonly Challenge[]): string {
  return challenges.map(each => each.identifier).join(', ')
}

function answer(answers: ReadonlyMap<string, string>, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? '').split('?', 1)[0] ?? ''
  const content = path.startsWith(prefix) ? answers.get(path.slice(prefix.length)) : undefined
  const headers = { 'content-type': content === undefined ? 'text/plain' : 'application/octet-stream', connection: 'close' }
  if (content === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) response.writeHead(404, headers).end()
  else response.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(content) }).end(content)
}

/** All of the addresses that this machine has; at least one. */
async function listen(
  hosts: readonly string[],
  port: number,
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server[]> {
  const servers: Server[] = []
  try {
    for (const host of hosts) {
      const server = await listenOn(host, port, handler)
      if (server !== undefined) servers.push(server)
    }
    if (servers.length === 0) throw new SoakpError('address_refused', `${hosts.join(' and ')} are no addresses of this machine.`)
  } catch (error) {
    await Promise.all(servers.map(close))
    throw error
  }
  return servers
}

/** Undefined where there is no such address here: a machine without IPv6, say. */
function listenOn(
  host: string,
  port: number,
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server | undefined> {
  // anybody may call, so nobody may stay
  const limits = {
    headersTimeout: 5_000,
    requestTimeout: 5_000,
    keepAliveTimeout: 1,
    maxHeaderSize: 8_192,
    connectionsCheckingInterval: 1_000,
  }
  const server = createServer(limits, handler)
  server.maxConnections = 256
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EADDRNOTAVAIL' || cause.code === 'EAFNOSUPPORT') return resolve(undefined)
      reject(refused(host, port, cause))
    })
    server.listen({ host, port, ipv6Only: true }, () => resolve(server))
  })
}

function refused(host: string, port: number, cause: NodeJS.ErrnoException): SoakpError {
  if (cause.code === 'EADDRINUSE') {
    return new SoakpError('address_in_use', `Port ${port} of ${host}.`, {
      cause,
      hint: 'A CA looks at port 80: stop what listens there for the moment, lead /.well-known/acme-challenge/ here, or prove the names by DNS.',
    })
  }
  const hint = cause.code === 'EACCES' ? { hint: 'Ports below 1024 need root or the capability CAP_NET_BIND_SERVICE.' } : {}
  return new SoakpError('address_refused', `Port ${port} of ${host} (${cause.code}).`, { cause, ...hint })
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
