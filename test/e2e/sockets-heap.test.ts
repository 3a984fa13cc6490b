import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { find, textCanary } from '../support/canary.js'
import { makeHome } from '../support/daemon.js'
import { freshKey } from '../support/stage.js'
import { until } from '../support/until.js'
import { openSocket } from '../support/ws-client.js'
import { startSocketUpstream } from '../support/ws-upstream.js'

const upstream = await startSocketUpstream(t)
const home = await makeHome(t)
const secret = freshKey('openai')
await home.addKey('openai', { secret, baseUrl: upstream.url })
const { token } = await home.createToken(['--all'])
const preload = pathToFileURL(join(process.cwd(), 'dist/test/support/heap-snapshot.js')).href
const daemon = await home.serve({ nodeArgs: ['--heap-snapshot-string-limit=100000000', '--import', preload], ipc: true })

async function heap(name: string): Promise<Buffer> {
  const file = join(home.dir, '..', `${name}.heapsnapshot`)
  daemon.child.send(file)
  await once(daemon.child, 'message')
  return readFileSync(file)
}

/** How many objects of a class are alive. */
function instances(snapshot: Buffer, name: string): number {
  const {
    nodes,
    strings,
    snapshot: about,
  } = JSON.parse(snapshot.toString()) as {
    nodes: number[]
    strings: string[]
    snapshot: { meta: { node_fields: string[]; node_types: [string[]] } }
  }
  const { node_fields: fields, node_types: types } = about.meta
  const object = types[0].indexOf('object')
  const wanted = strings.indexOf(name)
  let count = 0
  for (let at = 0; at < nodes.length; at += fields.length) {
    if (nodes[at + fields.indexOf('type')] === object && nodes[at + fields.indexOf('name')] === wanted) count++
  }
  return count
}

t.test('with WebSockets open no key lies in the heap, and closed ones leave nothing behind', async t => {
  const opened = await Promise.all(Array.from({ length: 60 }, () => openSocket(daemon, '/openai/v1/realtime?model=m', { token })))
  for (const { socket } of opened) socket.send('hello')
  await until(() => opened.every(({ messages }) => messages.length === 1), 'every answer')
  const busy = await heap('open')
  t.strictSame(find([textCanary('key', secret)], busy), [])
  t.equal(instances(busy, 'SocketConnection'), 60)
  for (const [at, { socket }] of opened.entries()) {
    if (at % 2 === 0) socket.close()
    else socket.terminate()
  }
  await until(async () => (await home.entries()).length === 60, 'every line')
  await until(() => upstream.sockets.size === 0, 'the provider to be left')
  // what was closed last is still in the hands of the event loop
  let quiet = await heap('closed')
  await until(
    async () => {
      if (instances(quiet, 'SocketConnection') === 0) return true
      quiet = await heap('closed')
      return false
    },
    'the connections to be collected',
    () => instances(quiet, 'SocketConnection'),
  )
  t.strictSame(find([textCanary('key', secret)], quiet), [])
  // the class itself is one
  t.ok(instances(quiet, 'WebSocket') < 5, `${instances(quiet, 'WebSocket')} of 120 are left`)
})
