import t from 'tap'
import { customProvider } from '../../src/providers/index.js'
import type { Provider } from '../../src/providers/provider.js'
import type { Route } from '../../src/relay/authorize.js'
import { targetOf } from '../../src/relay/target.js'

const provider = {
  ...(customProvider({ id: 'several', baseUrl: 'https://api.example.com', auth: { type: 'bearer' }, dialect: 'openai' }) as Provider),
  hosts: [
    { prefix: '/v1/agent', origin: 'https://agent.example.com' },
    { prefix: '/reader', origin: 'https://r.example.com', strips: true as const },
  ],
}
const route: Route = { provider, origin: provider.origin, prefix: '', auth: provider.auth, hasBaseUrl: false }

t.test('a path goes to the host that its beginning names, whole segments only', async t => {
  const cases: readonly (readonly [string, string])[] = [
    ['/v1/chat', 'https://api.example.com/v1/chat'],
    ['/v1/agent', 'https://agent.example.com/v1/agent'],
    ['/v1/agent/converse', 'https://agent.example.com/v1/agent/converse'],
    ['/v1/agents', 'https://api.example.com/v1/agents'],
    ['/reader/https://example.org', 'https://r.example.com/https://example.org'],
    ['/reader', 'https://r.example.com/'],
    ['//reader/x', 'https://api.example.com//reader/x'],
  ]
  for (const [path, url] of cases) {
    const { origin, path: there } = targetOf(route, path)
    t.equal(origin + there, url)
  }
})

t.test("a key's base URL replaces every host of its provider, so that the key goes nowhere else", async t => {
  const own: Route = { ...route, origin: 'https://gateway.example.net', prefix: '/ai', hasBaseUrl: true }
  t.same(targetOf(own, '/v1/agent/converse'), { origin: 'https://gateway.example.net', path: '/ai/v1/agent/converse' })
  t.same(targetOf(own, '/reader/x'), { origin: 'https://gateway.example.net', path: '/ai/x' })
  t.same(targetOf(own, '/v1/chat'), { origin: 'https://gateway.example.net', path: '/ai/v1/chat' })
})
