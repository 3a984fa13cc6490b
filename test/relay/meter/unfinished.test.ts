import t from 'tap'
import { noUsage } from '../../../src/providers/index.js'
import type { Call } from '../../../src/relay/call.js'
import { type Exchange, newExchange } from '../../../src/relay/exchange.js'
import type { Metered } from '../../../src/relay/meter/meter.js'
import { unfinished } from '../../../src/relay/meter/unfinished.js'

const body = Buffer.alloc(0)

function left(inspected: Partial<Exchange['inspected']>, estimate: true | 'input' = true): Exchange {
  return {
    ...newExchange({} as Call, 1000),
    endpoint: { method: 'POST', pattern: '/x', class: 'inference', models: [], estimate },
    inspected: { body, original: body, injectedUsage: false, ...inspected },
    sentAt: 5000,
  }
}

const read = (outputTokens: number, source: Metered['source'] = 'estimated'): Metered => ({
  tail: undefined,
  usage: { ...noUsage, inputTokens: 7, outputTokens },
  model: undefined,
  source,
})
const counted = (exchange: Exchange, metered: Metered, seconds: number) =>
  unfinished(exchange, metered, 5000 + seconds * 1000).usage?.outputTokens

t.test('what was written unseen before a client left is charged by the time it took, and never more than was asked for', async t => {
  t.equal(counted(left({ maxOutput: 8000 }), read(0), 10), 1000)
  t.equal(counted(left({ maxOutput: 8000, choices: 5 }), read(0), 10), 5000, 'all answers grow at once')
  t.equal(counted(left({ maxOutput: 50, choices: 2 }), read(0), 10), 100)
  t.equal(counted(left({}), read(0), 600), 4096, 'also where nobody said how much')
  t.equal(counted(left({ maxOutput: 8000 }), read(3000), 10), 3000, 'what was read counts in full')
})

t.test('what the provider counted, and what writes nothing, is left as it is', async t => {
  t.equal(counted(left({ maxOutput: 8000 }), read(3, 'provider'), 10), 3)
  t.equal(counted(left({ maxOutput: 8000 }, 'input'), read(0), 10), 0)
  const characters: Metered = { ...read(0), usage: { ...noUsage, units: 9, unit: 'characters' } }
  t.equal(unfinished(left({}), characters, 60_000), characters)
})
