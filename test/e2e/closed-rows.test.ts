import { Agent } from 'node:https'
import t from 'tap'
import { checkPath, providers } from '../../src/providers/index.js'
import type { Endpoint, Provider } from '../../src/providers/provider.js'
import { samplePath } from '../contracts/provider.js'
import { call } from '../support/clients.js'
import { json } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'

// Every closed row of every provider, tried through a running daemon by grants that open as much as can be opened without naming it.

/** Everything but the words of a closed row. */
const wildcards = [
  '*',
  'inference',
  '/**',
  '* /**',
  '/*/**',
  '/*/*',
  '/*/*/**',
  '/*/*/*',
  '/*/*/*/**',
  '/*/*/*/*',
  '/*/*/*/*/**',
  'POST /*/*/*',
  'GET /*/*/*/*',
]

const real: readonly Provider[] = providers.filter(provider => !provider.serve)

function methodsOf({ method }: Endpoint): readonly string[] {
  return method === '*' ? ['GET', 'POST', 'DELETE'] : method === 'GET' ? ['GET', 'HEAD'] : [method]
}

function pathsOf({ pattern }: Endpoint): readonly string[] {
  const whole = samplePath(pattern)
  const bare = pattern.endsWith('/**') ? [samplePath(pattern, '')] : []
  return [whole, ...bare].filter(path => path !== '')
}

/** Spellings that some server may take for the path: in other letters, encoded once or twice, with slashes doubled, encoded or added. */
function spellings(path: string): readonly string[] {
  const letter = path.search(/[a-z]{3}/) + 1
  const code = path.charCodeAt(letter).toString(16)
  const encoded = (text: string) => path.slice(0, letter) + text + path.slice(letter + 1)
  const all = [
    path,
    path.toUpperCase(),
    `${path}/`,
    path.replaceAll('/', '//'),
    encoded(`%${code}`),
    encoded(`%25${code}`),
    path[0] + path.slice(1).replaceAll('/', '%2F'),
  ]
  return all.filter(spelling => checkPath(spelling) === undefined)
}

for (const prefix of ['', '/gateway', '/gateway/v1']) {
  t.test(`with base URLs that end in ${prefix === '' ? 'nothing' : prefix}`, async t => {
    const names = real.map(provider => provider.id)
    const { home, daemon, upstream, grant } = await makeStage(t, { script: json({ reached: true }), providers: names, basePath: prefix })
    const widest = (await grant('--all', '--endpoints', ...wildcards)).token
    const agent = new Agent({ keepAlive: true, maxSockets: 8, ca: home.ca() })
    t.teardown(() => agent.destroy())

    for (const { id, endpoints } of real) {
      const closed = endpoints.filter(endpoint => endpoint.class !== 'inference')
      await t.test(`${id}: ${closed.length} closed rows reach nobody`, async t => {
        upstream.forget()
        const asks = closed.flatMap(endpoint =>
          // one method of each row in every spelling, the others plainly
          methodsOf(endpoint).flatMap((method, at) =>
            pathsOf(endpoint).flatMap(path =>
              (at === 0 && prefix === '' ? spellings(path) : [path]).map(spelling => ({ method, path: `/${id}${spelling}` })),
            ),
          ),
        )
        t.ok(closed.length === 0 || asks.length >= closed.length)
        const statuses = new Map<number, number>()
        await inTurns(asks, 8, async ({ method, path }) => {
          const answer = await call(daemon, { method, path, token: widest, agent })
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
          if (answer.status !== 403) t.equal(answer.status, 403, `${method} ${path}`)
        })
        t.same(
          upstream.requests.map(request => `${request.method} ${request.target}`),
          [],
        )
        t.equal(statuses.get(403) ?? 0, asks.length)
      })
    }

    await t.test('while what is open does reach it', async t => {
      upstream.forget()
      // a row that signs its calls wants a key of its own form
      for (const { id, endpoints } of real.filter(provider => !provider.authorize)) {
        const open = endpoints.find(endpoint => endpoint.class === 'inference' && endpoint.method === 'POST')
        if (!open) continue
        const path = `/${id}${samplePath(open.pattern)}`
        const answer = await call(daemon, {
          method: 'POST',
          path,
          token: widest,
          agent,
          body: '{"model":"m"}',
          headers: { 'content-type': 'application/json' },
        })
        t.equal(answer.status, 200, path)
      }
      t.ok(upstream.requests.length >= 20)
      for (const request of upstream.requests) t.ok(request.target.startsWith(`${prefix}/`))
    })
  })
}

async function inTurns<T>(items: readonly T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < items.length) await work(items[next++] as T)
  }
  await Promise.all(Array.from({ length: width }, worker))
}
