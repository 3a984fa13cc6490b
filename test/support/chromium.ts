import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { build } from 'esbuild'
import { type Browser, chromium } from 'playwright-core'

const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

/** Why tests in a browser are skipped; undefined: they are not. */
export const noChromium = program === undefined ? 'chromium is not installed' : undefined

interface Teardown {
  teardown(handler: () => unknown): unknown
}

/** One browser without a window. It is the one of the system: nothing is downloaded. */
export async function startChromium(t: Teardown): Promise<Browser> {
  // root, as on CI machines, has no sandbox
  const browser = await chromium.launch({
    executablePath: program ?? '',
    headless: true,
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  })
  t.teardown(() => browser.close())
  return browser
}

/** A module with all that it imports, for a page. */
export async function bundle(file: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(process.cwd(), 'dist', file)],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'chrome120',
    logLevel: 'error',
  })
  return outputFiles[0]?.text ?? ''
}

type Route = (request: IncomingMessage, body: string) => Promise<{ readonly status?: number; readonly type: string; readonly body: string }>

/** An app's own server: its pages, and its backend. `http://localhost:PORT`, which browsers trust as they do HTTPS. */
export async function startSite(t: Teardown, routes: Readonly<Record<string, Route>>): Promise<{ readonly origin: string }> {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    void answer(request, response)
  })
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const part of request.setEncoding('utf8')) body += part
    const path = (request.url ?? '').split('?', 1)[0] as string
    const route = routes[path] ?? routes[path.slice(0, path.indexOf('/', 1) + 1)]
    if (!route) return void response.writeHead(404).end()
    try {
      const { status = 200, type, body: text } = await route(request, body)
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(text)
    } catch (error) {
      response.writeHead(500).end(String(error))
    }
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return { origin: `http://localhost:${(server.address() as AddressInfo).port}` }
}
