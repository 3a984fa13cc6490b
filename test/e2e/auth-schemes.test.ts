import t from 'tap'
import { call } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { anyProvider } from '../support/scripts.js'
import { startUpstream } from '../support/upstream.js'

t.test('a key travels as its scheme says, and beside it nothing that the client sent in its place', async t => {
  const upstream = await startUpstream(anyProvider)
  t.teardown(() => upstream.close())
  const home = await makeHome(t)
  const secret = 'user-4711:a-secret-of-40-characters/+=xyz'
  const schemes: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    basic: { authorization: `Basic ${Buffer.from(secret).toString('base64')}` },
    'header:authorization:Token': { authorization: `Token ${secret}` },
    'header:authorization:Key': { authorization: `Key ${secret}` },
    'header:authorization': { authorization: secret },
    'header:x-service-token': { 'x-service-token': secret },
    'query:appid': {},
  }
  const names = Object.keys(schemes).map((_, at) => `service-${at}`)
  for (const [at, scheme] of Object.keys(schemes).entries())
    await home.addKey(`service-${at}`, { secret, baseUrl: `${upstream.url}/v1`, more: ['--auth', scheme] })
  await home.addKey('openai', { secret, baseUrl: upstream.url, more: ['--auth', 'header:x-gateway-key:Key'] })
  const keyless = await home.run([
    'key',
    'add',
    'local',
    '--base-url',
    `${upstream.url}/v1`,
    '--allow-private',
    '--auth',
    'none',
    '--no-verify',
  ])
  t.equal(keyless.code, 0, 'where no key is asked for, none is read')
  const { token } = await home.createToken(['--all'])
  const daemon = await home.serve()
  const ask = async (provider: string) => {
    upstream.forget()
    const headers = { 'x-service-token': 'of-the-client', 'x-gateway-key': 'of-the-client', 'x-api-key': token }
    const answer = await call(daemon, {
      path: `/${provider}${provider === 'openai' ? '/v1' : ''}/chat/completions?x=1&appid=of-the-client`,
      body: '{"model":"m"}',
      headers,
      token,
    })
    t.equal(answer.status, 200)
    return upstream.requests[0]
  }

  for (const [at, expected] of Object.values(schemes).entries()) {
    const got = await ask(names[at] as string)
    t.equal(got?.header('authorization'), expected.authorization)
    if (expected['x-service-token']) t.equal(got?.header('x-service-token'), secret)
    if (at === 5) t.equal(got?.target, `/v1/chat/completions?x=1&appid=${encodeURIComponent(secret)}`)
    t.notMatch(got?.rawHead, token)
  }
  const gateway = await ask('openai')
  t.equal(gateway?.header('x-gateway-key'), `Key ${secret}`)
  t.equal(gateway?.header('authorization'), undefined)
  const none = await ask('local')
  t.equal(none?.header('authorization'), undefined)
  t.notMatch(none?.rawHead, /no-key|eyJ/)
})
