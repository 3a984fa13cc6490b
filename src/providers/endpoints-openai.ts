import { endpoint, inBodyOrForm, inPath, json } from './endpoints.js'
import type { Endpoint } from './provider.js'
import * as own from './resources/openai.js'

const chatModels = json('/model', '/models/*', '/moderation/model')
const responseModels = json('/model', '/models/*', '/tools/*/model', '/moderation/model')

/** A grader may be a model of its own, or several graders by name; one in place of these has no name, and what it says is taken for a model. */
const graderModels = (at: string) => [`${at}/model`, `${at}/graders/*`, `${at}/graders/*/model`]
const evalModels = json('/data_source/model', ...graderModels('/testing_criteria/*'))
const fineTuningModels = json('/model', ...graderModels('/grader'), ...graderModels('/method/reinforcement/grader'))

/** What most services of the dialect have in common, relative to the version prefix. */
export const commonInference: readonly Endpoint[] = [
  endpoint('inference', 'POST /chat/completions', { models: chatModels, includeUsage: true, estimate: true, owns: own.chatMade }),
  endpoint('inference', 'POST /completions', { models: chatModels, includeUsage: true, estimate: true, prompts: '/prompt/*' }),
  endpoint('inference', 'POST /responses', { models: responseModels, estimate: true, owns: own.responsesMade }),
  endpoint('inference', 'POST /embeddings', { models: json('/model', '/models/*'), estimate: 'input' }),
  endpoint('inference', 'POST /images/generations', { models: json('/model'), bills: 'pictures' }),
  endpoint('inference', 'POST /images/edits', { models: inBodyOrForm, bills: 'pictures', owns: own.imagesNamed }),
  endpoint('inference', 'POST /images/variations', { models: inBodyOrForm, bills: 'pictures' }),
  endpoint('inference', 'POST /audio/speech', { models: json('/model'), countsText: ['/input'], owns: own.speechNamed }),
  endpoint('inference', 'POST /audio/transcriptions', { models: inBodyOrForm, bills: 'sound' }),
  endpoint('inference', 'POST /audio/translations', { models: inBodyOrForm, bills: 'sound' }),
  endpoint('inference', 'POST /moderations', { models: json('/model'), free: true }),
  endpoint('inference', 'GET /models'),
  endpoint('inference', 'GET /models/{model}', { models: inPath }),
]

const inference: readonly Endpoint[] = [
  endpoint('inference', 'POST /responses/input_tokens', { models: responseModels, free: true, owns: own.responsesNamed }),
  endpoint('inference', 'POST /responses/compact', { models: responseModels, estimate: true, owns: own.responsesNamed }),
  endpoint('inference', 'GET /responses', { models: [{ in: 'query', name: 'model' }] }),
  endpoint('inference', 'GET /realtime', { models: [{ in: 'query', name: 'model' }] }),
]

/** What belongs to the whole account, wherever the dialect is spoken. */
export const commonAccount: readonly Endpoint[] = [
  endpoint('account', 'GET /chat/completions', { owns: own.completions }),
  endpoint('account', '* /chat/completions/*/**', { owns: own.completions }),
  endpoint('account', 'GET /responses/*/**', { owns: own.responses }),
  endpoint('account', 'DELETE /responses/*/**', { owns: own.responses }),
  endpoint('account', 'POST /responses/*/cancel', { owns: own.responses }),
  endpoint('account', 'DELETE /models/*/**'),
  endpoint('account', '* /files/**', { owns: own.files }),
  endpoint('account', '* /uploads/**', { owns: own.uploads }),
  // its models stand in a file, and are judged by what was seen of that
  endpoint('account', '* /batches/**', { owns: own.batches }),
  endpoint('account', '* /fine_tuning/**', { models: fineTuningModels, owns: own.fineTuning }),
  endpoint('account', '* /fine-tunes/**', { models: json('/model') }),
  endpoint('account', '* /vector_stores/**', { owns: own.vectorStores }),
  endpoint('account', '* /assistants/**', { models: json('/model'), owns: own.assistants }),
  endpoint('account', '* /threads/**', { models: json('/model'), owns: own.threads }),
  endpoint('account', '* /conversations/**', { owns: own.conversations }),
  endpoint('account', '* /evals/**', { models: evalModels, owns: own.evals }),
  endpoint('account', '* /containers/**', { owns: own.containers }),
  endpoint('account', '* /videos/**', { models: inBodyOrForm, owns: own.videos }),
  endpoint('account', '* /skills/**', { owns: own.skills }),
]

const account: readonly Endpoint[] = [
  endpoint('account', '* /chatkit/threads/**'),
  // the voices of an account, and the consents of the people they were taken from
  endpoint('account', '* /audio/voices/**', { owns: own.voices }),
  endpoint('account', '* /audio/voice_consents/**'),
  // media of these calls goes to the provider past us, where nothing of it can be counted
  endpoint('account', '* /realtime/calls/**', {
    models: [
      { in: 'query', name: 'model' },
      { in: 'multipart', field: 'session' },
    ],
  }),
]

/** Endpoints that answer with a credential of the provider, wherever the dialect is spoken. */
export const commonCredential: readonly Endpoint[] = [
  endpoint('credential', '* /realtime/client_secrets/**'),
  endpoint('credential', '* /realtime/sessions/**'),
  endpoint('credential', '* /realtime/transcription_sessions/**'),
  endpoint('credential', '* /realtime/translations/client_secrets/**'),
  endpoint('credential', '* /chatkit/sessions/**'),
]

const administration: readonly Endpoint[] = [
  endpoint('administration', '* /organization/**'),
  endpoint('administration', '* /organizations/**'),
  endpoint('administration', '* /projects/**'),
  endpoint('administration', '* /dashboard/**'),
  endpoint('administration', '* /me/**'),
  endpoint('administration', '* /webhooks/**'),
  endpoint('administration', '* /fine_tuning/checkpoints/*/permissions/**'),
]

/** All of OpenAI's own API, relative to the version prefix. Sources: openai-openapi 2.3.0, the openai package 6.49. */
export const openaiRows: readonly Endpoint[] = [
  ...commonInference,
  ...inference,
  ...commonAccount,
  ...account,
  ...commonCredential,
  ...administration,
]
