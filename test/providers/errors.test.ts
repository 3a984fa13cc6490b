import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import Anthropic from '@anthropic-ai/sdk'
import { ApiError, GoogleGenAI } from '@google/genai'
import { HTTPClient, Mistral } from '@mistralai/mistralai'
import { APICallError, generateText } from 'ai'
import Groq from 'groq-sdk'
import OpenAI from 'openai'
import t from 'tap'
import { findProvider } from '../../src/providers/index.js'

// An error of ours on a relay route, as the official SDK of the provider reads it: the class an app catches, the status and the text.

const text = 'Here is what went wrong.'

/** A server that answers everything with an error of ours. */
function failing(id: string, status: number): typeof fetch {
  const dialect = findProvider(id)?.dialect
  const body = JSON.stringify(dialect?.errorBody({ status, code: 'rate_limited', message: text, requestId: 'call_1' }))
  return async () => new Response(body, { status, headers: { 'content-type': 'application/json', 'x-should-retry': 'false' } })
}

async function thrownBy(call: () => PromiseLike<unknown>): Promise<unknown> {
  try {
    await call()
  } catch (error) {
    return error
  }
  return undefined
}

const user = { role: 'user' as const, content: 'hello' }

t.test('the openai package raises its class for each status, with the code and the text', async t => {
  const classes = {
    400: OpenAI.BadRequestError,
    401: OpenAI.AuthenticationError,
    403: OpenAI.PermissionDeniedError,
    404: OpenAI.NotFoundError,
    422: OpenAI.UnprocessableEntityError,
    429: OpenAI.RateLimitError,
    502: OpenAI.InternalServerError,
  } as const
  for (const [status, expected] of Object.entries(classes)) {
    const client = new OpenAI({ apiKey: 'x', maxRetries: 0, fetch: failing('openai', Number(status)) })
    const error = await thrownBy(() => client.chat.completions.create({ model: 'm', messages: [user] }))
    t.ok(error instanceof expected, status)
    t.match(error, { status: Number(status), code: 'rate_limited', message: text })
  }
})

t.test('groq-sdk raises its class for each status', async t => {
  for (const [status, expected] of [
    [400, Groq.BadRequestError],
    [401, Groq.AuthenticationError],
    [403, Groq.PermissionDeniedError],
    [429, Groq.RateLimitError],
    [503, Groq.InternalServerError],
  ] as const) {
    const client = new Groq({ apiKey: 'x', maxRetries: 0, fetch: failing('groq', status) })
    const error = await thrownBy(() => client.chat.completions.create({ model: 'm', messages: [user] }))
    t.ok(error instanceof expected, `${status}`)
    t.match(error, { status, message: text })
  }
})

t.test('@anthropic-ai/sdk raises its class for each status, and finds the kind of error', async t => {
  for (const [status, expected, type] of [
    [400, Anthropic.BadRequestError, 'invalid_request_error'],
    [401, Anthropic.AuthenticationError, 'authentication_error'],
    [403, Anthropic.PermissionDeniedError, 'permission_error'],
    [404, Anthropic.NotFoundError, 'not_found_error'],
    [429, Anthropic.RateLimitError, 'rate_limit_error'],
    [502, Anthropic.InternalServerError, 'api_error'],
    [503, Anthropic.InternalServerError, 'overloaded_error'],
  ] as const) {
    const client = new Anthropic({ apiKey: 'x', maxRetries: 0, fetch: failing('anthropic', status) })
    const error = await thrownBy(() => client.messages.create({ model: 'm', max_tokens: 1, messages: [user] }))
    t.ok(error instanceof expected, `${status}`)
    t.match(error, { status, type, message: text })
  }
})

t.test('@google/genai raises ApiError with the status', async t => {
  const before = globalThis.fetch
  t.teardown(() => {
    globalThis.fetch = before
  })
  for (const [status, word] of [
    [400, 'INVALID_ARGUMENT'],
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'NOT_FOUND'],
    [429, 'RESOURCE_EXHAUSTED'],
    [503, 'UNAVAILABLE'],
  ] as const) {
    globalThis.fetch = failing('gemini', status)
    const client = new GoogleGenAI({ apiKey: 'x' })
    const error = await thrownBy(() => client.models.generateContent({ model: 'm', contents: 'hello' }))
    t.ok(error instanceof ApiError, `${status}`)
    t.equal((error as ApiError).status, status)
    t.match((error as ApiError).message, word)
    t.match((error as ApiError).message, text)
  }
})

t.test('@mistralai/mistralai raises an error with the status and the body', async t => {
  for (const status of [400, 401, 403, 404, 429, 502]) {
    const httpClient = new HTTPClient({ fetcher: failing('mistral', status) })
    const client = new Mistral({ apiKey: 'x', httpClient, retryConfig: { strategy: 'none' } })
    const error = await thrownBy(() => client.chat.complete({ model: 'm', messages: [user] }))
    t.match(error, { statusCode: status, body: text })
  }
})

t.test('the Vercel AI SDK finds the text of an error, which it does only in the provider’s own shape', async t => {
  for (const status of [400, 401, 403, 429, 503]) {
    for (const model of [
      createOpenAI({ apiKey: 'x', fetch: failing('openai', status) }).chat('m'),
      createOpenAI({ apiKey: 'x', fetch: failing('openai', status) })('m'),
      createAnthropic({ apiKey: 'x', fetch: failing('anthropic', status) })('m'),
    ]) {
      const error = await thrownBy(() => generateText({ model, prompt: 'hello', maxRetries: 0 }))
      t.ok(APICallError.isInstance(error), `${status}`)
      t.match(error, { statusCode: status, message: text })
    }
  }
})

t.test('services that word errors otherwise are answered as they answer', async t => {
  const body = (id: string) =>
    findProvider(id)?.dialect.errorBody({ status: 429, code: 'rate_limited', message: text, requestId: 'call_1' })
  t.match(body('mistral'), { object: 'error', message: text, type: 'rate_limit_error', code: 'rate_limited' })
  t.match(body('voyage'), { detail: text })
  t.match(body('jina'), { detail: text })
  t.match(body('deepl'), { message: text })
  t.match(body('brave'), { type: 'ErrorResponse', error: { id: 'call_1', status: 429, code: 'RATE_LIMITED', detail: text } })
})
