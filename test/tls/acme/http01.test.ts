import { X509Certificate } from 'node:crypto'
import { connect, createServer } from 'node:net'
import t from 'tap'
import type { Challenge, SolverContext } from '../../../src/tls/acme/challenge.js'
import { http01Solver } from '../../../src/tls/acme/http01.js'
import { makeEngine } from '../../support/acme/engine.js'
import { freePort, lacking, startBed } from '../../support/acme/index.js'

const context: SolverContext = { now: Date.now, signal: new AbortController().signal, delay: async () => {}, tell: () => {} }
const challenge: Challenge = {
  type: 'http-01',
  identifier: 'web.example.test',
  wildcard: false,
  token: 'tok-EN_1',
  keyAuthorization: 'tok-EN_1.thumbprint',
  txtValue: 'x',
}

/** The status line and the body of what a raw request gets. */
function raw(host: string, port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const socket = connect(port, host, () => socket.write(request))
    socket.on('data', part => {
      said += part.toString()
    })
    socket.on('close', () => resolve(said))
    socket.on('error', reject)
  })
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: web.example.test\r\n\r\n`
const place = '/.well-known/acme-challenge/'

t.test('the port answers its tokens, over IPv4 and IPv6, and nothing else', async t => {
  const port = await freePort('127.0.0.1', '::1')
  const solver = http01Solver({ port, hosts: ['127.0.0.1', '::1'] })
  await t.rejects(raw('127.0.0.1', port, get('/')), { code: 'ECONNREFUSED' })
  await solver.prepare([challenge], context)
  for (const host of ['127.0.0.1', '::1']) {
    t.match(await raw(host, port, get(`${place}tok-EN_1`)), /^HTTP\/1\.1 200 [\s\S]*\r\n\r\ntok-EN_1\.thumbprint$/)
    for (const path of [
      '/',
      `${place}`,
      `${place}other`,
      `${place}tok-EN_1/`,
      `${place}../acme-challenge/tok-EN_1`,
      '/tok-EN_1',
      `${place}__proto__`,
    ]) {
      t.match(await raw(host, port, get(path)), /^HTTP\/1\.1 404 [\s\S]*\r\n\r\n$/, path)
    }
  }
  t.match(await raw('127.0.0.1', port, `POST ${place}tok-EN_1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`), /^HTTP\/1\.1 404/)
  t.match(await raw('127.0.0.1', port, 'garbage\r\n\r\n'), /^HTTP\/1\.1 400/)
  await solver.cleanUp([challenge], context)
  await t.rejects(raw('127.0.0.1', port, get('/')), { code: 'ECONNREFUSED' })
  await t.resolves(solver.cleanUp([challenge], context), 'and once more is harmless')
})

t.test('a caller that stays does not keep the port open', async t => {
  const port = await freePort()
  const solver = http01Solver({ port, hosts: ['127.0.0.1'] })
  await solver.prepare([challenge], context)
  const socket = connect(port, '127.0.0.1')
  await new Promise(resolve => socket.once('connect', resolve))
  socket.on('error', () => {})
  await solver.cleanUp([challenge], context)
  await t.rejects(raw('127.0.0.1', port, get('/')), { code: 'ECONNREFUSED' })
})

t.test('a port that is taken is told with what to do, and an address that is not ours is passed over', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => taken.once('listening', resolve))
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const both = http01Solver({ port, hosts: ['::1', '127.0.0.1'] })
  await t.rejects(both.prepare([challenge], context), { code: 'address_in_use', hint: /port 80/ })
  await t.rejects(raw('::1', port, get('/')), { code: 'ECONNREFUSED' }, 'and none of the others stays open')
  const free = await freePort()
  const solver = http01Solver({ port: free, hosts: ['192.0.2.77', '127.0.0.1'] })
  await solver.prepare([challenge], context)
  t.match(await raw('127.0.0.1', free, get(`${place}tok-EN_1`)), /200/)
  await solver.cleanUp([challenge], context)
  await t.rejects(http01Solver({ port: free, hosts: ['192.0.2.77'] }).prepare([challenge], context), { code: 'address_refused' })
})

t.test('names are proved over HTTP by a real CA', { skip: lacking('pebble', 'named', 'nsupdate', 'openssl') }, async t => {
  const bed = await startBed(t)
  const solver = http01Solver({ port: bed.pebble.httpPort, hosts: ['127.0.0.1', '::1'] })
  const names = ['web.example.test', 'web6.example.test', 'both.example.test']
  const { fullchain } = await makeEngine(t, bed).obtain({ names }, { solver })
  t.match(new X509Certificate(fullchain).subjectAltName, /web6\.example\.test/)
  await t.rejects(makeEngine(t, bed).obtain({ names: ['*.example.test'] }, { solver }), {
    code: 'acme_refused',
    detail: /\*\.example\.test: the CA takes dns-persist-01, moon-phase-01, dns-01 as proof, not http-01/,
    hint: /--dns/,
  })
})
