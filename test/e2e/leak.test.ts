import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { openKeyring, readKeyringFile } from '../../src/vault/keyring.js'
import { readMasterKey } from '../../src/vault/master-key.js'
import { unwrap } from '../../src/vault/wrap.js'
import { byteCanary, type Canary, filesIn, find, findInFiles, textCanary } from '../support/canary.js'
import { call, chat, chatAsk, http2, open, openHttp2, rawTls } from '../support/clients.js'
import { chunk, endlessSse, head, json, lastChunk, openaiEvent, raw, whole } from '../support/scripts.js'
import { freshKey, makeStage, type Stage } from '../support/stage.js'
import { until } from '../support/until.js'
import type { Exchange } from '../support/upstream.js'

// A canary key is put in; then everything that comes out is searched for it, whole, in parts and in disguise.

/** Everything of a home that must never be seen: provider keys, master key, database key, key-encryption key, signing key. */
async function secretsOf(stage: Stage): Promise<{ readonly keys: Canary[]; readonly roots: Canary[] }> {
  const master = readMasterKey(join(stage.home.dir, 'master.key'))
  const keyring = await openKeyring(stage.home.dir, master)
  const file = readKeyringFile(join(stage.home.dir, 'keys.json'))
  const { kid, sealedPrivate } = file.signingKeys[0] ?? { kid: '', sealedPrivate: '' }
  const binding = { purpose: 'signing', subject: kid, instanceId: file.instanceId, masterKeyVersion: file.masterKeyVersion } as const
  const pkcs8 = unwrap(master, sealedPrivate, binding)
  if (pkcs8 === undefined) throw new Error('the signing key does not open')
  const jwk = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }).export({ format: 'jwk' })
  return {
    keys: Object.entries(stage.secrets).map(([provider, secret]) => textCanary(`${provider} key`, secret)),
    roots: [
      byteCanary('master key', master.export()),
      byteCanary('database key', keyring.databaseKey.export()),
      byteCanary('key-encryption key', keyring.kek('default')?.export() ?? Buffer.alloc(32)),
      byteCanary('signing key', Buffer.from(String(jwk.d), 'base64url')),
    ],
  }
}

/** Arguments and environments of a process and of all it started. */
function processText(pid: number): string {
  const of = (id: string) => {
    try {
      return `${readFileSync(`/proc/${id}/cmdline`, 'latin1')}\n${readFileSync(`/proc/${id}/environ`, 'latin1')}\n`
    } catch {
      return ''
    }
  }
  const children = readdirSync('/proc').filter(id => /^\d+$/.test(id) && parentOf(id) === pid)
  return [`${pid}`, ...children].map(of).join('')
}

function parentOf(id: string): number {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1])
  } catch {
    return 0
  }
}

t.test('no secret in any sink', async t => {
  const preload = pathToFileURL(join(process.cwd(), 'dist/test/support/heap-snapshot.js')).href
  const stage = await makeStage(t, {
    providers: ['openai', 'anthropic', 'gemini'],
    settings: { SOAKP_LOG_LEVEL: 'trace', SOAKP_CONNECT_TIMEOUT: '5s' },
    serve: { nodeArgs: ['--heap-snapshot-string-limit=100000000', '--import', preload], ipc: true },
  })
  const { daemon, upstream, home, token, secrets, keys } = stage
  const canaries = await secretsOf(stage)
  const all = [...canaries.keys, ...canaries.roots]
  const replies: string[] = []
  const secret = secrets.openai ?? ''

  await t.test('the search finds what it is meant to find', async t => {
    const canary = [textCanary('x', secret)]
    for (const text of [
      secret,
      `xx${secret.slice(20, 32)}yy`,
      Buffer.from(`a${secret}`).toString('base64'),
      Buffer.from(`ab${secret}c`).toString('base64url'),
      Buffer.from(secret).toString('hex'),
      [...Buffer.from(secret)].map(byte => `%${byte.toString(16)}`).join(''),
      [...Buffer.from(secret)].map(byte => `\\u00${byte.toString(16)}`).join(''),
    ]) {
      t.not(find(canary, Buffer.from(text)).length, 0, text)
    }
    t.strictSame(find(canary, Buffer.from(secret.slice(0, 11))), [])
  })

  await t.test('a provider’s error that repeats the key, in whatever way, does not reach the client', async t => {
    const message = (text: string) => JSON.stringify({ error: { message: `Incorrect API key provided: ${text}`, type: 'x' } })
    const body = Buffer.from(message(secret))
    const at = body.indexOf(secret) + 9
    const escaped = message(secret).replace(secret, [...secret].map(c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''))
    const halfEscaped = message(secret).replace(
      secret,
      `${secret.slice(0, 10)}\\u${secret.charCodeAt(10).toString(16).padStart(4, '0')}${secret.slice(11)}`,
    )
    const scripts = {
      'in the body': raw(whole(400, 'application/json', body)),
      'in a stream of chunks': raw(
        head(500, [['Transfer-Encoding', 'chunked']]),
        chunk(body.subarray(0, at)),
        chunk(body.subarray(at)),
        lastChunk,
      ),
      'split over two writes': raw(head(403, [['Content-Length', `${body.length}`]]), body.subarray(0, at), body.subarray(at)),
      'a byte at a time': raw(head(404, [['Content-Length', `${body.length}`]]), ...[...body].map(byte => Buffer.of(byte))),
      'in a header': raw(whole(418, 'application/json', '{}', [['X-Echo', `Bearer ${secret}`]])),
      'in the credential’s own header': raw(whole(400, 'application/json', '{}', [['Authorization', `Bearer ${secret}`]])),
      'JSON-escaped': raw(whole(400, 'application/json', escaped)),
      'JSON-escaped in one place': raw(whole(400, 'application/json', halfEscaped)),
      'URL-escaped': raw(whole(400, 'text/plain', `key=${[...Buffer.from(secret)].map(byte => `%${byte.toString(16)}`).join('')}`)),
      'as base64': raw(whole(400, 'text/plain', Buffer.from(`:${secret}`).toString('base64'))),
      'as a stream event': raw(
        head(429, [
          ['Content-Type', 'text/event-stream'],
          ['Transfer-Encoding', 'chunked'],
        ]),
        chunk(`data: ${message(secret)}\n\n`),
        lastChunk,
      ),
      'after 60 KB': raw(whole(400, 'text/plain', `${'x'.repeat(60_000)}${secret}`)),
      'when the key itself is refused': raw(whole(401, 'application/json', message(`${secret.slice(0, 8)}***${secret.slice(-4)}`))),
    }
    for (const [title, script] of Object.entries(scripts)) {
      upstream.use(script)
      const answer = await chat(daemon, token).catch((): undefined => undefined)
      const text = `${answer?.rawHeaders.join('\n')}\n${answer?.text()}`
      replies.push(text)
      t.strictSame(find(canaries.keys, Buffer.from(text)), [], title)
      if (answer !== undefined && !title.startsWith('URL') && !title.startsWith('as base64') && !title.startsWith('in the credential')) {
        t.equal(answer.status, 502, `${title}: ${answer.text().slice(0, 100)}`)
      }
      // a key that the provider refused is marked; it is given another chance before the next call
      await home.json(['key', 'enable', keys.openai ?? '']).catch(() => {})
    }
  })

  await t.test('replies, URLs and headers of ordinary and of failing calls hold no secret', async t => {
    upstream.use(json({ ok: true }))
    replies.push((await chat(daemon, token)).text())
    for (const path of [
      '/',
      '/healthz',
      '/readyz',
      '/docs',
      '/openapi.json',
      '/.well-known/jwks.json',
      '/metrics',
      '/openai',
      '/nonsense',
      '/openai/v1/organization',
    ]) {
      const answer = await call(daemon, { path, token })
      replies.push(`${answer.rawHeaders.join('\n')}\n${answer.text()}`)
    }
    upstream.use(exchange => exchange.reset())
    const reset = await chat(daemon, token)
    replies.push(`${reset.rawHeaders.join('\n')}\n${reset.text()}`)
    t.strictSame(find(all, Buffer.from(replies.join('\n'))), [])
    for (const request of upstream.requests) t.strictSame(find(all, Buffer.from(request.target)), [], 'no secret in an address')
  })

  await t.test('commands show no secret, and neither do their mistakes', async t => {
    const id = keys.openai ?? ''
    const runs = await Promise.all([
      home.run(['key', 'list']),
      home.run(['--json', 'key', 'list']),
      home.run(['--json', 'key', 'show', id]),
      home.run(['key', 'show', id]),
      home.run(['key', 'verify', id]),
      home.run(['key', 'add', 'openai', '--stdin', '--name', 'bad name\n'], secret),
      home.run(['key', 'add', 'nonsense', '--stdin'], secret),
      home.run(['key', 'add', 'openai', secret], ''),
      home.run(['--json', 'token', 'list']),
      home.run(['doctor']),
      home.run(['--json', 'doctor']),
      home.run(['usage', '--json']),
      home.run(['key', 'show', 'key_nonsense']),
    ])
    for (const { stdout, stderr } of runs) t.strictSame(find(all, Buffer.from(`${stdout}${stderr}`)), [])
  })

  /** Everything that lies in the daemon's heap at this moment. */
  async function heap(): Promise<Buffer> {
    const file = join(home.dir, '..', 'busy.heapsnapshot')
    daemon.child.send(file)
    await once(daemon.child, 'message')
    const snapshot = readFileSync(file)
    rmSync(file)
    return snapshot
  }

  await t.test('a heap snapshot of the daemon with 100 streams open holds no key', async t => {
    upstream.forget()
    upstream.use(
      endlessSse(
        index => openaiEvent(`w${index}`),
        () => delay(50),
      ),
    )
    const session = await http2(daemon)
    t.teardown(() => session.destroy())
    const streams = await Promise.all([
      ...Array.from({ length: 70 }, () => open(daemon, chatAsk(token, { stream: true }))),
      ...Array.from({ length: 30 }, () => openHttp2(session, chatAsk(token, { stream: true }))),
    ])
    for (const stream of streams) stream.resume()
    await until(
      () => upstream.open === 100,
      '100 open streams',
      () => upstream.open,
    )
    const snapshot = await heap()
    t.ok(snapshot.length > 1_000_000)
    t.ok(snapshot.includes('/v1/chat/completions'), 'the snapshot shows the calls')
    t.strictSame(find(all, snapshot), [])
    for (const stream of streams) stream.destroy()
    await until(() => upstream.open === 0, 'the streams to end')
  })

  await t.test('neither does one with calls that wait for the provider’s first word, and uploads half way', async t => {
    upstream.forget()
    upstream.use(exchange => exchange.left)
    const waiting = await Promise.all(Array.from({ length: 20 }, () => rawTls(daemon)))
    const ask = chatAsk(token)
    const start = `Host: localhost\r\nAuthorization: Bearer ${token}\r\n`
    for (const [index, { write }] of waiting.entries()) {
      if (index % 2 === 0) {
        write(
          `POST ${ask.path} HTTP/1.1\r\n${start}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(String(ask.body))}\r\n\r\n${ask.body}`,
        )
      } else {
        write(
          `POST /openai/v1/audio/transcriptions HTTP/1.1\r\n${start}Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000000\r\n\r\n`,
        )
        write(Buffer.alloc(300_000, '-'))
      }
    }
    await until(
      () => upstream.open === 20,
      '20 calls to wait',
      () => upstream.open,
    )
    await until(() => upstream.requests.filter(request => request.bodyBytes > 100_000).length === 10, 'the uploads to be under way')
    t.strictSame(find(all, await heap()), [])
    for (const { socket } of waiting) socket.destroy()
    await until(() => upstream.open === 0, 'the calls to end')
  })

  await t.test('neither does one after a provider’s refusals, broken connections and a hundred ordinary calls', async t => {
    for (const script of [json({ ok: true }), json({ error: { message: 'no' } }, 400), (exchange: Exchange) => exchange.reset()]) {
      upstream.use(script)
      await Promise.all(Array.from({ length: 35 }, () => chat(daemon, token)))
    }
    t.strictSame(find(all, await heap()), [])
  })

  await t.test('neither does one with calls that wait for a connection to a provider that does not answer', async t => {
    const mute = createServer().listen(0, '127.0.0.1')
    await once(mute, 'listening')
    t.teardown(() => mute.close())
    const { port } = mute.address() as AddressInfo
    const held = freshKey('openai')
    const { id } = await home.addKey('openai', { secret: held, baseUrl: `https://127.0.0.1:${port}`, name: 'mute' })
    const grant = await home.createToken(['--key', id])
    let connections = 0
    mute.on('connection', socket => {
      connections++
      socket.on('error', () => {})
    })
    // writing a snapshot holds the event loop up, and a daemon held up sheds calls for a moment
    upstream.use(json({ ok: true }))
    await until(async () => (await chat(daemon, token)).status === 200, 'the daemon to have recovered')
    const calls = Array.from({ length: 5 }, () => chat(daemon, grant.token).catch(() => undefined))
    await until(
      () => connections === 5,
      'five connections',
      () => `${connections}`,
    )
    t.strictSame(find([...all, textCanary('held key', held)], await heap()), [])
    for (const answer of await Promise.all(calls)) t.equal(answer?.status, 502)
  })

  await t.test('arguments and environment of the daemon and its children hold no secret', async t => {
    t.strictSame(find(all, Buffer.from(processText(daemon.pid), 'latin1')), [])
  })

  await t.test('logs hold no secret and no access token', async t => {
    const signature = token.split('.')[2] ?? ''
    t.ok(daemon.output().length > 0)
    t.strictSame(find([...all, textCanary('access token', signature)], Buffer.from(daemon.output())), [])
  })

  await t.test('files of the home hold no key; only master.key holds the master key', async t => {
    t.equal(await daemon.stop(), 0)
    const backup = join(home.dir, '..', 'copy.backup')
    const made = await home.run(['backup', backup])
    const files = [...filesIn(home.dir), ...(made.code === 0 ? [backup] : [])]
    t.ok(files.length > 4)
    t.strictSame(findInFiles(canaries.keys, files), [])
    t.strictSame(
      findInFiles(
        canaries.roots,
        files.filter(file => !file.endsWith('/master.key')),
      ),
      [],
    )
    t.ok(findInFiles(canaries.roots, [join(home.dir, 'master.key')]).length > 0, 'the search would find it')
  })
})
