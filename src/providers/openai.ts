import { openaiDialect } from './dialect-openai.js'
import { endpoint, under } from './endpoints.js'
import { openaiRows } from './endpoints-openai.js'
import type { Provider } from './provider.js'
import { openaiSockets } from './sockets/sockets.js'

export const openai: Provider = {
  id: 'openai',
  title: 'OpenAI',
  origin: 'https://api.openai.com',
  auth: { type: 'bearer' },
  dialect: openaiDialect,
  keyHints: [
    { pattern: /^sk-admin-/, warn: 'an organisation admin key' },
    { pattern: /^ek_/, warn: 'a short-lived client secret' },
    { pattern: /^sk-(?!ant-|or-)[A-Za-z0-9_-]{20,}$/ },
  ],
  keyCheck: { method: 'GET', path: '/v1/models', works: [200], restricted: [403, 429], refused: [401] },
  endpoints: [...under('/v1', openaiRows), endpoint('administration', '* /dashboard/**'), endpoint('administration', '* /organization/**')],
  sockets: openaiSockets,
  compatiblePath: '/v1',
  defaultHeaders: {},
  allowRequestHeaders: [],
  dropRequestHeaders: [],
  dropResponseHeaders: [],
  organizationHeader: 'openai-organization',
  projectHeader: 'openai-project',
  keyRefused: status => status === 401,
}
