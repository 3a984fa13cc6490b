import t from 'tap'
import { findProvider } from '../../../src/providers/index.js'
import type { Dialect } from '../../../src/providers/provider.js'
import { createMeter } from '../../../src/relay/meter/meter.js'
import { converseStream, invokeStream } from '../../support/event-frames.js'

const meter = (requestBytes = 400) =>
  createMeter({
    dialect: findProvider('bedrock')?.dialect as Dialect,
    status: 200,
    contentType: 'application/vnd.amazon.eventstream',
    contentEncoding: undefined,
    injectedUsage: false,
    estimate: true,
    requestBytes,
  })

const cases = [
  { name: 'Converse', bytes: converseStream(), usage: { inputTokens: 25, outputTokens: 3, cachedInputTokens: 7 } },
  { name: 'an invoked model', bytes: invokeStream(), usage: { inputTokens: 12, outputTokens: 6 } },
]

for (const { name, bytes, usage } of cases) {
  t.test(`${name}: usage is read out of binary frames, at every split, and the bytes are unchanged`, async t => {
    for (let at = 0; at <= bytes.length; at++) {
      const reading = meter()
      for (const part of [bytes.subarray(0, at), bytes.subarray(at)]) if (part.length > 0) t.equal(reading.feed(part), part)
      const metered = reading.end()
      t.match(metered.usage, usage)
      t.equal(metered.source, 'provider')
    }
    const reading = meter()
    for (let at = 0; at < bytes.length; at++) reading.feed(bytes.subarray(at, at + 1))
    t.match(reading.end().usage, usage, 'byte by byte')
  })

  t.test(`${name}: cut anywhere, nothing is free`, async t => {
    for (let at = 0; at < bytes.length; at++) {
      const reading = meter()
      reading.feed(bytes.subarray(0, at))
      const { usage: counted } = reading.end()
      t.ok(counted && counted.inputTokens > 0)
    }
  })
}

t.test('bytes that are no frames are passed on and end nothing', async t => {
  for (const bytes of [Buffer.alloc(64), Buffer.alloc(64, 0xff), Buffer.from('event: x\ndata: {}\n\n')]) {
    const reading = meter(40)
    t.equal(reading.feed(bytes), bytes)
    t.equal(reading.feed(bytes), bytes)
    t.equal(reading.end().source, 'estimated')
  }
})
