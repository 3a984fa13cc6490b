import { matchEndpoint } from '../match.js'
import type { Dialect, Provider } from '../provider.js'
import { object } from '../usage.js'

/**
 * Work that a provider does later: how it is made, asked for, and how what it used is read. As data beside the way that makes it, see resource.ts. Paths are relative to the API's
 * prefix, which is what precedes `tail` in the path of the call that made it.
 */
export interface Batch {
  /** It is one call, judged, served and priced as any other, that is answered before it is done: where the member `by` of its body says anything but no; without that, always, or as the provider likes. */
  readonly one?: { readonly by?: string }
  /** How the path of the call that makes one goes on behind the API's prefix. */
  readonly tail: RegExp
  /** Its requests stand in the body that makes it. */
  readonly inline?: {
    /** Pointer of the body of each. */
    readonly bodies: string
    /** The call that each of them stands for, behind the API's prefix; undefined: the one at `endpoint`. */
    readonly path?: string
    /** Other spellings of the way to them: where one stands, they cannot be told. */
    readonly unless?: readonly string[]
  }
  /** Pointer of the file that holds its requests, or the files, one request a line: `{"custom_id", "method", "url", "body"}`. */
  readonly file?: string
  /** What the body that makes it, or its path, says for all requests: which model, where they do not say, and which call they are. */
  readonly model?: readonly string[]
  readonly modelInPath?: RegExp
  readonly endpoint?: string
  /** Pointer of something else that answers in a model's place. */
  readonly agent?: string
  /** Where it is asked for. */
  ask(id: string): string
  /** How it stands, by what the provider answers there. Undefined: the answer does not say. */
  state(reply: unknown): 'running' | 'ended' | undefined
  /** Where its results are, one a line, once it has ended; none: it has none. Whole paths. */
  results(id: string, reply: unknown, prefix: string): readonly string[]
  /** Results that stand in the reply itself. */
  inReply?(reply: unknown): readonly unknown[]
  /** What comes of it can be read once only: that is its client's to do, and what it used is counted then. */
  readonly once?: true
  /** What its results used stands in their head. */
  readonly inHead?: true
  /** Pointer of the reply within a line of the results. */
  readonly reply: string
}

const text = (reply: unknown, name: string): string => {
  const value = object(reply)?.[name]
  return typeof value === 'string' ? value : ''
}

/** Ids become parts of paths: what is none, names nothing. */
export const plainId = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/

/** The content of the file whose name stands at this member of the reply. */
function fileAt(reply: unknown, name: string, prefix: string): string[] {
  const id = text(reply, name)
  return plainId.test(id) ? [`${prefix}/files/${id}/content`] : []
}

function stateBy(member: string, running: readonly string[], ended: readonly string[]) {
  return (reply: unknown) => {
    const said = text(reply, member)
    return ended.includes(said) ? 'ended' : running.includes(said) ? 'running' : undefined
  }
}

/** OpenAI and who speaks as it does: openai-openapi 2.3.0. What failed stands in a file of its own and is not billed. */
export const openaiBatch: Batch = {
  tail: /\/batches$/,
  file: '/input_file_id',
  ask: id => `/batches/${id}`,
  state: stateBy('status', ['validating', 'in_progress', 'finalizing', 'cancelling'], ['completed', 'failed', 'expired', 'cancelled']),
  results: (_id, reply, prefix) => fileAt(reply, 'output_file_id', prefix),
  reply: '/response/body',
}

/**
 * The @anthropic-ai/sdk package 1.12. `results_url` is not followed: an address that a reply gives is no place to send a key to, and where it leads on the provider's own host is known.
 */
export const anthropicBatch: Batch = {
  tail: /\/messages\/batches$/,
  inline: { bodies: '/requests/*/params', path: '/messages' },
  ask: id => `/messages/batches/${id}`,
  state: stateBy('processing_status', ['in_progress', 'canceling'], ['ended']),
  results: (id, reply, prefix) => (text(reply, 'results_url') === '' ? [] : [`${prefix}/messages/batches/${id}/results`]),
  reply: '/result/message',
}

/** The @mistralai/mistralai package. */
export const mistralBatch: Batch = {
  tail: /\/batch\/jobs$/,
  inline: { bodies: '/requests/*/body' },
  file: '/input_files/*',
  model: ['/model'],
  endpoint: '/endpoint',
  agent: '/agent_id',
  ask: id => `/batch/jobs/${id}`,
  state: stateBy('status', ['QUEUED', 'RUNNING', 'CANCELLATION_REQUESTED'], ['SUCCESS', 'FAILED', 'TIMEOUT_EXCEEDED', 'CANCELLED']),
  results: (_id, reply, prefix) => fileAt(reply, 'output_file', prefix),
  reply: '/response/body',
}

const geminiStates = stateBy(
  'state',
  ['BATCH_STATE_UNSPECIFIED', 'BATCH_STATE_PENDING', 'BATCH_STATE_RUNNING'],
  ['BATCH_STATE_SUCCEEDED', 'BATCH_STATE_FAILED', 'BATCH_STATE_CANCELLED', 'BATCH_STATE_EXPIRED'],
)

const geminiOutput = (reply: unknown) => {
  const operation = object(reply)
  return object(object(operation?.metadata)?.output) ?? object(operation?.response)
}

/** The @google/genai package 2.32. Requests in a file come by an upload in two steps, which is not looked into. */
export const geminiBatch: Batch = {
  tail: /\/models\/[^/]*$/,
  inline: {
    bodies: '/batch/inputConfig/requests/requests/*/request',
    path: '/models/any:generateContent',
    unless: ['/batch/input_config', '/batch/inputConfig/file_name', '/batch/inputConfig/fileName'],
  },
  model: ['/model', '/batch/model'],
  modelInPath: /\/models\/([^/:]+):/,
  ask: id => `/batches/${id}`,
  state: reply => geminiStates(object(reply)?.metadata),
  results(_id, reply, prefix) {
    const name = /^files\/(.*)$/.exec(text(geminiOutput(reply), 'responsesFile'))?.[1] ?? ''
    return plainId.test(name) ? [`/download${prefix}/files/${name}:download?alt=media`] : []
  },
  inReply(reply) {
    const responses = object(geminiOutput(reply)?.inlinedResponses)?.inlinedResponses
    return Array.isArray(responses) ? responses : []
  },
  reply: '/response',
}

/** One call that is answered with how it stands, and goes on whoever listens. What failed is not billed; of what was cancelled nobody says what it took. */
function putOff(root: string): Batch {
  return {
    one: { by: '/background' },
    tail: new RegExp(`${root}$`),
    ask: id => `${root}/${id}`,
    state: stateBy('status', ['queued', 'in_progress'], ['completed', 'failed', 'cancelled', 'incomplete', 'requires_action']),
    results: () => [],
    inReply: reply => (text(reply, 'status') === 'failed' && !object(object(reply)?.usage) ? [] : [{ reply }]),
    reply: '/reply',
  }
}

/** https://platform.openai.com/docs/guides/background */
export const openaiBackground = putOff('/responses')
/** The @google/genai package 2.32: `interactions` */
export const geminiBackground = putOff('/interactions')

/** https://replicate.com/docs/reference/http: whatever it is made by, it is asked for at one place. What has no metrics did not run. */
export const replicatePrediction: Batch = {
  one: {},
  tail: /\/(?:(?:models|deployments)\/[^/]+\/[^/]+\/)?predictions$/,
  ask: id => `/predictions/${id}`,
  state: stateBy('status', ['starting', 'processing'], ['succeeded', 'failed', 'canceled', 'aborted']),
  results: () => [],
  inReply: reply => (object(object(reply)?.metrics) ? [{ reply }] : []),
  reply: '/reply',
}

/** https://www.assemblyai.com/docs/api-reference/transcripts/get: what failed is not billed. */
export const assemblyaiTranscript: Batch = {
  one: {},
  tail: /\/transcript$/,
  ask: id => `/transcript/${id}`,
  state: stateBy('status', ['queued', 'processing'], ['completed', 'error']),
  results: () => [],
  inReply: reply => (text(reply, 'status') === 'completed' ? [{ reply }] : []),
  reply: '/reply',
}

/**
 * https://fal.ai/docs/api-reference/inference-api: whatever of a model is asked for, it is found beneath its owner and its app. What failed has ended with an error, and is not billed.
 */
export const falRequest: Batch = {
  one: {},
  tail: /(?<=^\/queue\/(?:(?:workflows|comfy)\/)?[^/]+\/[^/]+)(?:\/.*)?$/,
  ask: id => `/requests/${id}/status`,
  state: stateBy('status', ['IN_QUEUE', 'IN_PROGRESS'], ['COMPLETED']),
  results: (id, reply, prefix) => (object(reply)?.error ? [] : [`${prefix}/requests/${id}`]),
  inHead: true,
  reply: '/reply',
}

/** https://docs.x.ai/developers/advanced-api-usage/deferred-chat-completions */
export const xaiDeferred: Batch = {
  one: { by: '/deferred' },
  once: true,
  tail: /\/chat\/completions$/,
  ask: id => `/chat/deferred-completion/${id}`,
  state: () => undefined,
  results: () => [],
  reply: '/reply',
}

/** What is known of batches that are made at this path, and the dialect that their results are in. */
export function findBatch(provider: Provider, path: string): { readonly batch: Batch; readonly dialect: Dialect } | undefined {
  const match = matchEndpoint(provider, 'POST', path)
  const endpoint = match.kind === 'endpoint' ? match.endpoint : undefined
  const batch = endpoint?.owns?.ways.find(way => way.batch !== undefined)?.batch
  return batch && { batch, dialect: endpoint?.dialect ?? provider.dialect }
}
