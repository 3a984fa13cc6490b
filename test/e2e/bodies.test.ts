import { randomBytes } from 'node:crypto'
import t from 'tap'
import { chat, chatAsk } from '../support/clients.js'
import { json } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'

// Bodies made to be read in two ways: what the rule saw must be what the provider sees.

t.test('bodies under a rule', async t => {
  const { daemon, upstream, grant } = await makeStage(t, { script: json({ reached: true }) })
  const ruled = (await grant('--provider', 'openai', '--models', 'gpt-4o-mini')).token

  await t.test('under a rule about models, a body that parsers read differently is refused', async t => {
    const bodies: readonly (readonly [string, string, string | RegExp])[] = [
      ['another model', '{"model":"gpt-5","messages":[]}', 'model_not_allowed'],
      ['the name twice', '{"model":"gpt-4o-mini","messages":[],"model":"gpt-5"}', 'ambiguous_body'],
      ['the name twice, equal', '{"model":"gpt-4o-mini","model":"gpt-4o-mini","messages":[]}', 'ambiguous_body'],
      ['another case', '{"model":"gpt-4o-mini","Model":"gpt-5","messages":[]}', 'ambiguous_body'],
      ['only another case', '{"MODEL":"gpt-5","messages":[]}', /ambiguous_body|model_unknown|model_not_allowed/],
      ['an escaped name', '{"model":"gpt-4o-mini","\\u006dodel":"gpt-5","messages":[]}', 'ambiguous_body'],
      ['an escaped value', '{"model":"gpt-\\u0035","messages":[]}', 'model_not_allowed'],
      ['no model', '{"messages":[]}', /model_unknown|model_not_allowed/],
      ['a model that is no string', '{"model":["gpt-4o-mini"],"messages":[]}', /model_|invalid_body/],
      ['a model that is null', '{"model":null,"messages":[]}', /model_|invalid_body/],
      ['a list of bodies', '[{"model":"gpt-4o-mini"},{"model":"gpt-5"}]', /model_|invalid_body/],
      ['two documents', '{"model":"gpt-4o-mini"}{"model":"gpt-5"}', /invalid_body|ambiguous_body/],
      ['a document after the end', '{"model":"gpt-4o-mini"} x', /invalid_body|ambiguous_body/],
      ['a byte order mark', '\ufeff{"model":"gpt-4o-mini"}', /invalid_body|ambiguous_body/],
      ['comments', '{/*"model":"gpt-4o-mini"*/"model":"gpt-5"}', /invalid_body|model_/],
      ['single quotes', "{'model':'gpt-4o-mini'}", /invalid_body|model_/],
      ['an unfinished body', '{"model":"gpt-4o-mini","messages":[', /invalid_body/],
      ['nothing', '', /invalid_body|model_/],
      ['bytes', randomBytes(64).toString('latin1'), /invalid_body|model_/],
      ['ten thousand brackets', '['.repeat(10_000), /invalid_body|model_/],
      [
        'a hundred thousand nested objects',
        `{"model":"gpt-5","a":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`,
        /invalid_body|model_/,
      ],
      ['prototype games', '{"__proto__":{"model":"gpt-4o-mini"},"messages":[]}', /model_|invalid_body/],
    ]
    for (const [title, body, code] of bodies) {
      upstream.forget()
      const answer = await chat(daemon, ruled, { body })
      t.ok(answer.status === 400 || answer.status === 403, `${title}: ${answer.status} ${answer.text().slice(0, 120)}`)
      t.match(answer.json().error.code, code, title)
      t.equal(upstream.requests.length, 0, `${title}: stays here`)
    }
    t.equal((await chat(daemon, ruled)).status, 200)
  })

  await t.test('under a rule about models, a body that cannot be seen into is refused', async t => {
    const good = String(chatAsk(ruled).body)
    const asks = [
      { headers: { 'content-encoding': 'gzip' }, body: good, status: 415 },
      { headers: { 'content-encoding': 'identity, gzip' }, body: good, status: 415 },
      { headers: { 'content-type': 'application/json; charset=utf-16' }, body: Buffer.from(good, 'utf16le'), status: 400 },
    ]
    for (const { status, ...ask } of asks) {
      upstream.forget()
      const answer = await chat(daemon, ruled, ask)
      t.equal(answer.status, status, JSON.stringify(ask.headers))
      t.equal(upstream.requests.length, 0)
    }
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/JSON', '']) {
      upstream.forget()
      await chat(daemon, ruled, { headers: { 'content-type': type }, body: '{"model":"gpt-5","messages":[]}' })
      t.equal(upstream.requests.length, 0, `content-type ${type}`)
    }
  })
})
