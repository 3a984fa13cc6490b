import { X509Certificate } from 'node:crypto'
import { createServer } from 'node:net'
import t from 'tap'
import { makeEngine } from '../../support/acme/engine.js'
import { freePort, lacking, startBed } from '../../support/acme/index.js'
import { nsupdateSolver } from '../../support/acme/solver.js'

t.test('a CA in trouble', { skip: lacking('pebble', 'named', 'nsupdate', 'openssl') }, async t => {
  const bed = await startBed(t)
  const { proxy } = bed
  const ordersMade = () =>
    bed.pebble
      .log()
      .split('\n')
      .filter(line => line.includes('Added order')).length
  t.afterEach(() => proxy.clearFaults())

  t.test('a short wait that the CA asks for, in seconds or by a date, is waited for', async t => {
    const engine = makeEngine(t, bed)
    proxy.fault({ match: 'order-plz', status: 429, retryAfter: 1 })
    proxy.fault({ match: 'finalize', status: 503, retryAfter: new Date(Date.now() + 2_000).toUTCString() })
    t.ok(await engine.obtain())
    t.match(engine.told.join('\n'), /new order: injected 429 \(rateLimited\)\. It asks to wait 1 s\. Trying again in [12] s/)
    t.match(engine.told.join('\n'), /finalize: injected 503 \(serverInternal\)/)
  })

  t.test('a long one is passed on with its seconds, at once', async t => {
    const engine = makeEngine(t, bed)
    const inAnHour = new Date(Date.now() + 3_600_000).toUTCString()
    for (const retryAfter of [3600, inAnHour]) {
      proxy.fault({ match: 'order-plz', status: 429, retryAfter, detail: 'too many certificates (5) already issued for this exact set' })
      const error = await engine.obtain().catch((each: unknown) => each)
      t.match(error, { code: 'acme_rate_limited', problem: { type: 'rateLimited', status: 429 }, detail: /too many certificates \(5\)/ })
      const { retryAfterSeconds = 0 } = error as { retryAfterSeconds?: number }
      t.ok(retryAfterSeconds > 3_500 && retryAfterSeconds <= 3_600, String(retryAfterSeconds))
    }
    proxy.fault({
      match: 'order-plz',
      status: 429,
      detail: `retry after ${new Date(Date.now() + 7_200_000).toISOString().replace('T', ' ').slice(0, 19)} UTC: see`,
    })
    const { retryAfterSeconds } = (await engine.obtain().catch((each: unknown) => each)) as { retryAfterSeconds?: number }
    t.ok((retryAfterSeconds ?? 0) > 7_000, 'also where only the text says it')
  })

  t.test('a page of HTML in place of an answer is lived through, and told when it stays', async t => {
    const engine = makeEngine(t, bed)
    proxy.fault({ match: '/dir', status: 503, body: '<html><h1>Service Unavailable</h1></html>' })
    proxy.fault({ match: 'nonce-plz', status: 502, body: '<html></html>' })
    ;(await engine.obtain()).finished()
    proxy.fault({ match: '/dir', status: 503, body: '<html></html>', times: 99 })
    await t.rejects(makeEngine(t, bed, { maxWaitMs: 10 }).obtain(), {
      code: 'acme_unreachable',
      detail: /directory: HTTP status 503 with text\/html in place of a problem document/,
    })
  })

  t.test('an order whose answer was lost is taken up, not made twice', async t => {
    const engine = makeEngine(t, bed)
    const before = ordersMade()
    // two, because the first may have been refused for its nonce
    proxy.fault({ match: 'order-plz', drop: 'after', times: 2 })
    const names = ['lost.example.test']
    t.ok((await engine.obtain({ names })).fullchain)
    t.equal(ordersMade() - before, 1)
  })

  for (const step of ['sign-me-up', 'order-plz', 'authZ', 'chalZ', 'finalize', 'certZ', 'my-order']) {
    t.test(`a socket that is dropped at ${step}, before or after the CA heard, costs a retry and no more`, async t => {
      for (const drop of ['before', 'after'] as const) {
        proxy.clearFaults()
        proxy.fault({ match: step, drop })
        const solver = nsupdateSolver(bed.bind)
        const { fullchain } = await makeEngine(t, bed).obtain({ names: [`${drop}.example.test`, `*.${drop}.example.test`] }, { solver })
        t.ok(new X509Certificate(fullchain).subjectAltName, drop)
        t.ok(solver.trace.length === 2, 'proved once')
        t.same(await bed.bind.txt(`_acme-challenge.${drop}.example.test`), [])
      }
    })
  }

  t.test('no answer at all, a stranger, and a server that hangs are told apart', async t => {
    const port = await freePort()
    const dead = makeEngine(t, bed, { directoryUrl: `https://127.0.0.1:${port}/dir`, maxWaitMs: 10 })
    await t.rejects(dead.obtain(), { code: 'acme_unreachable', detail: /ECONNREFUSED/ })
    const stranger = makeEngine(t, { ...bed, caFile: bed.pebble.certFile })
    await t.rejects(stranger.obtain(), { code: 'acme_unreachable', detail: /certificate/, hint: /SOAKP_ACME_CA_FILE/ })
    const silent = createServer().listen(0, '127.0.0.1')
    t.teardown(() => silent.close())
    await new Promise(resolve => silent.once('listening', resolve))
    const { port: silentPort } = silent.address() as { port: number }
    const hanging = makeEngine(t, bed, {
      directoryUrl: `https://127.0.0.1:${silentPort}/dir`,
      maxWaitMs: 10,
      transport: { timeoutMs: 50 },
    })
    await t.rejects(hanging.obtain(), { code: 'acme_unreachable', detail: /no answer within 0\.05 s/ })
  })

  t.test('a URL that is no directory is told so', async t => {
    const engine = makeEngine(t, bed, { directoryUrl: `https://127.0.0.1:${bed.proxy.port}/renewal-info/x` })
    await t.rejects(engine.obtain(), { code: 'acme_refused', detail: /directory: / })
  })

  t.test('text of a CA cannot play with the terminal', async t => {
    proxy.fault({ match: 'order-plz', status: 400, type: 'malformed', detail: 'red \u001b[31malarm\r\nnew line \u202etxet' })
    const { detail } = (await makeEngine(t, bed)
      .obtain()
      .catch((error: unknown) => error)) as { detail: string }
    t.match(detail, /red \[31malarm new line txet/)
    t.notMatch(detail, /[\u001b\r\n\u202e]/)
    const before = proxy.meta
    proxy.meta = { ...before, termsOfService: 'https://ca.example.test/\u001b]0;terms\u0007' }
    const engine = makeEngine(t, bed)
    const choices = [{ authority: engine.authority, account: { agreesToTerms: false } }]
    await t.rejects(engine.obtain({}, { choices }), {
      code: 'acme_refused',
      detail: /to its terms: https:\/\/ca\.example\.test\/ \]0;terms$/,
    })
    proxy.meta = before
  })

  t.test('what is wrong with each name is kept apart', async t => {
    const subproblems = [
      {
        type: 'urn:ietf:params:acme:error:rejectedIdentifier',
        detail: 'policy forbids',
        identifier: { type: 'dns', value: 'a.example.test' },
      },
      { type: 'urn:ietf:params:acme:error:caa', detail: 'CAA', identifier: { type: 'dns', value: 'b.example.test' } },
    ]
    proxy.fault({ match: 'order-plz', status: 403, type: 'compound', detail: 'several', subproblems })
    await t.rejects(makeEngine(t, bed).obtain(), {
      code: 'acme_refused',
      detail: /several; a\.example\.test: policy forbids \(rejectedIdentifier\); b\.example\.test: CAA \(caa\)/,
      problem: { subproblems: [{ identifier: 'a.example.test' }, { identifier: 'b.example.test', type: 'caa' }] },
    })
  })

  t.test('a name that was paused shows the page that sets it free', async t => {
    const detail = 'Your account is temporarily prevented. Visit https://portal.letsencrypt.org/sfe/v1/unpause?jwt=abc for more.'
    proxy.fault({ match: 'order-plz', status: 429, retryAfter: 86_400, detail })
    await t.rejects(makeEngine(t, bed).obtain(), {
      code: 'acme_rate_limited',
      hint: 'See https://portal.letsencrypt.org/sfe/v1/unpause?jwt=abc',
    })
  })
})
