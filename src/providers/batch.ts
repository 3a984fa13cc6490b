import { matchEndpoint } from './match.js'
import type { Dialect, Provider } from './provider.js'
import { object } from './usage.js'

/**
 * Work that a provider does later: how it is made, asked for, and how what it used is read. As data beside the way that makes it, see resource.ts. Paths are relative to the API's
 * prefix, which is what precedes `tail` in the path of the call that made it.
 */
export interface Batch {
  /** How the path of the call that makes one goes on behind the API's prefix. */
  readonly tail: RegExp
  /** Its requests stand in the body that makes it. */
  readonly inline?: {
    /** Pointer of the body of each. */
    readonly bodies: string
    /** The call that each of them stands for, behind the API's prefix. */
    readonly path: string
  }
  /** Pointer of the file that holds its requests, one a line: `{"custom_id", "method", "url", "body"}`. */
  readonly file?: string
  /** Pointers at which the body that makes it says for all requests which model and which call they are, where the requests need not. */
  readonly model?: string
  readonly endpoint?: string
  /** Where it is asked for. */
  ask(id: string): string
  /** How it stands, by what the provider answers there. Undefined: the answer does not say. */
  state(reply: unknown): 'running' | 'ended' | undefined
  /** Where its results are, one a line, once it has ended; none: it has none. */
  results(id: string, reply: unknown): readonly string[]
  /** Pointer of the reply within a line of the results. */
  readonly reply: string
}

const text = (reply: unknown, name: string): string => {
  const value = object(reply)?.[name]
  return typeof value === 'string' ? value : ''
}

/** Ids become parts of paths: what is none, names nothing. */
export const plainId = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/

/** Files whose names stand at these members of the reply. */
function filesOf(reply: unknown, ...names: string[]): string[] {
  return names.map(name => text(reply, name)).flatMap(id => (plainId.test(id) ? [`/files/${id}/content`] : []))
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
  results: (_id, reply) => filesOf(reply, 'output_file_id'),
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
  results: (id, reply) => (text(reply, 'results_url') === '' ? [] : [`/messages/batches/${id}/results`]),
  reply: '/result/message',
}

/** What is known of batches that are made at this path, and the dialect that their results are in. */
export function findBatch(provider: Provider, path: string): { readonly batch: Batch; readonly dialect: Dialect } | undefined {
  const match = matchEndpoint(provider, 'POST', path)
  const endpoint = match.kind === 'endpoint' ? match.endpoint : undefined
  const batch = endpoint?.owns?.ways.find(way => way.batch !== undefined)?.batch
  return batch && { batch, dialect: endpoint?.dialect ?? provider.dialect }
}
