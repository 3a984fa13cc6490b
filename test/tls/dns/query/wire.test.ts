import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { createServer } from 'node:net'
import { type DecodedPacket, decode, encode, type Packet } from 'dns-packet'
import t, { type Test } from 'tap'
import { ask, DnsSilence, type ServerAddress } from '../../../../src/tls/dns/query/wire.js'
import { freePort } from '../../../support/acme/index.js'

type Answerer = (query: DecodedPacket, reply: (bytes: Buffer) => void, socket: Socket, from: RemoteInfo) => void

/** A name server that answers as the test says, over UDP and TCP at one port. */
async function startServer(
  t: Test,
  udp: Answerer,
  tcp?: (query: DecodedPacket) => Buffer,
): Promise<ServerAddress & { queries: DecodedPacket[]; ports: Set<number> }> {
  const port = await freePort()
  const queries: DecodedPacket[] = []
  const ports = new Set<number>()
  const socket = createSocket('udp4')
  socket.on('message', (bytes, from) => {
    const query = decode(bytes)
    queries.push(query)
    ports.add(from.port)
    udp(query, answer => socket.send(answer, from.port, from.address), socket, from)
  })
  await new Promise<void>(resolve => socket.bind(port, '127.0.0.1', resolve))
  t.teardown(() => socket.close())
  if (tcp !== undefined) {
    const server = createServer(stream => {
      stream.once('data', bytes => {
        const answer = tcp(decode(bytes.subarray(2)))
        const length = Buffer.alloc(2)
        length.writeUInt16BE(answer.length)
        // in pieces, as networks deliver
        for (const byte of Buffer.concat([length, answer])) stream.write(Buffer.of(byte))
      })
      stream.on('error', () => {})
    })
    await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
    t.teardown(() => server.close())
  }
  return { host: '127.0.0.1', port, queries, ports }
}

const flags = { aa: 1 << 10, tc: 1 << 9 }
const answer = (query: DecodedPacket, data: string, more: Partial<Packet> = {}) =>
  encode({
    type: 'response',
    id: query.id ?? 0,
    flags: flags.aa,
    questions: query.questions ?? [],
    answers: [{ type: 'TXT', name: query.questions?.[0]?.name ?? '', ttl: 1, data }],
    ...more,
  })

const question = { name: 'x.example.test', type: 'TXT' } as const
const options = { signal: new AbortController().signal, timeoutMs: 300 }
const textOf = async (asked: ReturnType<typeof ask>) =>
  (await asked).answers.map(record => (record.type === 'TXT' ? String(record.data) : ''))

t.test('what does not belong to the question is not taken for its answer', async t => {
  const server = await startServer(t, (query, reply) => {
    reply(Buffer.from('garbage'))
    reply(answer({ ...query, id: ((query.id ?? 0) + 1) % 0x10000 }, 'another id'))
    reply(answer({ ...query, questions: [{ name: 'y.example.test', type: 'TXT', class: 'IN' }] }, 'another question'))
    reply(encode({ type: 'query', id: query.id ?? 0, questions: query.questions ?? [] }))
    reply(answer(query, 'right'))
  })
  t.same(await textOf(ask(server, question, options)), ['right'])
})

t.test('an answer from another address than the one asked is not taken', async t => {
  const server = await startServer(t, (query, reply, _, from) => {
    const stranger = createSocket('udp4')
    stranger.send(answer(query, 'forged'), from.port, from.address, () => {
      stranger.close()
      setTimeout(() => reply(answer(query, 'right')), 20)
    })
  })
  t.same(await textOf(ask(server, question, options)), ['right'])
})

t.test('ids and ports differ from question to question, recursion is not asked for, EDNS is offered', async t => {
  const server = await startServer(t, (query, reply) => reply(answer(query, 'v')))
  for (let i = 0; i < 20; i++) await ask(server, question, options)
  t.ok(new Set(server.queries.map(({ id }) => id)).size > 15)
  t.ok(server.ports.size > 15)
  t.ok(server.queries.every(query => !query.flag_rd && query.additionals?.some(({ type }) => type === 'OPT')))
})

t.test('an answer that was cut short is asked for again over TCP', async t => {
  const server = await startServer(
    t,
    (query, reply) => reply(answer(query, 'short', { flags: flags.aa | flags.tc, answers: [] })),
    query => answer(query, 'whole'),
  )
  t.same(await textOf(ask(server, question, options)), ['whole'])
})

t.test('a server that does not know EDNS is asked without it', async t => {
  const server = await startServer(t, (query, reply) =>
    reply(query.additionals?.length ? answer(query, '', { flags: 1, answers: [] }) : answer(query, 'plain')),
  )
  t.same(await textOf(ask(server, question, options)), ['plain'])
})

t.test('a question that was lost is asked again; where UDP gets nothing through, TCP does', async t => {
  let lost = 0
  const once = await startServer(t, (query, reply) => (lost++ === 0 ? undefined : reply(answer(query, 'second'))))
  t.same(await textOf(ask(once, question, options)), ['second'])
  const never = await startServer(
    t,
    () => {},
    query => answer(query, 'over tcp'),
  )
  t.same(await textOf(ask(never, question, options)), ['over tcp'])
})

t.test('a server that never answers, and one that is not there, are silence with a reason', async t => {
  const mute = await startServer(t, () => {})
  await t.rejects(ask(mute, question, options), new DnsSilence('refuses the connection'))
  await t.rejects(ask({ host: '127.0.0.1', port: await freePort() }, question, options), new DnsSilence('refuses the connection'))
})
