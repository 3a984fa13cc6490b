import t from 'tap'
import { madeHome, type NearHome } from './run.js'

interface Grant {
  readonly id: string
  readonly token: string
  readonly expiresAt: string
}

const create = (home: NearHome, ...args: string[]) => home.json<Grant & Record<string, unknown>>(['token', 'create', ...args])

t.test('token create prints the token alone on stdout, and under --json what it is for', async t => {
  const home = await madeHome(t)
  const plain = await home.run(['token', 'create', '--provider', 'sandbox'])
  t.match(plain.stdout, /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/)
  t.match(plain.stderr, /^grant grt_\w{22} opens sandbox until /)
  const rules = [
    '--models',
    'gpt-4o*',
    'o3',
    '--endpoints',
    'inference',
    'POST /v1/new',
    '--origin',
    'https://app.example.com',
    '--ip',
    '10.0.0.0/8,::1',
  ]
  const limits = ['--rate', '60/m', '--concurrency', '3', '--max-output', '500', '--ttl', '1h', '--name', 'n', '--subject', 's']
  const grant = await create(home, '--provider', 'openai', 'anthropic', ...rules, ...limits)
  t.match(grant, {
    id: /^grt_/,
    token: /^eyJ/,
    providers: ['openai', 'anthropic'],
    keys: [],
    all: false,
    models: ['gpt-4o*', 'o3'],
    endpoints: ['inference', 'POST /v1/new'],
    origins: ['https://app.example.com'],
    addresses: ['10.0.0.0/8', '::1'],
    rate: '60/m',
    concurrency: 3,
    maxOutputTokens: 500,
    name: 'n',
    subject: 's',
    state: 'active',
  })
  const lastsMs = Date.parse(grant.expiresAt) - Date.now()
  t.ok(lastsMs > 3_590_000 && lastsMs <= 3_600_000, 'an hour from now')
  const { token: _, ...shown } = grant
  const listed = await home.json<Record<string, unknown>[]>(['token', 'list'])
  t.equal(listed.length, 2)
  t.same(
    listed.find(row => row.id === grant.id),
    shown,
  )
  t.notMatch((await home.run(['token', 'list'])).stdout + (await home.run(['token', 'show', grant.id])).stdout, 'eyJ')
})

t.test('a token without a scope, or with a rule that cannot be meant, is not made', async t => {
  const home = await madeHome(t)
  t.match(await home.run(['token', 'create']), { code: 2, stdout: '', stderr: /--provider NAME, --key ID or --all/ })
  t.equal((await home.run(['token', 'create', '--all', '--provider', 'openai'])).code, 2)
  for (const [flag, value] of [
    ['--models', 'a b'],
    ['--endpoints', 'v1'],
    ['--origin', 'app.example.com'],
    ['--ip', '10.0.0.0/99'],
    ['--rate', '60'],
    ['--concurrency', '0'],
    ['--max-output', 'many'],
    ['--ttl', '5'],
    ['--ttl', '0s'],
    ['--ttl', '999999d'],
    ['--name', ''],
    ['--name', 'two\nlines'],
  ] as const) {
    const { code, stdout, stderr } = await home.run(['token', 'create', '--all', flag, value])
    t.equal(code, 2, `${flag} ${value}: ${stderr}`)
    t.equal(stdout, '')
  }
  t.equal((await home.run(['token', 'create', '--provider', 'nobody'])).code, 66)
  t.equal((await home.run(['token', 'create', '--key', 'key_0123456789012345678901'])).code, 66)
  t.same(await home.json(['token', 'list']), [])
})

t.test('a token for a provider that has no key yet is made, with a note that says so and none once there is one', async t => {
  const home = await madeHome(t)
  t.match(await home.run(['token', 'create', '--provider', 'sandbox']), { code: 0, stderr: /no key of sandbox yet.*soakp key add sandbox/ })
  await home.json(['key', 'add', 'sandbox', '--stdin'], 'any-text')
  t.notMatch((await home.run(['token', 'create', '--provider', 'sandbox'])).stderr, /no key/)
})

t.test('token set replaces what is given, clears what is asked to be cleared, and leaves the rest', async t => {
  const home = await madeHome(t)
  const { id } = await create(home, '--provider', 'openai', '--models', 'a', '--rate', '60/m', '--concurrency', '3', '--subject', 's')
  const set = (...args: string[]) => home.json<Record<string, unknown>>(['token', 'set', id, ...args])
  t.match(await set('--models', 'b', 'c', '--concurrency', '5'), {
    models: ['b', 'c'],
    concurrency: 5,
    rate: '60/m',
    subject: 's',
    providers: ['openai'],
  })
  const cleared = await set(
    '--no-models',
    '--no-rate',
    '--no-concurrency',
    '--no-subject',
    '--no-endpoints',
    '--no-origin',
    '--no-ip',
    '--no-max-output',
  )
  t.match(cleared, {
    models: [],
    rate: null,
    concurrency: null,
    subject: null,
    endpoints: [],
    origins: [],
    addresses: [],
    maxOutputTokens: null,
  })
  t.match(await set('--all'), { all: true, providers: [] })
  t.match(await set('--provider', 'groq', '--name', 'other'), { all: false, providers: ['groq'], name: 'other' })
  t.equal((await home.run(['token', 'set', id])).code, 2)
  t.equal((await home.run(['token', 'set', id, '--rate', 'fast'])).code, 2)
  t.equal((await home.run(['token', 'set', 'grt_0123456789012345678901', '--all'])).code, 66)
  t.match((await home.run(['token', 'set', id, '--ttl', '60d'])).stderr, /still ends .* token rotate/s)
})

t.test('an end that no calendar has is refused, and no grant is unreadable for it', async t => {
  const home = await madeHome(t)
  const { id } = await create(home, '--all')
  const before = await home.json(['token', 'show', id])
  for (const ttl of ['99999999d', '4000d']) t.equal((await home.run(['token', 'set', id, '--ttl', ttl])).code, 2)
  t.same(await home.json(['token', 'show', id]), before)
  t.equal((await home.json<unknown[]>(['token', 'list'])).length, 1)
})

t.test('token rotate gives a new token, and the old one its grace', async t => {
  const home = await madeHome(t)
  const { id, token } = await create(home, '--all')
  const rotated = await home.json<Grant>(['token', 'rotate', id, '--grace', '24h'])
  t.not(rotated.token, token)
  const { tokens } = await home.json<{ tokens: { expiresAt: string }[] }>(['token', 'show', id])
  t.equal(tokens.length, 2)
  const soonest = Math.min(...tokens.map(row => Date.parse(row.expiresAt)))
  t.ok(Math.abs(soonest - Date.now() - 86_400_000) < 60_000, 'the old one has a day left')
  t.match((await home.run(['token', 'rotate', id])).stdout, /^eyJ\S+\n$/)
  t.equal((await home.run(['token', 'rotate', 'grt_0123456789012345678901'])).code, 66)
})

t.test('token revoke ends a grant for good', async t => {
  const home = await madeHome(t)
  const { id } = await create(home, '--all')
  t.match(await home.json(['token', 'revoke', id]), { id, state: 'revoked' })
  t.match((await home.run(['token', 'list'])).stdout, 'revoked')
  t.equal((await home.run(['token', 'set', id, '--rate', '1/s'])).code, 77)
  t.equal((await home.run(['token', 'rotate', id])).code, 77)
  t.match(await home.run(['token', 'revoke', 'grt_0123456789012345678901']), { code: 66, stderr: /^soakp: no such grant/ })
})
