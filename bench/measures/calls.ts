import type { Running } from '../contenders/contender.js'
import { http2Load } from '../http2-load.js'
import { cpuUs } from '../processes.js'
import { type Load, wrk } from '../wrk.js'
import { type Bench, type Measure, patiently, type Sample } from './measure.js'

const http2Streams = 50

export const calls: Measure = {
  title: 'JSON calls over HTTP/1.1',
  about: 'A request of 155 bytes and a reply of 600, TLS 1.3 to the client, kept connections, wrk with one thread. Portkey ends no TLS.',
  async run(bench) {
    const samples: Sample[] = []
    for (const connections of bench.options.connections) {
      const row = `${connections} connection${connections === 1 ? '' : 's'}`
      const able = bench.contenders.filter(({ mostConnections = connections }) => mostConnections >= connections)
      const running = bench.running.filter(({ name }) => able.some(contender => contender.name === name))
      const load = (target: Running, seconds: number) => wrk(target, bench.place.folder, connections, seconds)
      samples.push(...(await inTurn({ ...bench, running }, row, load)))
    }
    return samples
  },
}

export const http2: Measure = {
  title: 'JSON calls over HTTP/2',
  about: `The same calls, ${http2Streams} streams on one connection. The client is Node and the slowest part: the CPU per call is what counts here.`,
  run: bench => inTurn(bench, `${http2Streams} streams`, (target, seconds) => http2Load(target, http2Streams, seconds)),
}

/** Rounds of A B C A B C, so that what else the machine does meets all of them alike. */
async function inTurn(bench: Bench, row: string, load: (target: Running, seconds: number) => Promise<Load>): Promise<Sample[]> {
  const samples: Sample[] = []
  for (const target of bench.running) await patiently(bench, () => load(target, 1))
  for (let round = 0; round < bench.options.rounds; round++) {
    for (const target of bench.running) {
      const { done, cpuUsPerCall } = await patiently(bench, async () => {
        const before = cpuUs(target.pid)
        const done = await load(target, bench.options.seconds)
        return { done, cpuUsPerCall: (cpuUs(target.pid) - before) / done.calls }
      })
      const put = (metric: string, value: number): number => samples.push({ row, metric, contender: target.name, round, value })
      put('CPU µs/call', cpuUsPerCall)
      put('calls/s', done.callsPerSecond)
      put('p50 ms', done.p50Ms)
      put('p99 ms', done.p99Ms)
      bench.say(`${row}, round ${round + 1}: ${target.name} ${cpuUsPerCall.toFixed(1)} µs/call, ${done.callsPerSecond.toFixed(0)} calls/s`)
    }
  }
  return samples
}
