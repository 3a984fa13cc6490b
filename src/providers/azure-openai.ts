import { openaiDialect } from './dialect-openai.js'
import { endpoint, inPath, under } from './endpoints.js'
import { commonCredential, commonInference, openaiRows } from './endpoints-openai.js'
import { messages } from './openai-row.js'
import type { Endpoint } from './provider.js'
import { providerRow } from './row.js'
import { azureSockets } from './sockets/sockets.js'

/** What a deployment does. The deployment's name stands for the model: what a body says of one is not heeded there. */
const deploymentRows: readonly Endpoint[] = [
  ...commonInference
    .filter(row => row.method === 'POST' && !row.pattern.startsWith('/responses') && !row.pattern.startsWith('/moderations'))
    .map(row => ({ ...row, models: inPath })),
  endpoint('inference', 'POST /extensions/chat/completions', { models: inPath, estimate: true }),
]

/** Source: the AzureOpenAI class of the openai package 6.49, learn.microsoft.com/azure/ai-foundry/openai/reference. */
const endpoints: readonly Endpoint[] = [
  ...under('/openai/deployments/{model}', deploymentRows),
  ...under('/openai/v1', openaiRows),
  // the dated versions of the same: the model stands in the body here
  ...under(
    '/openai',
    openaiRows.filter(row => !row.pattern.startsWith('/realtime') && !row.pattern.startsWith('/projects')),
  ),
  ...under('/openai', commonCredential),
  endpoint('credential', '* /openai/realtimeapi/**'),
  ...under('/anthropic/v1', messages),
  endpoint('account', '* /openai/ingestion/**'),
  endpoint('account', '* /openai/batch/**'),
  endpoint('administration', 'GET /openai/deployments'),
  endpoint('administration', '* /openai/deployments/*'),
  endpoint('administration', '* /openai/management/**'),
]

export const azureOpenai = providerRow({
  id: 'azure-openai',
  // what clients are configured with: `endpoint: '…/azure'`
  aliases: ['azure'],
  title: 'Azure OpenAI',
  origin: 'https://azure-openai.invalid',
  baseUrl: {
    example: 'https://RESOURCE.openai.azure.com',
    required: true,
    note: 'RESOURCE is the name of your resource, as the portal shows it under "Keys and Endpoint"; Foundry resources live at https://RESOURCE.services.ai.azure.com. Give it without /openai.',
  },
  auth: { type: 'header', name: 'api-key' },
  dialect: openaiDialect,
  keyHints: [{ pattern: /^[a-f0-9]{32}$/ }, { pattern: /^[A-Za-z0-9]{84}$/ }],
  keyCheck: { method: 'GET', path: '/openai/models?api-version=2024-10-21', works: [200], restricted: [403, 429], refused: [401] },
  sockets: azureSockets,
  endpoints,
  compatiblePath: '/openai/v1',
  messagesPath: '/anthropic/v1',
  dropResponseHeaders: ['azureml-model-session'],
  unverified: ['the longer form of its keys'],
})
