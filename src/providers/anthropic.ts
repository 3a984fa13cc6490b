import { anthropicDialect } from './dialect-anthropic.js'
import { endpoint, under } from './endpoints.js'
import { anthropicRows } from './endpoints-anthropic.js'
import type { Provider } from './provider.js'

export const anthropic: Provider = {
  id: 'anthropic',
  title: 'Anthropic',
  origin: 'https://api.anthropic.com',
  auth: { type: 'header', name: 'x-api-key' },
  dialect: anthropicDialect,
  keyHints: [
    { pattern: /^sk-ant-admin/, warn: 'an organisation admin key' },
    { pattern: /^sk-ant-oat/, warn: 'an OAuth token, which expires' },
    { pattern: /^sk-ant-/ },
  ],
  keyCheck: {
    method: 'GET',
    path: '/v1/models?limit=1',
    headers: { 'anthropic-version': '2023-06-01' },
    works: [200],
    restricted: [403, 429],
    refused: [401],
  },
  endpoints: [...under('/v1', anthropicRows), endpoint('administration', '* /api/**')],
  compatiblePath: '/v1',
  messagesPath: '/v1',
  defaultHeaders: { 'anthropic-version': '2023-06-01' },
  allowRequestHeaders: [],
  dropRequestHeaders: [],
  // would have the key taken for an OAuth token
  gatedHeader: { name: 'anthropic-beta', drops: /^oauth-/i },
  dropResponseHeaders: [],
  keyRefused: status => status === 401,
}
