import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, converse, post } from './client.js'
import { type Contender, dummyAuthorization, type Running, type Target } from './contenders/contender.js'
import { floor } from './contenders/floor.js'
import { nginx } from './contenders/nginx.js'
import { portkey } from './contenders/portkey.js'
import { soakp, soakpLimited } from './contenders/soakp.js'
import { calls, http2 } from './measures/calls.js'
import { chunks } from './measures/chunks.js'
import { firstByte } from './measures/first-byte.js'
import { idle } from './measures/idle.js'
import type { Bench, Measure } from './measures/measure.js'
import { sockets } from './measures/sockets.js'
import { help, type MeasureName, type Options, readOptions } from './options.js'
import { makePlace, type Place } from './place.js'
import { adopt, endWithThisProcess } from './processes.js'
import { profile } from './profile.js'
import { markdown, type Section, settingOf, write } from './report.js'
import { jsonReply, jsonRequest, streamRequest } from './traffic.js'
import { wrkMissing } from './wrk.js'

const contenders: readonly Contender[] = [nginx, floor, soakp, soakpLimited, portkey]
const measures: Readonly<Record<MeasureName, Measure>> = { calls, http2, chunks, 'first-byte': firstByte, idle, sockets }

const say = (text: string): boolean => process.stderr.write(`${text}\n`)

async function main(): Promise<number> {
  const options = understood()
  if (typeof options === 'number') return options
  const chosen = contenders.filter(each => options.contenders.includes(each.name) && (each.node || !options.profile))
  const missing = [
    ...(process.platform === 'linux' ? [] : ['Linux (CPU time is read from /proc)']),
    ...wrkMissing(),
    ...chosen.flatMap(each => each.missing()),
  ]
  if (missing.length > 0) {
    for (const each of missing) say(`bench: missing: ${each}`)
    return 2
  }
  endWithThisProcess()
  const place = await makePlace(await startUpstream())
  if (options.profile) {
    for (const contender of chosen) process.stdout.write(`${await profile(contender, place, options)}\n`)
    return 0
  }
  const running: Running[] = []
  for (const contender of chosen) running.push(await started(contender, place))
  const direct: Target = { origin: place.upstream, http2Origin: place.upstream, authorization: dummyAuthorization, cert: undefined }
  const sections: Section[] = []
  for (const name of options.measures) {
    const able = chosen.filter(each => each.measures?.includes(name) ?? true)
    const serving = running.filter(each => able.some(contender => contender.name === each.name))
    sections.push(await taken(measures[name], { options, place, contenders: able, running: serving, direct, say }))
  }
  const setting = settingOf(options, new Date())
  process.stdout.write(`${markdown(setting, sections)}\n`)
  if (options.out !== undefined) write(options.out, setting, sections)
  return sections.some(each => each.failure !== undefined) ? 1 : 0
}

/** A measure that fails says so in the report and leaves the others their turn: on a busy machine soakp may shed load in the middle of one. */
async function taken(measure: Measure, bench: Bench): Promise<Section> {
  try {
    return { measure, samples: await measure.run(bench) }
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error)
    say(`${measure.title}: ${failure}`)
    return { measure, samples: [], failure }
  }
}

function understood(): Options | number {
  try {
    const options = readOptions(process.argv.slice(2))
    if (options !== undefined) return options
    process.stdout.write(help)
    return 0
  } catch (error) {
    say(`bench: ${error instanceof Error ? error.message : error}`)
    return 2
  }
}

async function startUpstream(): Promise<string> {
  const child = adopt(fork(new URL('./upstream.js', import.meta.url), { execArgv: [] }))
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return `http://127.0.0.1:${port}`
}

/** Serving, and seen to answer as the upstream does: what is measured is the work, not a refusal. */
async function started(contender: Contender, place: Place): Promise<Running> {
  const running = await contender.start(place, { nodeFlags: [] })
  const socket = await connect(running)
  const reply = await converse(socket, post(running, jsonRequest))
  if (!reply.text.endsWith(jsonReply)) throw new Error(`${contender.name} answered: ${reply.text}`)
  const stream = await converse(socket, post(running, streamRequest('burst')))
  if (!stream.text.includes('data: [DONE]')) throw new Error(`${contender.name} answered a stream: ${stream.text}`)
  socket.destroy()
  say(`${contender.name} serves`)
  return running
}

// a contender that still holds a socket must not keep this process; `exit` ends them all
main().then(
  status => process.exit(status),
  error => {
    say(`bench: ${error instanceof Error ? error.message : error}`)
    process.exit(1)
  },
)
