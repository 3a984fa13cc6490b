import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One thing that an account has. */
type Thing = Record<string, unknown> & { readonly id: string }

/** Everything of one account, by collection, the newest first. */
type Account = Map<string, Thing[]>

/** A call as it arrived, with the credential that came with it. */
export interface Seen {
  readonly key: string
  readonly method: string
  readonly target: string
  readonly body: string
}

/** Several providers' account-wide APIs at one address, with an account for each key. */
export interface ResourceProvider {
  readonly url: string
  readonly seen: Seen[]
  /** Puts something in from outside, as an operator does at the provider's own pages. */
  plant(key: string, collection: string, thing: Thing): void
  account(key: string): Account
  /** Called with a reply that is about to go; while it waits the reply waits. */
  before: ((target: string) => Promise<void>) | undefined
  close(): Promise<void>
}

export async function startResourceProvider(): Promise<ResourceProvider> {
  const accounts = new Map<string, Account>()
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const account = (key: string): Account => {
    const known = accounts.get(key) ?? new Map<string, Thing[]>()
    accounts.set(key, known)
    return known
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString('latin1')
    const key = keyOf(request)
    seen.push({ key, method: request.method ?? '', target: request.url ?? '', body })
    const reply = serve({ account: account(key), request, body, url })
    await provider.before?.(request.url ?? '')
    if (reply.events) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const event of reply.events) response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
      response.end()
      return
    }
    const text = JSON.stringify(reply.json ?? {})
    response.writeHead(reply.status ?? 200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      ...reply.headers,
    })
    response.end(text)
  }

  const provider: ResourceProvider = {
    url,
    seen,
    account,
    plant(key, collection, thing) {
      const things = account(key).get(collection) ?? []
      account(key).set(collection, [thing, ...things])
    },
    before: undefined,
    close: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
  return provider
}

function keyOf({ headers }: IncomingMessage): string {
  const { authorization = '' } = headers
  return String(
    headers['x-api-key'] ?? headers['x-goog-api-key'] ?? headers['xi-api-key'] ?? authorization.replace(/^(?:Bearer|Token|Key) /, ''),
  )
}

interface Ask {
  readonly account: Account
  readonly request: IncomingMessage
  readonly body: string
  readonly url: string
}

interface Reply {
  readonly status?: number
  readonly json?: unknown
  readonly headers?: Record<string, string>
  readonly events?: readonly { readonly type: string; readonly [name: string]: unknown }[]
}

const fresh = (prefix: string) => `${prefix}${randomBytes(12).toString('hex')}`
const notFound: Reply = {
  status: 404,
  json: { error: { message: 'the provider itself has no such thing', type: 'invalid_request_error' } },
}

/** How a collection is called, what its ids begin with, and how it is listed. */
interface Collection {
  readonly path: RegExp
  readonly name: string
  readonly prefix: string
  readonly list: (things: readonly Thing[], query: URLSearchParams, url: string) => unknown
  readonly make?: (id: string, body: string) => Record<string, unknown>
  readonly view?: (thing: Thing) => unknown
}

function byCursor(after: string, before: string) {
  return (things: readonly Thing[], query: URLSearchParams): unknown => {
    const limit = Number(query.get('limit') ?? 20)
    const at = (name: string) => things.findIndex(({ id }) => id === query.get(name))
    const start = query.has(after) ? at(after) + 1 : query.has(before) ? Math.max(0, at(before) - limit) : 0
    const end = query.has(before) ? at(before) : start + limit
    const data = things.slice(start, Math.min(end, start + limit))
    const more = query.has(before) ? start > 0 : start + limit < things.length
    return { object: 'list', data, has_more: more, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null }
  }
}

function byToken(member: string) {
  return (things: readonly Thing[], query: URLSearchParams): unknown => {
    const size = Number(query.get('pageSize') ?? 10)
    const start = Number(Buffer.from(query.get('pageToken') ?? '', 'base64').toString() || 0)
    const next = start + size < things.length ? { nextPageToken: Buffer.from(`${start + size}`).toString('base64') } : {}
    return { [member]: things.slice(start, start + size).map(({ id, ...rest }) => rest), ...next }
  }
}

const openaiList = byCursor('after', 'before')
const collections: readonly Collection[] = [
  {
    path: /^\/v1\/files$/,
    name: 'files',
    prefix: 'file-',
    list: openaiList,
    make: id => ({ object: 'file', id, filename: 'a.txt', bytes: 1 }),
  },
  {
    path: /^\/v1\/batches$/,
    name: 'batches',
    prefix: 'batch_',
    list: openaiList,
    make: id => ({ object: 'batch', id, status: 'completed', output_file_id: fresh('file-') }),
  },
  { path: /^\/v1\/vector_stores$/, name: 'stores', prefix: 'vs_', list: openaiList, make: id => ({ object: 'vector_store', id }) },
  { path: /^\/v1\/conversations$/, name: 'conversations', prefix: 'conv_', list: openaiList, make: id => ({ object: 'conversation', id }) },
  {
    path: /^\/v1\/messages\/batches$/,
    name: 'messageBatches',
    prefix: 'msgbatch_',
    list: byCursor('after_id', 'before_id'),
    make: id => ({ type: 'message_batch', id, processing_status: 'in_progress' }),
  },
  { path: /^\/v1\/fine_tuning\/jobs$/, name: 'jobs', prefix: 'ftjob-', list: openaiList, make: id => ({ object: 'fine_tuning.job', id }) },
  { path: /^\/v1\/containers$/, name: 'containers', prefix: 'cntr_', list: openaiList, make: id => ({ object: 'container', id }) },
  {
    path: /^\/v1beta\/cachedContents$/,
    name: 'caches',
    prefix: '',
    list: byToken('cachedContents'),
    make: id => ({ id, name: `cachedContents/${id}`, model: 'models/g' }),
  },
  { path: /^\/v1beta\/files$/, name: 'geminiFiles', prefix: '', list: byToken('files') },
  {
    path: /^\/v1\/predictions$/,
    name: 'predictions',
    prefix: '',
    list: (things, query, url) => {
      const start = Number(query.get('cursor') ?? 0)
      return {
        next: start + 5 < things.length ? `${url}/v1/predictions?cursor=${start + 5}` : null,
        previous: null,
        results: things.slice(start, start + 5),
      }
    },
    make: id => ({ id, status: 'succeeded', output: 'x', urls: {} }),
  },
  {
    path: /^\/v2\/transcript$/,
    name: 'transcripts',
    prefix: '',
    list: () => ({ transcripts: [], page_details: {} }),
    make: id => ({ id, status: 'completed', text: 'hi' }),
  },
  {
    path: /^\/v1\/batch\/jobs$/,
    name: 'mistralJobs',
    prefix: '',
    list: (things, query) => paged(things, query),
    make: id => ({ id, object: 'batch', status: 'QUEUED' }),
  },
]

function paged(things: readonly Thing[], query: URLSearchParams): unknown {
  const size = Number(query.get('page_size') ?? 100)
  const page = Number(query.get('page') ?? 0)
  return {
    object: 'list',
    data: things.slice(page * size, (page + 1) * size),
    total: things.length,
    has_more: (page + 1) * size < things.length,
  }
}

function serve(ask: Ask): Reply {
  const { account, request, body, url } = ask
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://x')
  const method = request.method ?? ''
  const of = (name: string) => {
    const things = account.get(name) ?? []
    account.set(name, things)
    return things
  }
  const mistral = request.headers['user-agent']?.includes('mistral') === true
  const anthropic = request.headers['anthropic-version'] !== undefined
  const make = (name: string, id: string, fields: Record<string, unknown>): Thing => {
    const thing = { ...fields, id }
    of(name).unshift(thing)
    return thing
  }
  if (method === 'POST' && pathname === '/v1/responses') return respond(make, body)
  if (method === 'POST' && pathname === '/v1/chat/completions') return { json: make('completions', fresh('chatcmpl-'), completion) }
  if (method === 'POST' && pathname.endsWith(':generateContent'))
    return { json: { candidates: [{ content: { parts: [{ text: 'hi' }] } }] } }
  if (method === 'POST' && pathname === '/upload/v1beta/files') return upload(make, searchParams, url)
  for (const { path, name, prefix, list, make: fieldsOf } of collections) {
    const [whole] = /^.*?(?=\/[^/]*$|$)/.exec(pathname) ?? ['']
    if (path.test(pathname)) {
      if (method === 'GET') {
        if (name === 'files' && anthropic) return { json: byCursor('after_id', 'before_id')(of(name), searchParams) }
        return { json: name === 'files' && mistral ? paged(of(name), searchParams) : list(of(name), searchParams, url) }
      }
      const id = fresh(prefix)
      return { json: make(name, id, fieldsOf?.(id, body) ?? {}) }
    }
    if (!path.test(whole)) continue
    const id = pathname.slice(whole.length + 1)
    const thing = of(name).find(one => one.id === id)
    if (!thing) continue
    if (method === 'DELETE') {
      account.set(
        name,
        of(name).filter(one => one.id !== id),
      )
      return { json: { id, object: 'deleted', deleted: true, type: 'file_deleted' } }
    }
    return { json: thing }
  }
  const stored = /^\/v1\/responses\/(resp_\w+)(\/.*)?$/.exec(pathname)
  const response = of('responses').find(({ id }) => id === stored?.[1])
  if (response) return { json: response }
  if (/^\/v1\/(?:vector_stores|conversations|containers|batches)\/[^/]+\/./.test(pathname))
    return { json: { id: fresh('x'), object: 'nested', data: [] } }
  return notFound
}

const completion = {
  object: 'chat.completion',
  model: 'gpt-4o-mini',
  choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
}

function respond(make: (name: string, id: string, fields: Record<string, unknown>) => Thing, body: string): Reply {
  const output = [
    { type: 'message', id: fresh('msg_'), role: 'assistant', content: [{ type: 'output_text', text: 'hi', annotations: [] }] },
  ]
  const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 }
  const made = make('responses', fresh('resp_'), { object: 'response', status: 'completed', model: 'gpt-4o-mini', output, usage })
  if (!/"stream":\s*true/.test(body)) return { json: made }
  return {
    events: [
      { type: 'response.created', sequence_number: 0, response: { ...made, output: [], status: 'in_progress' } },
      { type: 'response.output_item.added', sequence_number: 1, output_index: 0, item: { ...output[0], content: [] } },
      { type: 'response.output_text.delta', sequence_number: 2, item_id: output[0]?.id, output_index: 0, content_index: 0, delta: 'hi' },
      { type: 'response.output_item.done', sequence_number: 3, output_index: 0, item: output[0] },
      { type: 'response.completed', sequence_number: 4, response: made },
    ],
  }
}

/** A resumable upload: the first call gets a session, the second brings the bytes. */
function upload(make: (name: string, id: string, fields: Record<string, unknown>) => Thing, query: URLSearchParams, url: string): Reply {
  const session = query.get('upload_id')
  if (session === null)
    return { headers: { 'x-goog-upload-url': `${url}/upload/v1beta/files?upload_id=${fresh('up')}&upload_protocol=resumable` } }
  const id = fresh('').slice(0, 12)
  const uri = `https://generativelanguage.googleapis.com/v1beta/files/${id}`
  const { id: _, ...file } = make('geminiFiles', id, { name: `files/${id}`, uri, mimeType: 'text/plain', state: 'ACTIVE' })
  return { json: { file }, headers: { 'x-goog-upload-status': 'final' } }
}
