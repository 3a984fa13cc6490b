import inspector from 'node:inspector'
import { inspect } from 'node:util'
import type { Call } from '../../src/relay/call.js'
import { untilEnded } from '../../src/server/session.js'
import { makeDoor, reply } from './door.js'

/**
 * A daemon before a relay of its own, told what to do by its parent: `finish` ends the streams that are open, `throw` and `reject` break it, `inspector` asks whether
 * one is open. Usage: `daemon-child CERTS_DIR GRACE_MS [hangup-ends]`.
 */
const [certsDir = '', graceMs = '5000', hangup] = process.argv.slice(2)
const open = new Set<Call>()
const door = await makeDoor(certsDir, { shutdownGraceMs: Number(graceMs) })
let onLast = () => {}
door.relay.answer = call => {
  if (call.refusal !== undefined || call.path !== '/stream') {
    reply(call, call.refusal === undefined ? 200 : 503, call.refusal ?? 'ok')
    return
  }
  open.add(call)
  call.response.once('close', () => open.delete(call))
  ;(call.response as import('node:http').ServerResponse).writeHead(200).write('begun,')
}
door.relay.drain = () =>
  new Promise(resolve => {
    const cut = setTimeout(resolve, Number(graceMs))
    onLast = () => {
      clearTimeout(cut)
      resolve()
    }
    if (open.size === 0) onLast()
  })

process.on('message', message => {
  if (message === 'finish') {
    for (const call of open) {
      call.response.once('close', () => {
        if (open.size === 0) onLast()
      })
      ;(call.response as import('node:http').ServerResponse).end(Buffer.from('ended'))
    }
  }
  if (message === 'throw') throw new Error('nobody foresaw this')
  if (message === 'reject') void Promise.reject(new Error('nobody foresaw this'))
  if (message === 'inspector') process.send?.({ inspector: inspector.url() ?? null, report: process.report.reportOnSignal })
})
const soakp = {
  async close() {
    process.send?.({ closed: inspect(true) })
  },
}
const ended = untilEnded({
  log: door.log,
  served: door.served,
  soakp,
  certificates: door.certificates,
  hangupEnds: hangup === 'hangup-ends',
})
process.send?.({ port: door.port, ca: door.ca })
process.exitCode = await ended
door.certificates.close()
// with the line to the parent cut, nothing may keep the process
process.disconnect()
