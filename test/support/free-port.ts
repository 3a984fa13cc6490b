import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

/**
 * A port that nothing listens on, neither TCP nor UDP, on all of these addresses. Below the range from which the kernel takes ports of outgoing connections, so that
 * nobody gets it in between.
 */
export async function freePort(...addresses: readonly string[]): Promise<number> {
  const wanted = addresses.length > 0 ? addresses : ['127.0.0.1']
  for (;;) {
    const port = randomInt(10_000, 32_000)
    const free = await Promise.all(wanted.flatMap(address => [tcpFree(address, port), udpFree(address, port)]))
    if (free.every(Boolean)) return port
  }
}

function tcpFree(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

function udpFree(address: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    socket.once('error', () => {
      socket.close()
      resolve(false)
    })
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve(true)))
  })
}
