import t from 'tap'
import { createPrices } from '../../src/prices/prices.js'
import { findProvider, matchEndpoint } from '../../src/providers/index.js'
import { createMeter, type Metered } from '../../src/relay/meter/meter.js'
import { type UsageFixture, usageFixtures } from '../contracts/provider.js'

const at = Date.parse('2026-11-22T12:00:00Z')
const prices = createPrices()

function read({ provider: id, endpoint, contentType }: UsageFixture, body: Buffer): Metered {
  const provider = findProvider(id)
  const [method = '', path = ''] = endpoint.split(' ')
  const match = provider && matchEndpoint(provider, method, path)
  if (!provider || match?.kind !== 'endpoint') throw new Error(`${endpoint} is no endpoint of ${id}`)
  const meter = createMeter({
    dialect: match.endpoint.dialect ?? provider.dialect,
    status: 200,
    contentType,
    contentEncoding: undefined,
    injectedUsage: false,
    estimate: match.endpoint.estimate !== undefined,
    requestBytes: 100,
  })
  meter.feed(body)
  return meter.end()
}

function charge({ provider, asked }: UsageFixture, { usage, model }: Metered) {
  return usage && prices.charge({ provider, requested: asked ?? null, answered: model, at }, usage)
}

/** `25*3 + 100*0.30` in whole micro-dollars, in integers of a millionth of one. */
function worth(sum: string): number {
  const millionths = sum.split(' + ').reduce((total, product) => {
    const [count = '', rate = ''] = product.split('*')
    const [whole = '', fraction = ''] = rate.split('.')
    return total + BigInt(count) * BigInt(`${whole}${fraction.padEnd(6, '0')}`)
  }, 0n)
  return Number((millionths + 999_999n) / 1_000_000n)
}

const priced = usageFixtures.filter(fixture => fixture.cost !== undefined)

t.test('every dialect that is priced has a call whose cost was worked out by hand', async t => {
  t.ok(priced.length >= 40)
})

for (const fixture of priced) {
  t.test(`${fixture.name}: the call costs what the provider's price page says`, async t => {
    t.equal(charge(fixture, read(fixture, Buffer.from(fixture.body)))?.microDollars, worth(fixture.cost as string))
  })

  t.test(`${fixture.name}: cut anywhere, what was counted is priced, and by the same price`, async t => {
    const body = Buffer.from(fixture.body)
    const whole = charge(fixture, read(fixture, body))
    for (let end = 0; end <= body.length; end++) {
      const metered = read(fixture, body.subarray(0, end))
      const knowsModel = metered.model === fixture.model || fixture.asked !== undefined
      if (!metered.usage || !knowsModel || whole?.version.startsWith('stated/')) continue
      const part = charge(fixture, metered)
      if (!part || part.microDollars === 0) return t.fail(`free at ${end}`)
      if (part.version !== whole?.version) return t.equal(part.version, whole?.version, `at ${end}`)
    }
    t.pass()
  })
}
