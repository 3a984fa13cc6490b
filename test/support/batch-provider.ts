import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A call as it arrived, with the credential that came with it. */
export interface Seen {
  readonly key: string
  readonly method: string
  readonly target: string
}

/** A batch as the provider sees it. */
export interface ProvidedBatch {
  readonly id: string
  readonly dialect: 'openai' | 'anthropic' | 'mistral' | 'gemini'
  /** Which file it was made of, or its requests as they came. */
  readonly input: unknown
  /** As the provider names it. */
  status: string
  /** What a reply that asks for it says beside that. */
  more: Record<string, unknown>
  /** Results, one a line. */
  results: string | undefined
}

/** Providers that work later, at one address. A test says when they have worked, and what came of it. */
export interface BatchProvider {
  readonly url: string
  readonly seen: Seen[]
  readonly batches: Map<string, ProvidedBatch>
  readonly files: Map<string, string>
  /** The newest batch. */
  last(): ProvidedBatch
  /** It has ended, with these results. */
  end(batch: ProvidedBatch, status: string, results: readonly unknown[] | string | undefined): void
  /** Answers in its place, where it gives a status. */
  instead: ((target: string, response: ServerResponse) => boolean | Promise<boolean>) | undefined
  close(): void
}

const fresh = (prefix: string) => `${prefix}${randomBytes(12).toString('hex')}`

export async function startBatchProvider(): Promise<BatchProvider> {
  const batches = new Map<string, ProvidedBatch>()
  const files = new Map<string, string>()
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString('utf8')
    const target = request.url ?? ''
    const { headers, method = '' } = request
    const key = String(headers['x-api-key'] ?? headers['x-goog-api-key'] ?? (headers.authorization ?? '').replace(/^Bearer /, ''))
    seen.push({ key, method, target })
    if (await provider.instead?.(target, response)) return
    const { pathname } = new URL(target, url)
    const reply = (status: number, json: unknown) => {
      const text = JSON.stringify(json)
      response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
      response.end(text)
    }
    const stream = (text: string) => {
      response.writeHead(200, { 'content-type': 'application/x-jsonl' })
      response.end(text)
    }
    const make = (dialect: ProvidedBatch['dialect'], prefix: string, status: string, input: unknown) => {
      const batch: ProvidedBatch = { id: fresh(prefix), dialect, input, status, more: {}, results: undefined }
      batches.set(batch.id, batch)
      return reply(200, viewOf(batch))
    }
    if (method === 'POST' && pathname.endsWith('/files')) {
      const id = fresh('file-')
      files.set(id, body)
      return reply(200, {
        id,
        object: 'file',
        purpose: 'batch',
        filename: 'in.jsonl',
        bytes: body.length,
        created_at: 1,
        status: 'processed',
        sample_type: 'batch_request',
        source: 'upload',
      })
    }
    const content = /\/files\/([^/]+)\/content$/.exec(pathname)?.[1]
    if (content !== undefined) return files.has(content) ? stream(files.get(content) ?? '') : reply(404, { error: { message: 'no file' } })
    if (method === 'POST' && pathname.endsWith('/messages/batches')) return make('anthropic', 'msgbatch_', 'in_progress', JSON.parse(body))
    if (method === 'POST' && pathname.endsWith('/batch/jobs')) return make('mistral', 'job-', 'QUEUED', JSON.parse(body))
    if (method === 'POST' && pathname.endsWith('/batches')) return make('openai', 'batch_', 'validating', JSON.parse(body))
    if (method === 'POST' && pathname.endsWith(':batchGenerateContent')) return make('gemini', 'g', 'BATCH_STATE_PENDING', JSON.parse(body))
    const [, id = '', rest] = /\/(?:batches|batch\/jobs)\/([^/:]+)((?:[/:].*)?)$/.exec(pathname) ?? []
    const batch = batches.get(id)
    if (!batch) return reply(404, { error: { message: 'no such thing' } })
    if (rest === '/results') return stream(batch.results ?? '')
    return reply(200, viewOf(batch))
  }

  function viewOf({ id, dialect, status, more, results }: ProvidedBatch): unknown {
    if (dialect === 'anthropic') {
      const counts = { processing: 0, succeeded: 0, errored: 0, canceled: 0, expired: 0 }
      const results_url = results === undefined ? null : `${url}/v1/messages/batches/${id}/results`
      return {
        id,
        type: 'message_batch',
        processing_status: status,
        request_counts: counts,
        results_url,
        created_at: '2026-01-01T00:00:00Z',
        ...more,
      }
    }
    if (dialect === 'gemini') return { name: `batches/${id}`, metadata: { state: status }, done: status.endsWith('SUCCEEDED'), ...more }
    if (dialect === 'mistral') {
      const counts = { total_requests: 1, completed_requests: 0, succeeded_requests: 0, failed_requests: 0 }
      return {
        id,
        object: 'batch',
        input_files: [],
        endpoint: '/v1/chat/completions',
        errors: [],
        status,
        created_at: 1,
        ...counts,
        ...more,
      }
    }
    return { id, object: 'batch', status, endpoint: '/v1/chat/completions', ...more }
  }

  const provider: BatchProvider = {
    url,
    seen,
    batches,
    files,
    last: () => [...batches.values()].at(-1) as ProvidedBatch,
    end(batch, status, results) {
      batch.status = status
      const text = typeof results === 'string' ? results : results?.map(line => `${JSON.stringify(line)}\n`).join('')
      if (batch.dialect === 'gemini') {
        const inlinedResponses = typeof results === 'string' ? [] : (results ?? [])
        batch.more = { metadata: { state: status, output: { inlinedResponses: { inlinedResponses } } } }
        return
      }
      if (batch.dialect === 'anthropic' || text === undefined) {
        batch.results = text
        return
      }
      const id = fresh('file-')
      files.set(id, text)
      batch.more = { ...batch.more, [batch.dialect === 'mistral' ? 'output_file' : 'output_file_id']: id }
    },
    instead: undefined,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
  return provider
}

/** A result of Anthropic's that succeeded. */
export function message(model: string, input: number, output: number, more: Record<string, unknown> = {}): unknown {
  const usage = { input_tokens: input, output_tokens: output, service_tier: 'batch', ...more }
  return {
    custom_id: fresh('c'),
    result: { type: 'succeeded', message: { id: fresh('msg_'), type: 'message', model, content: [], usage } },
  }
}

/** A result of OpenAI's that succeeded. */
export function completion(model: string, input: number, output: number): unknown {
  const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output }
  const body = { id: fresh('chatcmpl-'), object: 'chat.completion', model, choices: [], usage }
  return { id: fresh('batch_req_'), custom_id: fresh('c'), response: { status_code: 200, request_id: 'r', body }, error: null }
}

/** Lines of a file of requests. */
export function requestLines(
  count: number,
  maxTokens: number | undefined,
  model = 'gpt-4o-mini',
  more: Record<string, unknown> = {},
): string {
  const line = (at: number) => {
    const body = {
      model,
      messages: [{ role: 'user', content: 'hi' }],
      ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
      ...more,
    }
    return `${JSON.stringify({ custom_id: `c${at}`, method: 'POST', url: '/v1/chat/completions', body })}\n`
  }
  return Array.from({ length: count }, (_, at) => line(at)).join('')
}
