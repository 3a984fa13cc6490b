import t from 'tap'
import { providers } from '../../src/providers/index.js'
import type { Provider } from '../../src/providers/provider.js'
import { json } from '../support/scripts.js'
import { freshKey } from '../support/stage.js'
import { startUpstream } from '../support/upstream.js'
import { madeHome } from './run.js'

// Every provider's own way of saying whether a key works, asked through `soakp key add`.

/** Where a refusal is not told by its status alone: what it says. */
const refusals: Readonly<Record<string, Readonly<Record<number, unknown>>>> = {
  gemini: {
    400: { error: { code: 400, message: 'API key not valid. Please pass a valid API key.', details: [{ reason: 'API_KEY_INVALID' }] } },
  },
  xai: { 400: { code: 'Client specified an invalid argument', error: 'Incorrect API key provided: xa***23.' } },
  brave: {
    422: {
      type: 'ErrorResponse',
      error: { status: 422, code: 'SUBSCRIPTION_TOKEN_INVALID', detail: 'The provided subscription token is invalid.' },
    },
  },
  fireworks: { 403: { error: { message: 'The API key you provided is invalid.' } } },
  voyage: { 403: { detail: 'Provided API key is invalid.' } },
  jina: { 403: { detail: 'Invalid API key' } },
  deepl: { 403: { message: 'Forbidden' } },
}

/** Signed calls and keys that are traded for tokens have tests of their own. */
const asked: readonly Provider[] = providers.filter(
  ({ serve, authorize, keyCheck, auth }) => !serve && !authorize && keyCheck !== undefined && auth.type !== 'none',
)

t.test('key checks', async t => {
  const home = await madeHome(t)
  const upstream = await startUpstream(json({}))
  t.teardown(() => upstream.close())
  const add = (id: string) => home.run(['--json', 'key', 'add', id, '--stdin', '--base-url', upstream.url, '--allow-private'], freshKey(id))

  for (const { id, keyCheck } of asked) {
    if (!keyCheck) continue
    const { works, restricted, refused } = keyCheck

    await t.test(`${id}: a key that works is kept, and is asked about as the row says`, async t => {
      for (const status of works) {
        upstream.forget()
        upstream.use(json({ data: [] }, status))
        const ran = await add(id)
        t.equal(ran.code, 0, ran.stderr)
        t.match(JSON.parse(ran.stdout), { verified: 'works' }, `${status}`)
        t.equal(upstream.requests.length, 1)
        const request = upstream.requests[0]
        t.equal(request?.method, keyCheck.method)
        t.ok(keyCheck.path.endsWith(request?.target ?? '?'), `${request?.target} of ${keyCheck.path}`)
        t.equal((await request?.done)?.toString(), keyCheck.body ?? '')
      }
    })

    await t.test(`${id}: a key that is refused is not kept`, async t => {
      for (const status of refused) {
        upstream.use(json(refusals[id]?.[status] ?? { error: { message: 'invalid api key' } }, status))
        const ran = await add(id)
        t.not(ran.code, 0, `${status}`)
        t.match(ran.stderr, /refuses the key/, `${status}`)
      }
    })

    await t.test(`${id}: a key that is known but may not do this is kept with a warning, and so is one nothing is known of`, async t => {
      for (const status of [...restricted, 500, 404]) {
        upstream.use(json({ error: { message: 'not now' } }, status))
        const ran = await add(id)
        t.equal(ran.code, 0, ran.stderr)
        t.equal(JSON.parse(ran.stdout).verified, restricted.includes(status) ? 'restricted' : 'unknown', `${status}`)
      }
    })
  }

  await t.test('what is built in can be listed', async t => {
    const listed = await home.json<readonly { readonly name: string }[]>(['key', 'providers'])
    t.same(
      listed.map(row => row.name),
      providers.map(provider => provider.id),
    )
    t.match((await home.run(['key', 'providers'])).stdout, /xai +xAI +\/xai\/v1/)
    const unknown = await home.run(['key', 'add', 'nobody-knows', '--stdin'], 'x')
    t.match(unknown.stderr, /soakp key providers/)
  })
})
