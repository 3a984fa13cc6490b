import type { LocalUpstream, UpstreamRequest, UpstreamSink } from '../provider.js'
import { chat } from './chat.js'
import { embeddings } from './embeddings.js'
import { cutModel, failure, type Plan, refusal, reply } from './plan.js'
import { play } from './play.js'
import { responses } from './responses.js'

const models = [
  'sandbox',
  'sandbox-slow',
  'sandbox-endless',
  'sandbox-embedding',
  'sandbox-error-401',
  'sandbox-error-429',
  'sandbox-error-500',
  'sandbox-error-503',
  'sandbox-error-timeout',
  'sandbox-error-cut',
]

const modelRow = (id: string) => ({ id, object: 'model', created: 1735689600, owned_by: 'soakp' })
const maxBodyBytes = 32 * 1024 * 1024

function header(request: UpstreamRequest, name: string): string | undefined {
  for (let i = 0; i + 1 < request.headers.length; i += 2) if (request.headers[i] === name) return request.headers[i + 1]
  return undefined
}

/** What the credential is worth: it has to arrive as OpenAI's does. */
function checkKey(request: UpstreamRequest): Plan | undefined {
  const value = header(request, 'authorization') ?? ''
  if (!value.startsWith('Bearer ') || value.length === 7) {
    return refusal(401, 'invalid_request_error', null, 'You did not provide an API key. Send it as Authorization: Bearer KEY.')
  }
  if (value.startsWith('Bearer bad')) return refusal(401, 'invalid_request_error', 'invalid_api_key', 'Incorrect API key provided: bad***.')
  return undefined
}

type Answer = (body: Readonly<Record<string, unknown>>) => Plan
const posts: Readonly<Record<string, Answer>> = {
  '/v1/chat/completions': chat,
  '/v1/responses': responses,
  '/v1/embeddings': embeddings,
}

function answerPost(answer: Answer, request: UpstreamRequest, body: Buffer): Plan {
  if (!(header(request, 'content-type') ?? '').toLowerCase().includes('json')) {
    return refusal(415, 'invalid_request_error', 'unsupported_media_type', 'Send the body as application/json.')
  }
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch {
    return refusal(400, 'invalid_request_error', null, 'We could not parse the JSON body of your request.')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refusal(400, 'invalid_request_error', null, 'The body of the request has to be a JSON object.')
  }
  const fields = value as Record<string, unknown>
  if (typeof fields.model !== 'string') return refusal(400, 'invalid_request_error', null, 'you must provide a model parameter')
  if (fields.model.startsWith('sandbox-error-') && !(fields.model === cutModel && fields.stream === true)) return failure(fields.model)
  if (fields.model !== 'sandbox' && !fields.model.startsWith('sandbox-')) {
    return refusal(
      404,
      'invalid_request_error',
      'model_not_found',
      `The model \`${fields.model}\` does not exist. The sandbox has: ${models.join(', ')}.`,
    )
  }
  return answer(fields)
}

function plan(request: UpstreamRequest, body: Buffer): Plan {
  const refused = checkKey(request)
  if (refused) return refused
  const path = request.path.split('?', 1)[0] ?? ''
  const post = Object.hasOwn(posts, path) ? posts[path] : undefined
  if (post && request.method === 'POST') return answerPost(post, request, body)
  if (post) return refusal(405, 'invalid_request_error', 'method_not_supported', `Not allowed to ${request.method} on ${path}.`)
  const read = request.method === 'GET' || request.method === 'HEAD'
  if (read && path === '/v1/models') return reply({ object: 'list', data: models.map(modelRow) })
  if (read && path.startsWith('/v1/models/')) {
    const id = path.slice('/v1/models/'.length)
    if (models.includes(id)) return reply(modelRow(id))
    return refusal(404, 'invalid_request_error', 'model_not_found', `The model '${id}' does not exist.`)
  }
  return refusal(404, 'invalid_request_error', 'unknown_url', `Unknown request URL: ${request.method} ${path}.`)
}

/** Gathers a streamed body, up to `maxBodyBytes`. The way back stops listening. */
function gather(body: NodeJS.ReadableStream, done: (body: Buffer | undefined) => void, fail: (error: Error) => void): () => void {
  const chunks: Buffer[] = []
  let size = 0
  const onData = (chunk: Buffer | string) => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    size += bytes.length
    if (size <= maxBodyBytes) chunks.push(bytes)
  }
  const onEnd = () => done(size <= maxBodyBytes ? Buffer.concat(chunks) : undefined)
  const onClose = () => fail(new Error('the request body ended early'))
  const stop = () => {
    body.off('data', onData).off('end', onEnd).off('error', fail).off('close', onClose)
    // an error of a body nobody reads any more is nobody's
    body.on('error', () => {})
  }
  body.on('data', onData).on('end', onEnd).on('error', fail).on('close', onClose)
  return stop
}

export const serveSandbox: LocalUpstream = (request: UpstreamRequest, sink: UpstreamSink) => {
  let over = false
  let stopGathering = () => {}
  let player: { stop(): void; resume(): void } | undefined
  const finish = (action: () => void) => {
    if (over) return
    over = true
    action()
  }
  const start = (body: Buffer | undefined) => {
    stopGathering()
    if (over) return
    const planned = body ? plan(request, body) : refusal(413, 'invalid_request_error', null, 'The body is larger than 32 MB.')
    player = play(planned, request.method === 'HEAD', {
      head: (status, headers) => sink.head(status, headers),
      data: chunk => sink.data(chunk),
      end: () => finish(() => sink.end()),
      fail: error => finish(() => sink.fail(error)),
    })
  }
  if (request.body === undefined || Buffer.isBuffer(request.body)) {
    const body = request.body ?? Buffer.alloc(0)
    setImmediate(() => {
      if (!over) start(body)
    })
  } else {
    stopGathering = gather(
      request.body,
      body => setImmediate(start, body),
      error =>
        setImmediate(() => {
          stopGathering()
          finish(() => sink.fail(error))
        }),
    )
  }
  return {
    abort() {
      over = true
      stopGathering()
      player?.stop()
    },
    resume() {
      if (!over) player?.resume()
    },
  }
}
