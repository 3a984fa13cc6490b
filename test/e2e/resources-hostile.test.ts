import t, { type Test } from 'tap'
import { call } from '../support/clients.js'
import { type Daemon, type Home, makeHome } from '../support/daemon.js'
import { withStore } from '../support/home-store.js'
import { type ResourceProvider, startResourceProvider } from '../support/resource-provider.js'
import { freshKey } from '../support/stage.js'

// What a client tries who knows the ids of others.

interface Place {
  readonly home: Home
  readonly daemon: Daemon
  readonly provider: ResourceProvider
  readonly keys: readonly string[]
  readonly secrets: readonly string[]
  grant(...args: string[]): Promise<{ readonly id: string; readonly token: string }>
}

async function makePlace(t: Test, howMany = 1): Promise<Place> {
  const provider = await startResourceProvider()
  t.teardown(() => provider.close())
  const home = await makeHome(t)
  const secrets = Array.from({ length: howMany }, () => freshKey('openai'))
  const keys: string[] = []
  for (const [at, secret] of secrets.entries())
    keys.push((await home.addKey('openai', { secret, baseUrl: provider.url, name: `key ${at}` })).id)
  const daemon = await home.serve()
  const grant = (...args: string[]) => home.createToken(args.length > 0 ? args : ['--all', '--endpoints', 'inference', 'account'])
  return { home, daemon, provider, keys, secrets, grant }
}

const json = (body: unknown) => ({
  body: typeof body === 'string' ? body : JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
})

async function makeFile(daemon: Daemon, token: string): Promise<string> {
  const body = '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nassistants\r\n--b--\r\n'
  const made = await call(daemon, { path: '/openai/v1/files', token, body, headers: { 'content-type': 'multipart/form-data; boundary=b' } })
  return made.json().id
}

t.test('a known id of others opens nothing, however it is spelt', async t => {
  const { daemon, provider, grant } = await makePlace(t)
  const alice = await grant()
  const bob = (await grant()).token
  const id = await makeFile(daemon, alice.token)
  const reply = (await call(daemon, { path: '/openai/v1/responses', token: alice.token, ...json({ model: 'm', input: 'x' }) })).json()
  const own = await makeFile(daemon, bob)
  t.equal((await call(daemon, { path: `/openai/v1/files/${own}`, token: bob })).status, 200)
  provider.seen.length = 0

  const encoded = `%${id.charCodeAt(0).toString(16)}${id.slice(1)}`
  const paths = [
    `/files/${id}`,
    `/files/${encoded}`,
    `/files/${encoded.replace('%', '%25')}`,
    `/files/${id}/content`,
    `/files/${id}/`,
    `/files//${id}`,
    `/files/${id};x=1`,
    `/FILES/${id}`,
    `/files%2F${id}`,
    `/files/${own}%2F..%2F${id}`,
    `/files/${own}/../${id}`,
    `/files/${id}?id=${own}`,
    `/batches/${id}`,
    `/responses/${id}`,
    `/responses/${reply.id}`,
    `/responses/${reply.id}/input_items`,
    `/files?after=${id}`,
    `/files?AFTER=${id}`,
    `/files?after[]=${id}`,
    `/files?after=${own}&after=${id}`,
    `/files?limit=1&%61fter=${id}`,
    `/files?before=${id}`,
  ]
  for (const path of paths) {
    const { status } = await call(daemon, { path: `/openai/v1${path}`, token: bob })
    t.ok([400, 403, 404].includes(status), `${path}: ${status}`)
  }
  for (const method of ['DELETE', 'POST', 'PATCH', 'HEAD', 'OPTIONS'])
    t.ok([400, 403, 404].includes((await call(daemon, { method, path: `/openai/v1/files/${id}`, token: bob })).status), method)
  t.equal(
    (await call(daemon, { method: 'HEAD', path: '/openai/v1/files', token: bob })).status,
    403,
    'the length of a list says how long it is',
  )

  const bodies: Record<string, unknown> = {
    plain: { model: 'm', input: 'x', previous_response_id: reply.id },
    twice: `{"model":"m","input":"x","previous_response_id":null,"previous_response_id":"${reply.id}"}`,
    'in other letters': { model: 'm', input: 'x', Previous_Response_Id: reply.id },
    escaped: `{"model":"m","input":"x","previous\\u005fresponse_id":"${reply.id}"}`,
    'escaped value': `{"model":"m","input":"x","previous_response_id":"\\u0072${reply.id.slice(1)}"}`,
    'in an array': { model: 'm', input: 'x', previous_response_id: [reply.id] },
    'in an object': { model: 'm', input: 'x', previous_response_id: { id: reply.id } },
    'a conversation in an array': { model: 'm', input: 'x', conversation: ['conv_1'] },
    'no JSON': `{"model":"m","input":"x","previous_response_id":"${reply.id}",}`,
    'a file': { model: 'm', input: [{ role: 'user', content: [{ type: 'input_file', file_id: id }] }] },
    'a file among one’s own': { model: 'm', input: [{ role: 'user', content: [{ file_id: own }, { file_id: id }] }] },
    'a file a tool put out': { model: 'm', input: [{ type: 'computer_call_output', output: { file_id: id } }] },
    'a container’s files': {
      model: 'm',
      input: 'x',
      tools: [{ type: 'code_interpreter', container: { type: 'auto', file_ids: [own, id] } }],
    },
    'a container': { model: 'm', input: 'x', tools: [{ type: 'code_interpreter', container: 'cntr_1' }] },
    'a vector store': { model: 'm', input: 'x', tools: [{ type: 'file_search', vector_store_ids: ['vs_1'] }] },
    'an item': { model: 'm', input: [{ id: reply.output[0].id }] },
    'an item that calls itself whole, after the fact': `{"model":"m","input":[{"type":"item_reference","id":"${reply.output[0].id}"},{"type":"message"}]}`,
    'an item of two types': `{"model":"m","input":[{"type":"item_reference","id":"${reply.output[0].id}","type":"message"}]}`,
  }
  for (const [title, body] of Object.entries(bodies)) {
    for (const headers of [
      { 'content-type': 'application/json' },
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/json; charset=utf-16' },
    ]) {
      const { status } = await call(daemon, { path: '/openai/v1/responses', token: bob, body: json(body).body, headers })
      t.ok([400, 404].includes(status), `${title} as ${headers['content-type']}: ${status}`)
    }
  }
  t.same(provider.seen, [], 'and the provider hears of none of it')
  const foreign = await call(daemon, { path: `/openai/v1/files/${id}`, token: bob })
  const nowhere = await call(daemon, { path: '/openai/v1/files/file-nowhere', token: bob })
  t.equal(foreign.text(), nowhere.text(), 'what there is reads as what there is not')
})

t.test('a form may not name a file of others either, and reaches nobody whole', async t => {
  const { daemon, provider, grant } = await makePlace(t)
  const alice = (await grant()).token
  const bob = (await grant()).token
  const id = await makeFile(daemon, alice)
  const container = (await call(daemon, { path: '/openai/v1/containers', token: bob, ...json({ name: 'c' }) })).json().id
  const form = (file: string) => `--b\r\ncontent-disposition: form-data; name="file_id"\r\n\r\n${file}\r\n--b--\r\n`
  const put = (file: string) =>
    call(daemon, {
      path: `/openai/v1/containers/${container}/files`,
      token: bob,
      body: form(file),
      headers: { 'content-type': 'multipart/form-data; boundary=b', 'transfer-encoding': 'chunked' },
    })
  provider.seen.length = 0
  t.equal((await put(id)).status, 404)
  t.same(provider.seen, [])
  t.equal((await put(await makeFile(daemon, bob))).status, 200)
})

t.test('what is not tracked stays closed to the word account, and all-resources lifts ownership', async t => {
  const { daemon, provider, secrets, grant } = await makePlace(t)
  const alice = (await grant()).token
  provider.plant(secrets[0] as string, 'files', { id: 'file-operators' })
  for (const path of ['/audio/voice_consents', '/realtime/calls/x/hangup', '/fine_tuning/alpha/graders', '/organization/usage'])
    t.equal((await call(daemon, { path: `/openai/v1${path}`, token: alice })).status, 403, path)
  const all = (await grant('--all', '--endpoints', 'inference', 'account', 'all-resources')).token
  t.equal((await call(daemon, { path: '/openai/v1/files/file-operators', token: all })).status, 200)
  t.equal((await call(daemon, { path: '/openai/v1/files', token: all })).json().data.length, 1)
  t.equal((await call(daemon, { path: '/openai/v1/files/file-operators', token: alice })).status, 404)
  const named = (await grant('--all', '--endpoints', 'inference', '/v1/files/**')).token
  t.equal((await call(daemon, { path: '/openai/v1/files', token: named })).json().data.length, 0, 'naming it opens one’s own')
  const plain = await call(daemon, { path: '/openai/v1/files', token: (await grant('--all')).token })
  t.equal(plain.status, 403)
  t.match(plain.text(), /--endpoints inference account/)
})

t.test('a call goes to the key that made what it names, whichever is chosen otherwise', async t => {
  const { home, daemon, provider, keys, secrets, grant } = await makePlace(t, 2)
  const alice = (await grant()).token
  const replies: { readonly id: string; readonly key: string }[] = []
  for (let i = 0; i < 8; i++) {
    const made = await call(daemon, { path: '/openai/v1/responses', token: alice, ...json({ model: 'm', input: 'x' }) })
    replies.push({ id: made.json().id, key: provider.seen.at(-1)?.key ?? '' })
  }
  t.equal(new Set(replies.map(({ key }) => key)).size, 2, 'both keys were used')
  for (const { id, key } of replies) {
    for (const ask of [
      { path: `/openai/v1/responses/${id}` },
      { path: '/openai/v1/responses', ...json({ model: 'm', input: 'x', previous_response_id: id }) },
    ]) {
      t.equal((await call(daemon, { token: alice, ...ask })).status, 200)
      t.equal(provider.seen.at(-1)?.key, key)
    }
  }
  const [first] = replies
  const second = replies.find(({ key }) => key !== first?.key)
  const items = await Promise.all(
    [first, second].map(
      async reply => (await call(daemon, { path: `/openai/v1/responses/${reply?.id}`, token: alice })).json().output[0].id,
    ),
  )
  const both = await call(daemon, { path: '/openai/v1/responses', token: alice, ...json({ model: 'm', input: items.map(id => ({ id })) }) })
  t.equal(both.status, 400, 'no account knows both')
  const files = [await makeFile(daemon, alice), await makeFile(daemon, alice)]
  const listed = (await call(daemon, { path: '/openai/v1/files', token: alice })).json()
  t.same(listed.data.map(({ id }: { id: string }) => id).sort(), files.sort(), 'what is made without a word of where is listed together')
  await home.json(['key', 'disable', keys[secrets.indexOf(first?.key ?? '')] as string])
  t.equal((await call(daemon, { path: `/openai/v1/responses/${first?.id}`, token: alice })).status, 404)
  t.equal((await call(daemon, { path: `/openai/v1/responses/${second?.id}`, token: alice })).status, 200)
})

t.test('killed between the provider’s reply and our commit: no client knows an id that is not its own', async t => {
  const place = await makePlace(t)
  const { home, provider, grant } = place
  let { daemon } = place
  const alice = (await grant()).token
  for (let round = 0; round < 4; round++) {
    const known: string[] = []
    let dying = false
    const killed = new Promise<void>(resolve => {
      provider.before = async () => {
        if (dying || known.length < 3 + round * 5) return
        dying = true
        void daemon.kill().then(resolve)
      }
    })
    const ask = (stream: boolean) =>
      call(daemon, { path: '/openai/v1/responses', token: alice, ...json({ model: 'm', input: 'x', stream }) }).then(
        reply => known.push(...new Set([...reply.text().matchAll(/resp_[0-9a-f]{24}/g)].map(([id]) => id))),
        () => undefined,
      )
    const keepAsking = async (stream: boolean) => {
      while (!dying) await ask(stream)
    }
    await Promise.all(Array.from({ length: 12 }, (_, at) => keepAsking(at % 2 === 0)))
    await killed
    provider.before = undefined
    daemon = await home.serve()
    t.ok(known.length > 0, `${known.length} ids were told`)
    for (const id of new Set(known)) {
      const { status } = await call(daemon, { path: `/openai/v1/responses/${id}`, token: alice })
      if (status !== 200) t.equal(status, 200, id)
    }
  }
})

t.test('ten thousand things of one grant among as many of others', async t => {
  const { home, daemon, provider, keys, secrets, grant } = await makePlace(t)
  const alice = await grant()
  const whose = { tenant: 'default', provider: 'openai', kind: 'file', keyId: keys[0] as string, grantId: alice.id }
  const records = Array.from({ length: 10_000 }, (_, at) => ({
    ...whose,
    id: `file-own${at}`,
    createdAtMs: at,
    endsAtMs: null,
    facts: null,
  }))
  await withStore(home.dir, store => store.keepOwned(records))
  for (let at = 0; at < 10_000; at++) {
    provider.plant(secrets[0] as string, 'files', { id: `file-own${at}` })
    provider.plant(secrets[0] as string, 'files', { id: `file-other${at}` })
  }
  const all = (await call(daemon, { path: '/openai/v1/files?limit=30000', token: alice.token })).json()
  t.equal(all.data.length, 10_000)
  t.notOk(all.data.some(({ id }: { id: string }) => !id.startsWith('file-own')))
  t.equal(all.has_more, false)
  const page = (await call(daemon, { path: '/openai/v1/files?limit=100&after=file-own5000', token: alice.token })).json()
  t.same([page.first_id, page.data.length, page.has_more], ['file-own4999', 50, true])
})
