import { randomInt } from 'node:crypto'
import t from 'tap'
import type { LiveGrant } from '../../../src/access/access.js'
import { createLimits, type Hold, type Limits } from '../../../src/limits/limits.js'
import { createPrices } from '../../../src/prices/prices.js'
import { findProvider } from '../../../src/providers/index.js'
import type { Usage } from '../../../src/providers/provider.js'
import { noUsage } from '../../../src/providers/usage.js'
import type { Call } from '../../../src/relay/call.js'
import { newExchange } from '../../../src/relay/exchange.js'
import type { Read } from '../../../src/relay/sockets/ahead.js'
import { SocketBudget, socketFacts } from '../../../src/relay/sockets/budget.js'
import type { GrantRecord } from '../../../src/stores/records.js'
import type { SliceStore } from '../../../src/stores/slices.js'
import { memoryStore, outageOf } from '../../support/limits.js'
import { aGrant, aKey } from '../../support/records.js'
import { until } from '../../support/until.js'

const prices = createPrices()
const now = () => Date.UTC(2026, 10, 22, 12)

/** A connection whose budget is watched from within, as its relay does: what the provider reported is charged in parts. */
class Session {
  readonly hold: Hold
  readonly budget: SocketBudget
  usage: Usage | undefined
  settledUnits = 0

  private constructor(limits: Limits, hold: Hold, exchange: ReturnType<typeof newExchange>, pattern: string) {
    this.hold = hold
    const row = findProvider(exchange.call.provider)?.sockets?.find(socket => socket.pattern === pattern)
    this.budget = new SocketBudget(exchange, row, hold, { limits, prices }, () => ({
      usage: this.usage,
      model: undefined,
      settledUnits: this.settledUnits,
    }))
  }

  /** Throws where the first step does not fit. */
  static async open(limits: Limits, record: GrantRecord, provider: string, pattern: string, model: string, query = ''): Promise<Session> {
    const call = { provider, path: pattern, query, startedAtMs: now(), upgrade: {} } as unknown as Call
    const exchange = newExchange(call, 0)
    exchange.model = model
    exchange.grant = { record } as unknown as LiveGrant
    exchange.endpoint = findProvider(provider)?.sockets?.find(socket => socket.pattern === pattern)
    const hold = await limits.reserve(record)
    try {
      await limits.admit(hold, socketFacts(exchange, aKey(), prices))
    } catch (error) {
      hold.release()
      throw error
    }
    return new Session(limits, hold, exchange, pattern)
  }

  get held(): number {
    return this.hold.budgets.reduce((sum, { amount }) => sum + amount, 0)
  }

  client(event: Record<string, unknown>, binary?: Buffer) {
    const message = binary ?? Buffer.from(JSON.stringify(event))
    const read: Read = {
      message,
      found: [],
      type: typeof event.type === 'string' ? event.type : undefined,
      works: event.type === 'response.create',
      model: undefined,
      outputs: [],
      characters: 0,
    }
    return this.budget.client(read).refusal
  }

  server(event: Record<string, unknown>, counts?: { input: number; output: number }) {
    if (counts)
      this.usage = {
        ...noUsage,
        inputTokens: counts.input,
        outputTokens: counts.output,
        audioInputTokens: counts.input,
        audioOutputTokens: counts.output,
      }
    return this.budget.server(Buffer.from(JSON.stringify(event)), counts !== undefined)
  }

  /** As when a part is written down. */
  settlePart(): number {
    const cost = this.budget.charge(this.usage, undefined, false)?.microDollars ?? 0
    this.hold.spend({ microDollars: cost })
    this.usage = undefined
    return cost
  }
}

function freshLimits(): Limits {
  const store = memoryStore(now)
  return createLimits({ store, outage: outageOf(store, now), now })
}

const seconds = (count: number) => Math.ceil((count * 41_666_667) / 1e6)
const openSound = (limits: Limits, record: GrantRecord) =>
  Session.open(limits, record, 'assemblyai', '/v3/ws', 'universal-streaming-english', '?encoding=pcm_s16le&sample_rate=16000')

t.test('a connection billed by its time holds each minute before it begins, and ends where one does not fit', async t => {
  const limits = freshLimits()
  const session = await openSound(limits, aGrant({ budgets: ['0.008usd/day'] }))
  t.equal(session.held, seconds(60))
  t.equal(session.budget.tick(57_000), undefined)
  t.equal(session.held, seconds(60))
  t.equal(session.budget.tick(58_250), undefined)
  t.equal(session.held, seconds(120))
  t.equal(session.budget.tick(118_100), undefined)
  t.equal(session.held, seconds(180))
  t.match(await session.budget.tick(178_000), { code: 'budget_exhausted' })
  t.equal(session.held, seconds(180), 'what is held already stays so')
})

t.test('sound that is sent faster than it can be spoken is held by its length', async t => {
  const limits = freshLimits()
  const session = await openSound(limits, aGrant({ budgets: ['1usd/day'] }))
  t.equal(session.client({}, Buffer.alloc(32_000 * 119)), undefined)
  t.equal(session.held, seconds(180))
})

t.test('what was charged in parts is held no more', async t => {
  const limits = freshLimits()
  const session = await openSound(limits, aGrant({ budgets: ['1usd/day'] }))
  session.budget.tick(59_000)
  session.settledUnits = 60
  session.hold.spend({ microDollars: seconds(60) })
  session.budget.tick(119_000)
  t.equal(session.held, seconds(120))
})

t.test('a hold that comes when the connection is over is given back', async t => {
  const inner = memoryStore(now)
  const waiting: (() => void)[] = []
  const next = async () => {
    await until(() => waiting.length > 0, 'the store to be asked')
    waiting.pop()?.()
  }
  const store: SliceStore = {
    ...inner,
    claim: async (...args) => {
      await new Promise<void>(resolve => waiting.push(resolve))
      return inner.claim(...args)
    },
  }
  const limits = createLimits({ store, outage: outageOf(inner, now), now })
  const opening = openSound(limits, aGrant({ budgets: ['0.008usd/day'] }))
  await next()
  const session = await opening
  const raising = session.budget.tick(59_000)
  session.hold.settle({ microDollars: 0, tokens: 0 })
  await next()
  await raising
  t.strictSame(
    session.hold.budgets.map(({ slice }) => [slice.held, slice.used]),
    [[0, 0]],
  )
})

t.test('whatever sessions say and providers count, nothing that was opened together passes the budget', async t => {
  for (let round = 0; round < 25; round++) {
    const limits = freshLimits()
    const limit = 500_000 + randomInt(4_000_000)
    const record = aGrant({ budgets: [`${limit / 1e6}usd/day`] })
    let open: (Session & { context?: number; sent?: number; answers?: number })[] = []
    let charged = 0
    const check = () => {
      const slice = open[0]?.hold.budgets[0]?.slice
      if (slice && slice.used + slice.held > limit) t.fail(`${slice.used} used and ${slice.held} held of ${limit}`)
    }
    const end = (session: Session) => {
      const cost = session.settlePart()
      session.hold.settle({ microDollars: 0, tokens: 0 })
      charged += cost
      open = open.filter(other => other !== session)
      if (session.hold.isOverrun) t.fail('more was consumed than was held')
    }
    for (let step = 0; step < 150; step++) {
      const session = open[randomInt(Math.max(1, open.length))]
      const chance = randomInt(100)
      if (session === undefined || chance < 8) {
        await Session.open(limits, record, 'openai', '/v1/realtime', 'gpt-realtime').then(
          opened => open.push(opened),
          () => {},
        )
      } else if (chance < 45) {
        const text = 'x'.repeat(randomInt(3000))
        if (await session.client({ type: 'conversation.item.create', text })) end(session)
        else session.sent = (session.sent ?? 0) + text.length / 4
      } else if (chance < 85) {
        if (await session.client({ type: 'response.create' })) {
          end(session)
          continue
        }
        await session.server({ type: 'response.created', response: {} })
        const input = Math.min(28_000, Math.floor((session.context ?? 300) + (session.sent ?? 0)))
        const output = randomInt(4097)
        session.sent = 0
        session.context = input + output
        const usage = { input_tokens: input, output_tokens: output }
        if (session.usage) charged += session.settlePart()
        const refused = await session.server({ type: 'response.done', response: { conversation_id: 'conv_1', usage } }, { input, output })
        if (refused) end(session)
      } else if (chance < 95) charged += session.settlePart()
      else end(session)
      check()
    }
    for (const session of open) end(session)
    t.ok(charged <= limit, `${charged} of ${limit}`)
  }
})
