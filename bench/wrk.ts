import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Target } from './contenders/contender.js'
import { adopt } from './processes.js'
import { jsonRequest, path } from './traffic.js'

export interface Load {
  readonly calls: number
  readonly callsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export const wrkMissing = (): string[] => (spawnSync('wrk', ['-v']).error ? ['wrk (apt-get install wrk)'] : [])

const script = (target: Target): string => `
wrk.method = "POST"
wrk.path = "${target.path ?? path}"
wrk.body = [==[${jsonRequest}]==]
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "${target.authorization}"
${Object.entries(target.headers ?? {})
  .map(([name, value]) => `wrk.headers["${name}"] = "${value}"`)
  .join('\n')}
function done(summary, latency, requests)
  io.write(string.format('\\n{"calls":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"failed":%d,"broken":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
`

interface Summary {
  readonly calls: number
  readonly durationUs: number
  readonly p50Us: number
  readonly p99Us: number
  readonly failed: number
  readonly broken: number
}

/** JSON calls over HTTP/1.1 on `connections` kept connections. Throws when any was refused or broken: a fast refusal is no speed. */
export async function wrk(target: Target, folder: string, connections: number, seconds: number): Promise<Load> {
  const file = join(folder, `wrk-${new URL(target.origin).port}.lua`)
  writeFileSync(file, script(target), { mode: 0o600 })
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', file, target.origin]
  const child = adopt(spawn('wrk', args, { stdio: ['ignore', 'pipe', 'inherit'] }))
  const [printed] = await Promise.all([text(child.stdout), once(child, 'close')])
  const summary = JSON.parse(printed.trim().split('\n').at(-1) ?? '') as Summary
  if (summary.failed + summary.broken > 0)
    throw new Error(`${summary.failed} of ${summary.calls} calls were refused, ${summary.broken} broken`)
  return {
    calls: summary.calls,
    callsPerSecond: (summary.calls / summary.durationUs) * 1_000_000,
    p50Ms: summary.p50Us / 1000,
    p99Ms: summary.p99Us / 1000,
  }
}
