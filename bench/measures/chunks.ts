import { setTimeout as delay } from 'node:timers/promises'
import { openStreams } from '../client.js'
import type { Running } from '../contenders/contender.js'
import { cpuUs } from '../processes.js'
import { streamRequest } from '../traffic.js'
import type { Measure, Sample } from './measure.js'

const streams = 50

export const chunks: Measure = {
  title: 'Server-sent events',
  about: `${streams} streams, each with an event every 10 ms that the provider writes by itself; measured while they run, so without their beginning and end.`,
  async run(bench) {
    const samples: Sample[] = []
    const row = `${streams} streams`
    for (const target of bench.running) await cpuUsPerEvent(target, 1)
    for (let round = 0; round < bench.options.rounds; round++) {
      for (const target of bench.running) {
        const value = await cpuUsPerEvent(target, bench.options.seconds)
        samples.push({ row, metric: 'CPU µs/event', contender: target.name, round, value })
        bench.say(`events, round ${round + 1}: ${target.name} ${value.toFixed(1)} µs/event`)
      }
    }
    return samples
  },
}

async function cpuUsPerEvent(target: Running, seconds: number): Promise<number> {
  const open = await openStreams(target, streams, streamRequest('stream'))
  await delay(300)
  const before = { cpu: cpuUs(target.pid), events: open.events() }
  await delay(seconds * 1000)
  const used = cpuUs(target.pid) - before.cpu
  const events = open.events() - before.events
  open.close()
  await delay(300)
  return used / events
}
