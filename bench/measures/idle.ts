import { setTimeout as delay } from 'node:timers/promises'
import { openStreams } from '../client.js'
import type { Contender, Running } from '../contenders/contender.js'
import { residentBytes, stop } from '../processes.js'
import { streamRequest } from '../traffic.js'
import { wrk } from '../wrk.js'
import { type Bench, type Measure, patiently, type Sample } from './measure.js'

export const idle: Measure = {
  title: 'Memory of an idle stream',
  about:
    'How much the resident memory of a fresh process grows with each stream that has had its first event and is silent, both sides of it. Half as many are open before, so that memory the process had left over is not taken for thrift; Node is made to collect garbage before each look.',
  async run(bench) {
    const samples: Sample[] = []
    for (const contender of bench.contenders) {
      const { restMiB, streamKiB } = await patiently(bench, () => weigh(bench, contender))
      const row = `${bench.options.idleStreams} streams`
      samples.push({ row, metric: 'KiB/stream', contender: contender.name, round: 0, value: streamKiB })
      samples.push({ row, metric: 'MiB at rest', contender: contender.name, round: 0, value: restMiB })
      bench.say(`idle: ${contender.name} ${streamKiB.toFixed(1)} KiB/stream, ${restMiB.toFixed(0)} MiB at rest`)
    }
    return samples
  },
}

async function weigh(bench: Bench, contender: Contender): Promise<{ restMiB: number; streamKiB: number }> {
  const nodeFlags = ['--expose-gc', '--import', new URL('../collect.js', import.meta.url).href]
  const running = await contender.start(bench.place, { nodeFlags })
  await wrk(running, bench.place.folder, 50, 1)
  const rest = await settled(running, contender.node)
  const some = await openStreams(running, Math.ceil(bench.options.idleStreams / 2), streamRequest('silent'))
  const before = await settled(running, contender.node)
  const more = await openStreams(running, bench.options.idleStreams, streamRequest('silent'))
  const after = await settled(running, contender.node)
  some.close()
  more.close()
  await stop(running.child)
  return { restMiB: rest / 2 ** 20, streamKiB: (after - before) / bench.options.idleStreams / 1024 }
}

async function settled(running: Running, node: boolean): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await delay(700)
    if (node) process.kill(running.pid, 'SIGUSR2')
  }
  await delay(700)
  return residentBytes(running.pid)
}
