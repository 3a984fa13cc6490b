import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from '../client.js'
import type { Running } from '../contenders/contender.js'
import { cpuUs } from '../processes.js'
import { socketFrame, socketPath } from '../traffic.js'
import type { Measure, Sample } from './measure.js'

const count = 50

export const sockets: Measure = {
  title: 'WebSocket messages',
  about: `${count} WebSockets, each with a message of ${socketFrame.length - 4} bytes every 10 ms from the provider; measured while they run, so without their beginning and end. The floor passes bytes on without looking at messages. Without nginx, which would have to be told of upgrades.`,
  async run(bench) {
    const samples: Sample[] = []
    const row = `${count} sockets`
    const running = bench.running.filter(({ name }) => name !== 'nginx')
    for (const target of running) await cpuUsPerMessage(target, 1)
    for (let round = 0; round < bench.options.rounds; round++) {
      for (const target of running) {
        const value = await cpuUsPerMessage(target, bench.options.seconds)
        samples.push({ row, metric: 'CPU µs/message', contender: target.name, round, value })
        bench.say(`messages, round ${round + 1}: ${target.name} ${value.toFixed(1)} µs/message`)
      }
    }
    return samples
  },
}

async function cpuUsPerMessage(target: Running, seconds: number): Promise<number> {
  let bytes = 0
  const open: Socket[] = []
  for (let index = 0; index < count; index++) {
    open.push(
      await openSocket(target, received => {
        bytes += received
      }),
    )
  }
  await delay(300)
  const before = { cpu: cpuUs(target.pid), bytes }
  await delay(seconds * 1000)
  const used = cpuUs(target.pid) - before.cpu
  const messages = (bytes - before.bytes) / socketFrame.length
  for (const socket of open) socket.destroy()
  await delay(300)
  return used / messages
}

async function openSocket(target: Running, onBytes: (size: number) => void): Promise<Socket> {
  const socket = await connect(target)
  const { host } = new URL(target.origin)
  socket.write(
    `GET ${socketPath} HTTP/1.1\r\nhost: ${host}\r\nauthorization: ${target.authorization}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
  )
  const [head] = (await once(socket, 'data')) as [Buffer]
  if (!head.toString('latin1').startsWith('HTTP/1.1 101 '))
    throw new Error(`${target.name} answered an upgrade: ${head.toString('latin1', 0, 300)}`)
  socket.on('data', (piece: Buffer) => onBytes(piece.length))
  return socket
}
