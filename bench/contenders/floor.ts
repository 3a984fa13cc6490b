import { fork } from 'node:child_process'
import { once } from 'node:events'
import { adopt } from '../processes.js'
import { type Contender, dummyAuthorization, pidOf } from './contender.js'

/** The bare Node floor: see floor-server.ts. */
export const floor: Contender = {
  name: 'floor',
  node: true,
  missing: () => [],
  async start(place, { nodeFlags }) {
    const child = adopt(
      fork(new URL('./floor-server.js', import.meta.url), [place.certFile, place.keyFile, place.upstream], { execArgv: [...nodeFlags] }),
    )
    const [{ port, http2Port }] = (await once(child, 'message')) as [{ port: number; http2Port: number }]
    return {
      name: 'floor',
      child,
      pid: pidOf(child),
      origin: `https://127.0.0.1:${port}`,
      http2Origin: `https://127.0.0.1:${http2Port}`,
      authorization: dummyAuthorization,
      cert: place.cert,
    }
  },
}
