import { Agent } from 'node:https'
import t from 'tap'
import { providers } from '../../src/providers/index.js'
import type { Provider } from '../../src/providers/provider.js'
import { samplePath } from '../contracts/provider.js'
import { call, type Headers } from '../support/clients.js'
import type { Received } from '../support/http-wire.js'
import { json } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'

// Where each provider's key stands in what leaves, and that nothing the client sent stands beside it.

/** Those whose credential is the key itself; signed ones have tests of their own. */
const plain: readonly Provider[] = providers.filter(
  ({ serve, authorize, auth }) => !serve && !authorize && ['bearer', 'header', 'query'].includes(auth.type),
)

/** Every header and word in which some provider's key travels, with an access token in its place. */
function everySpelling(token: string): readonly Headers[] {
  const words = ['Bearer', 'Token', 'Key', 'DeepL-Auth-Key', 'bearer']
  const names = ['x-api-key', 'api-key', 'x-goog-api-key', 'xi-api-key', 'x-subscription-token']
  return [...words.map(word => ({ authorization: `${word} ${token}` })), ...names.map(name => ({ [name]: token }))]
}

/** The header that holds the key, as it must stand there. */
function expected({ auth }: Provider, secret: string): readonly [string, string] {
  if (auth.type === 'header') return [auth.name, auth.word === undefined ? secret : `${auth.word} ${secret}`]
  return ['authorization', `Bearer ${secret}`]
}

const occurrences = (text: string, part: string) => text.split(part).length - 1

t.test('credentials', async t => {
  const { home, daemon, upstream, secrets, token } = await makeStage(t, {
    script: json({ ok: true }),
    providers: plain.map(({ id }) => id),
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: home.ca() })
  t.teardown(() => agent.destroy())
  const everywhere = {
    'x-api-key': token,
    'api-key': token,
    'x-goog-api-key': token,
    'xi-api-key': token,
    'x-subscription-token': token,
    authorization: `Bearer ${token}`,
  }

  for (const provider of plain) {
    const { id, endpoints } = provider
    const open = endpoints.find(endpoint => endpoint.class === 'inference' && endpoint.method === 'POST')
    if (!open) continue
    const path = `/${id}${samplePath(open.pattern)}`
    const secret = secrets[id] ?? ''
    const sent = async (headers: Headers, query = ''): Promise<Received> => {
      upstream.forget()
      const answer = await call(daemon, {
        path: path + query,
        agent,
        body: '{"model":"m"}',
        headers: { 'content-type': 'application/json', ...headers },
      })
      t.equal(answer.status, 200, `${path} ${JSON.stringify(Object.keys(headers))}`)
      return upstream.requests.at(-1) as Received
    }
    const check = (request: Received, what: string) => {
      const [name, value] = expected(provider, secret)
      if (provider.auth.type === 'query') t.equal(new URL(request.target, upstream.url).searchParams.get(provider.auth.name), secret, what)
      else t.equal(request.header(name), value, what)
      t.equal(occurrences(request.rawHead, secret), 1, `${what}: once`)
      t.notOk(request.rawHead.includes(token), `${what}: the access token stays here`)
    }

    await t.test(`${id}: its key stands where its row says, once, however the client spelled its token`, async () => {
      for (const headers of everySpelling(token)) check(await sent(headers), JSON.stringify(Object.keys(headers)))
    })

    await t.test(`${id}: a token in every place at once is one token, and leaves none of them behind`, async t => {
      const request = await sent(everywhere, `?key=${token}&api_key=${token}&access_token=${token}&token=1&page=2`)
      check(request, 'everywhere')
      t.match(request.target, /page=2/)
      const own = expected(provider, secret)[0]
      for (const name of Object.keys(everywhere))
        if (name !== own || provider.auth.type === 'query') t.equal(request.header(name), undefined, name)
    })
  }
})
