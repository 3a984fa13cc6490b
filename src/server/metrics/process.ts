import { version } from '../../lib/version.js'
import type { Lag } from './lag.js'
import type { Family } from './text.js'

const startedAtSeconds = Date.now() / 1000 - process.uptime()
const quantiles = [0.5, 0.9, 0.99, 1]

/** What the process takes. Names are those that every client library of Prometheus gives, so that dashboards made for others show it. */
export function processFamilies(lag: Lag): Family[] {
  const { user, system } = process.cpuUsage()
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
  const { count, sumSeconds } = lag.total
  return [
    gauge('soakp_build_info', 'Which soakp on which Node; always 1.', 1, { version: version(), node: process.versions.node }),
    gauge('process_start_time_seconds', 'When the process began, in seconds of Unix time.', startedAtSeconds),
    { ...gauge('process_cpu_seconds_total', 'Processor time that the process took.', (user + system) / 1e6), type: 'counter' },
    gauge('process_resident_memory_bytes', 'Memory of the process that is in RAM.', rss),
    gauge('nodejs_heap_size_used_bytes', 'What JavaScript objects take.', heapUsed),
    gauge('nodejs_heap_size_total_bytes', 'What is set aside for JavaScript objects.', heapTotal),
    gauge('nodejs_external_memory_bytes', 'What buffers and other objects outside the heap take.', external),
    {
      name: 'soakp_event_loop_lag_seconds',
      type: 'summary',
      help: 'How late the event loop comes to what is due; quantiles of the last half a minute to minute.',
      samples: [
        ...quantiles.map(share => ({ labels: { quantile: String(share) }, value: lag.quantile(share) })),
        { suffix: '_sum' as const, value: sumSeconds },
        { suffix: '_count' as const, value: count },
      ],
    },
  ]
}

/** A family of one sample. */
export function gauge(name: string, help: string, value: number, labels: Readonly<Record<string, string>> = {}): Family {
  return { name, type: 'gauge', help, samples: [{ value, labels }] }
}
