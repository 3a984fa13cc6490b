import { openaiDialect } from './dialect-openai.js'
import { endpoint, fallbackModels, inPath, json } from './endpoints.js'
import type { Endpoint } from './provider.js'
import * as own from './resources/anthropic.js'
import { chatMade } from './resources/openai.js'

// an advisor tool and a chain of fallbacks name models of their own
export const messageModels = [...json('/model', '/tools/*/model'), ...fallbackModels]

/** The Messages API, relative to the version prefix. */
export const messagesInference: readonly Endpoint[] = [
  endpoint('inference', 'POST /messages', { models: messageModels, estimate: true, owns: own.messagesMade }),
  endpoint('inference', 'POST /messages/count_tokens', { models: messageModels, free: true, owns: own.messagesNamed }),
]

/** All of Anthropic's own API, relative to the version prefix. Source: the @anthropic-ai/sdk package 1.12. */
export const anthropicRows: readonly Endpoint[] = [
  ...messagesInference,
  endpoint('inference', 'POST /complete', { models: json('/model'), estimate: true }),
  endpoint('inference', 'POST /chat/completions', {
    models: json('/model', '/models/*'),
    includeUsage: true,
    estimate: true,
    dialect: openaiDialect,
    owns: chatMade,
  }),
  endpoint('inference', 'GET /models'),
  endpoint('inference', 'GET /models/{model}', { models: inPath }),
  endpoint('account', 'POST /messages/batches', {
    models: json(
      '/requests/*/params/model',
      '/requests/*/params/tools/*/model',
      '/requests/*/params/fallbacks',
      '/requests/*/params/fallbacks/*',
      '/requests/*/params/fallbacks/*/model',
    ),
    owns: own.messageBatches,
  }),
  endpoint('account', '* /messages/batches/**', { owns: own.messageBatches }),
  endpoint('account', '* /files/**', { owns: own.anthropicFiles }),
  endpoint('account', '* /skills/**', { owns: own.anthropicSkills }),
  endpoint('account', '* /agents/**', { models: json('/model', '/model/id') }),
  endpoint('account', '* /sessions/**'),
  endpoint('account', '* /environments/**'),
  endpoint('account', '* /deployments/**'),
  endpoint('account', '* /deployment_runs/**'),
  endpoint('account', '* /dreams/**'),
  endpoint('account', '* /memory_stores/**'),
  endpoint('account', '* /user_profiles/**'),
  endpoint('account', '* /experimental/**'),
  endpoint('credential', '* /oauth/**'),
  endpoint('credential', '* /vaults/**'),
  endpoint('administration', '* /tunnels/**'),
  endpoint('administration', '* /organizations/**'),
  endpoint('administration', '* /webhooks/**'),
]
