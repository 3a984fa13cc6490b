import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../place.js'
import { adopt, untilListening } from '../processes.js'
import { type Contender, dummyAuthorization, pidOf } from './contender.js'

/** What runs together; its own ranges let newer ones in, which may not. */
const versions = { '@portkey-ai/gateway': '1.15.2', hono: '4.9.7', '@hono/node-server': '1.13.7', '@hono/node-ws': '1.2.0' }

/**
 * Portkey's gateway, as its README starts it on Node: a gateway of the field, for scale. It ends no TLS, so its figures lack that share; it has no vault, no access tokens, no
 * limits and no ledger here either. Installed from npm into the run's own folder, without its install scripts.
 */
export const portkey: Contender = {
  name: 'portkey',
  node: false,
  mostConnections: 50,
  measures: ['calls'],
  missing: () => (spawnSync('npm', ['--version']).error ? ['npm'] : []),
  async start(place) {
    const folder = join(place.folder, 'portkey')
    mkdirSync(folder)
    const { '@portkey-ai/gateway': gateway, ...overrides } = versions
    writeFileSync(
      join(folder, 'package.json'),
      JSON.stringify({ private: true, dependencies: { '@portkey-ai/gateway': gateway }, overrides }),
    )
    const installed = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, encoding: 'utf8' })
    if (installed.status !== 0) throw new Error(`Portkey could not be installed: ${installed.stderr.slice(-300)}`)
    const port = await freePort()
    const program = join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js')
    const child = adopt(spawn(process.execPath, [program, `--port=${port}`], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] }))
    await untilListening(child, port)
    const origin = `http://127.0.0.1:${port}`
    return {
      name: 'portkey',
      child,
      pid: pidOf(child),
      origin,
      http2Origin: origin,
      authorization: dummyAuthorization,
      cert: undefined,
      path: '/v1/chat/completions',
      headers: { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${place.upstream}/v1` },
    }
  },
}
