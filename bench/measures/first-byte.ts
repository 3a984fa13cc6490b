import { connect, converse, post } from '../client.js'
import { percentile } from '../statistics.js'
import { streamRequest } from '../traffic.js'
import type { Measure, Sample } from './measure.js'

const callsPerRound = 400

export const firstByte: Measure = {
  title: 'Time to first byte',
  about: `From the request's last byte to the first event's first, one call at a time; ${callsPerRound} calls a round, in turn with calls to the provider without anything between. "Added" is the difference of the medians and of the 99th percentiles.`,
  async run(bench) {
    const samples: Sample[] = []
    const targets = [{ ...bench.direct, name: undefined }, ...bench.running]
    const clients = await Promise.all(
      targets.map(async target => ({ name: target.name, socket: await connect(target), request: post(target, streamRequest('burst')) })),
    )
    for (let round = -1; round < bench.options.rounds; round++) {
      const times = clients.map((): number[] => [])
      for (let i = 0; i < callsPerRound; i++) {
        for (const [at, client] of clients.entries()) times[at]?.push((await converse(client.socket, client.request)).firstByteUs)
      }
      // the first is warm-up
      if (round === -1) continue
      const [direct = [], ...rest] = times
      for (const [at, target] of bench.running.entries()) {
        const put = (metric: string, percent: number): number =>
          samples.push({
            row: 'one call at a time',
            metric,
            contender: target.name,
            round,
            value: percentile(rest[at] ?? [], percent) - percentile(direct, percent),
          })
        put('added µs p50', 50)
        put('added µs p99', 99)
      }
      bench.say(`first byte, round ${round + 1}: direct ${percentile(direct, 50).toFixed(0)} µs`)
    }
    for (const client of clients) client.socket.destroy()
    return samples
  },
}
