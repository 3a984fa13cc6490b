import t from 'tap'
import { checkRules, type EndpointFacts, rulesOf } from '../../src/access/rules.js'
import { aGrant } from '../support/records.js'

function facts(fields: Partial<EndpointFacts> & { path: string }): EndpointFacts {
  return { class: 'inference', rowPattern: fields.path, provider: 'openai', method: 'POST', readings: [fields.path], ...fields }
}

const chat = facts({ path: '/v1/chat/completions' })
const unknown = facts({ class: 'new', path: '/v1/brand-new', rowPattern: undefined })
const files = facts({ class: 'account', method: 'GET', path: '/v1/files/file_1', rowPattern: '/v1/files/**' })
const secrets = facts({ class: 'credential', path: '/v1/realtime/client_secrets' })

t.test('a grant opens inference by itself, new endpoints with *, and closed ones never but by name', async t => {
  const opens = (...endpoints: string[]) => [chat, unknown, files, secrets].map(rulesOf(aGrant({ endpoints })).opens)
  t.same(opens(), [true, false, false, false])
  t.same(opens('inference'), [true, false, false, false])
  t.same(opens('*'), [true, true, false, false])
  t.same(opens('POST /v1/brand-new'), [false, true, false, false])
  t.same(opens('GET /v1/files/**'), [false, false, true, false])
  t.same(opens('GET /openai/v1/files/*'), [false, false, true, false])
  t.same(opens('inference', 'POST /openai/v1/realtime/client_secrets'), [true, false, false, true])
})

t.test('the word account opens what is tracked of an account, and with all-resources the rest of it', async t => {
  const tracked = { ...files, tracked: true }
  t.same([files, tracked].map(rulesOf(aGrant({ endpoints: ['inference', 'account'] })).opens), [false, true])
  t.same([files, tracked].map(rulesOf(aGrant({ endpoints: ['account', 'all-resources'] })).opens), [true, true])
  t.same([files, tracked].map(rulesOf(aGrant({ endpoints: ['all-resources', '*', 'inference'] })).opens), [false, false])
  t.same(
    [[], ['account'], ['all-resources']].map(endpoints => rulesOf(aGrant({ endpoints })).reachesAll),
    [false, false, true],
  )
})

t.test('a pattern that only covers a closed endpoint does not name it', async t => {
  for (const pattern of ['/**', '/v1/**', '* /v1/*/*', '/openai/**', '/v1/*/file_1']) {
    t.notOk(rulesOf(aGrant({ endpoints: [pattern] })).opens(files), pattern)
  }
})

t.test('a pattern is for its provider, its method and every reading of the path', async t => {
  const rules = rulesOf(aGrant({ endpoints: ['POST /groq/v1/brand-new'] }))
  t.notOk(rules.opens(unknown))
  t.ok(rules.opens({ ...unknown, provider: 'groq' }))
  t.notOk(rules.opens({ ...unknown, provider: 'groq', method: 'DELETE' }))
  t.notOk(rules.opens({ ...unknown, provider: 'groq', readings: ['/v1/brand-new', '/v1/else'] }))
})

t.test('models match by glob, and nothing but * is special', async t => {
  const { allowsModel } = rulesOf(aGrant({ models: ['gpt-4o*', 'claude-*-4', 'o1.mini'] }))
  for (const model of ['gpt-4o', 'gpt-4o-mini', 'claude-opus-4', 'o1.mini']) t.ok(allowsModel(model), model)
  for (const model of ['gpt-4', 'GPT-4o', 'claude-4', 'o1-mini', 'x gpt-4o', '']) t.notOk(allowsModel(model), model)
})

t.test('addresses match by block in both families', async t => {
  const { allowsAddress } = rulesOf(aGrant({ addresses: ['203.0.113.0/24', '2001:db8::/32', '198.51.100.7'] }))
  for (const address of ['203.0.113.9', '2001:db8:1::1', '198.51.100.7']) t.ok(allowsAddress(address), address)
  for (const address of ['203.0.114.9', '2001:db9::1', '198.51.100.8', '::1']) t.notOk(allowsAddress(address), address)
})

t.test('a rule that cannot be meant is refused before anything is stored', async t => {
  for (const rules of [
    { models: [''] },
    { models: ['a b'] },
    { endpoints: ['v1/chat'] },
    { endpoints: ['post /v1/chat'] },
    { endpoints: ['/v1/x?y=1'] },
    { endpoints: ['/v1/a**'] },
    { origins: ['https://a.example/'] },
    { origins: ['a.example'] },
    { addresses: ['10.0.0.0/33'] },
    { addresses: ['localhost'] },
  ]) {
    t.throws(() => checkRules(rules), { code: 'usage' }, JSON.stringify(rules))
  }
  t.doesNotThrow(() =>
    checkRules({
      models: ['*'],
      endpoints: ['*', 'inference', 'GET /v1/files/**'],
      origins: ['https://a.example', 'capacitor://localhost'],
      addresses: ['::1'],
    }),
  )
})
