import t from 'tap'
import { BadReply, ReplyReader, type ReplyTaker } from '../../src/lib/http1-reader.js'

interface Seen {
  status: number
  headers: string[]
  body: string
  ended: boolean
}

/** Reads a reply cut into pieces of this size; `close`: the connection ends behind it. */
function read(bytes: Buffer, size: number, { isHead = false, close = false } = {}): Seen & { keepsOpen: boolean; whole: boolean } {
  const seen: Seen = { status: 0, headers: [], body: '', ended: false }
  const taker: ReplyTaker = {
    head(status, headers) {
      seen.status = status
      seen.headers = [...headers]
    },
    data(chunk) {
      seen.body += chunk.toString('latin1')
      return true
    },
    end() {
      seen.ended = true
    },
  }
  const reader = new ReplyReader()
  reader.begin(taker, isHead)
  for (let at = 0; at < bytes.length; at += size) reader.read(bytes.subarray(at, at + size))
  const whole = close ? reader.close() : seen.ended
  return { ...seen, keepsOpen: reader.keepsOpen, whole }
}

const good: Record<string, [string, { isHead?: boolean; close?: boolean }, Partial<Seen> & { keepsOpen: boolean }]> = {
  'a length': ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a  b \r\n\r\nhello', {}, { body: 'hello', keepsOpen: true }],
  'no body': ['HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', {}, { body: '', keepsOpen: true }],
  chunks: [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n',
    {},
    { body: 'hello world', keepsOpen: true },
  ],
  'chunks with a trailer': [
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n000\r\nX-Sum: 1\r\n\r\n',
    {},
    { body: 'x', keepsOpen: true },
  ],
  'the end of the connection': ['HTTP/1.1 200 OK\r\n\r\nhello', { close: true }, { body: 'hello', keepsOpen: false }],
  'a reply to HEAD': ['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n', { isHead: true }, { body: '', keepsOpen: true }],
  'no content': ['HTTP/1.1 204 No Content\r\n\r\n', {}, { status: 204, body: '', keepsOpen: true }],
  'not modified': ['HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n', {}, { status: 304, body: '', keepsOpen: true }],
  'a hint before it': [
    'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx',
    {},
    { body: 'x', keepsOpen: true },
  ],
  'a connection that closes': [
    'HTTP/1.1 200 OK\r\nConnection: x, close\r\ncontent-length: 1\r\n\r\nx',
    {},
    { body: 'x', keepsOpen: false },
  ],
  'an older version': ['HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx', {}, { body: 'x', keepsOpen: false }],
  'an older version that keeps open': [
    'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\nx',
    {},
    { body: 'x', keepsOpen: true },
  ],
  'a status without a reason': ['HTTP/1.1 200\r\ncontent-length: 1\r\n\r\nx', {}, { body: 'x', keepsOpen: true }],
}

for (const [how, [text, options, wanted]] of Object.entries(good)) {
  t.test(`a reply is read to its end wherever it is cut: ${how}`, async t => {
    const bytes = Buffer.from(text, 'latin1')
    for (let size = 1; size <= bytes.length; size++) {
      const seen = read(bytes, size, options)
      t.match(seen, { status: 200, ended: true, whole: true, ...wanted }, `in pieces of ${size}`)
    }
  })
}

t.test('names and values come as they were, without the blanks around them', async t => {
  const { headers } = read(Buffer.from('HTTP/1.1 200 OK\r\nX-A:  b c\t\r\nx-a:\r\nLength: 1\r\ncontent-length: 0\r\n\r\n'), 1000)
  t.same(headers, ['X-A', 'b c', 'x-a', '', 'Length', '1', 'content-length', '0'])
})

function refusal(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}

const head = (field: string) => `HTTP/1.1 200 OK\r\n${field}\r\n\r\n`
const bad: Record<string, string> = {
  'no reply': 'SSH-2.0-OpenSSH\r\n\r\n',
  'another version': 'HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n',
  'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
  'a switch of protocols': 'HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n',
  'two lengths': head('content-length: 1\r\ncontent-length: 1'),
  'a list of lengths': head('content-length: 1, 1'),
  'a signed length': head('content-length: +1'),
  'a length in hex': head('content-length: 0x1'),
  'a length without end': head('content-length: 99999999999999999'),
  'a length and chunks': head('content-length: 1\r\ntransfer-encoding: chunked'),
  'an unknown coding': head('transfer-encoding: gzip, chunked'),
  'a coding twice': head('transfer-encoding: chunked\r\ntransfer-encoding: chunked'),
  'a blank before a colon': head('content-length : 1'),
  'a folded header': head('x: a\r\n b'),
  'a header without a name': head(': a'),
  'a header without a colon': head('abc'),
  'a bare line feed in a header': head('x: a\nb: c'),
  'a bare carriage return': head('x: a\rb'),
  'a NUL': head('x: a\0b'),
  'a size that is none': `${head('transfer-encoding: chunked')}zz\r\n`,
  'a negative size': `${head('transfer-encoding: chunked')}-1\r\n`,
  'a size without end': `${head('transfer-encoding: chunked')}${'f'.repeat(13)}\r\n`,
  'a chunk longer than it says': `${head('transfer-encoding: chunked')}1\r\nxy\r\n`,
  'a chunk line that ends in a line feed': `${head('transfer-encoding: chunked')}1\nx\r\n`,
  'a trailer with a control character': `${head('transfer-encoding: chunked')}0\r\nx: \x01\r\n\r\n`,
  'a head without end': `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(70_000)}`,
  'a chunk line without end': `${head('transfer-encoding: chunked')}1;${'a'.repeat(10_000)}`,
}

for (const [how, text] of Object.entries(bad)) {
  t.test(`bytes that readers could take for different replies are no reply: ${how}`, async t => {
    const bytes = Buffer.from(text, 'latin1')
    for (const size of [1, 7, bytes.length])
      t.type(
        refusal(() => read(bytes, size)),
        BadReply,
        `in pieces of ${size}`,
      )
  })
}

t.test('a connection that ends in the middle of a reply is not the end of the reply', async t => {
  const whole = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
  for (let cut = 0; cut < whole.length; cut++)
    t.match(read(Buffer.from(whole.slice(0, cut)), 1000, { close: true }), { whole: false, ended: false })
})

t.test('what follows a reply is never taken for the reply to the next request', async t => {
  const reader = new ReplyReader()
  const bodies: string[] = []
  const ask = () =>
    reader.begin({ head() {}, data: chunk => bodies.push(chunk.toString()) > 0, end: () => void (bodies.length < 2 && ask()) }, false)
  ask()
  const one = 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none'
  reader.read(Buffer.from(`${one}HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad`))
  t.same(bodies, ['one'])
  t.equal(reader.keepsOpen, false)
  const idle = new ReplyReader()
  t.type(
    refusal(() => idle.read(Buffer.from(one))),
    BadReply,
  )
})

t.test('who pauses gets nothing more until it goes on, not even the end', async t => {
  const bytes = Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n')
  for (const size of [1, 5, bytes.length]) {
    const seen: string[] = []
    const reader = new ReplyReader()
    const taker: ReplyTaker = { head() {}, data: chunk => seen.push(chunk.toString()) < 0, end: () => void seen.push('end') }
    reader.begin(taker, false)
    for (let at = 0; at < bytes.length; at += size) {
      const before = seen.length
      reader.read(bytes.subarray(at, at + size))
      t.ok(seen.length <= before + 1)
      while (seen.length > before && seen.at(-1) !== 'end' && size === 1) {
        reader.resume()
        break
      }
    }
    for (let turn = 0; turn < 5; turn++) reader.resume()
    t.same(seen, ['a', 'b', 'c', 'end'], `in pieces of ${size}`)
  }
})

t.test('a taker that paused hears the rest of a reply whose connection has ended, or that it is broken', async t => {
  for (const [text, whole] of [
    ['HTTP/1.1 200 OK\r\n\r\nabc', true],
    ['HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc', true],
    ['HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc', false],
  ] as const) {
    const seen: string[] = []
    const reader = new ReplyReader()
    reader.begin({ head() {}, data: chunk => seen.push(chunk.toString()) < 0, end: () => void seen.push('end') }, false)
    reader.read(Buffer.from(text))
    t.equal(reader.close(), true, 'it cannot be told yet')
    if (whole) reader.resume()
    else
      t.type(
        refusal(() => reader.resume()),
        BadReply,
      )
    t.same(seen, whole ? ['abc', 'end'] : ['abc'])
  }
})

t.test('hints without end are no reply', async t => {
  const hints = 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'
  const reply = 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx'
  t.equal(read(Buffer.from(hints.repeat(100) + reply), 1000).body, 'x')
  const tooMany = refusal(() => read(Buffer.from(hints.repeat(101) + reply), 1000))
  t.type(tooMany, BadReply)
})

t.test('what is around a value is blanks, or a part of it, or an error', async t => {
  const { headers } = read(Buffer.from(`HTTP/1.1 200 OK\r\nX: \t a\xa0 \r\ncontent-length: 0\r\n\r\n`, 'latin1'), 1000)
  t.same(headers.slice(0, 2), ['X', 'a\xa0'])
  for (const odd of ['\v', '\f', '\n', '\r', '\xa0']) {
    const bytes = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${odd}5\r\n\r\nhello`, 'latin1')
    const refused = refusal(() => read(bytes, 1000))
    t.type(refused, BadReply, JSON.stringify(odd))
  }
})
