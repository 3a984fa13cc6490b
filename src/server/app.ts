import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import rateLimit from '@fastify/rate-limit'
import { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import type { Logger } from 'pino'
import { challengeOf } from '../access/dpop.js'
import { type ErrorCode, SoakpError } from '../errors.js'
import { newId } from '../lib/id.js'
import { addressGroup } from '../lib/ip.js'
import type { Rate } from '../lib/rate.js'
import { plainHeaders, problem, problemType } from './problem.js'
import { type RouteContext, routes } from './routes/index.js'

export interface AppOptions extends RouteContext {
  readonly log: Logger
  /** Requests of one address to these routes. */
  readonly addressRate: Rate
  /** Whether browsers may be told to use nothing but HTTPS for this host from now on. */
  readonly isPublicHost: (host: string | undefined) => boolean
}

export interface App {
  readonly fastify: FastifyInstance
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
}

const bodyLimitBytes = 1_048_576
const hstsSeconds = 31_536_000

/** Builds everything that Fastify serves. It never listens: who does passes requests to `handle`. */
export async function buildApp(options: AppOptions): Promise<App> {
  let handle: App['handle'] | undefined
  const onError = (error: FastifyError | SoakpError, request: FastifyRequest, reply: FastifyReply) =>
    answerError(options, error, request, reply)
  const app = fastify({
    logger: false,
    bodyLimit: bodyLimitBytes,
    genReqId: () => newId('call'),
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
    frameworkErrors: onError,
    // the daemon answers itself while it ends
    return503OnClosing: false,
    // never listens; it is there because Fastify wants to hang its own listeners onto a server
    serverFactory: handler => {
      handle = handler as App['handle']
      return createServer()
    },
  })
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(plainHeaders)
    reply.header('x-request-id', request.id)
    if (options.isPublicHost(request.raw.headers.host ?? (request.raw.headers[':authority'] as string | undefined))) {
      reply.header('strict-transport-security', `max-age=${hstsSeconds}`)
    }
  })
  await app.register(rateLimit, {
    max: options.addressRate.count,
    timeWindow: options.addressRate.windowMs,
    enableDraftSpec: true,
    keyGenerator: request => addressGroup(options.addressOf(request.raw)),
    errorResponseBuilder: (_request, { ttl }) =>
      new SoakpError('too_many_requests', undefined, { retryAfterSeconds: Math.ceil(ttl / 1000) }),
  })
  app.setErrorHandler(onError)
  const limit = app.rateLimit()
  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return
    // here and not in the handler for it, which runs only once the body was read
    await limit.call(app, request, reply)
    const allowed = methodsFor(app, request)
    if (allowed.length > 0) reply.header('allow', allowed.join(', '))
    throw new SoakpError(allowed.length > 0 ? 'method_not_allowed' : 'not_found')
  })
  for (const register of routes) register(app, options)
  await app.ready()
  return { fastify: app, handle: handle as App['handle'] }
}

/** Methods under which this path is served. */
function methodsFor(app: FastifyInstance, request: FastifyRequest): string[] {
  const path = request.url.split('?', 1)[0] as string
  return ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].filter(method => app.findRoute({ method: method as 'GET', url: path }) !== null)
}

/** Where Fastify refuses a request by itself, which of our codes that is. */
const codesByStatus: Readonly<Record<number, ErrorCode>> = {
  404: 'not_found',
  405: 'method_not_allowed',
  413: 'request_too_large',
  415: 'media_type_refused',
  429: 'too_many_requests',
  431: 'headers_too_large',
}

function toSoakpError(error: FastifyError | SoakpError): SoakpError {
  if (error instanceof SoakpError) return error
  const status = error.statusCode ?? 500
  if (error.validation !== undefined) return new SoakpError('invalid_request', error.message, { cause: error })
  if (status >= 400 && status < 500) return new SoakpError(codesByStatus[status] ?? 'invalid_request', undefined, { cause: error })
  return new SoakpError('internal', undefined, { cause: error })
}

/** A URL as it may be logged: names of query parameters, no values. */
function loggedUrl(url: string): string {
  const at = url.indexOf('?')
  if (at === -1) return url
  return `${url.slice(0, at)}?${url
    .slice(at + 1)
    .split('&')
    .map(pair => pair.split('=', 1)[0])
    .join('&')}`
}

/** The one place that turns errors into replies, for everything but the relay. */
function answerError({ log, soakp }: AppOptions, thrown: FastifyError | SoakpError, request: FastifyRequest, reply: FastifyReply): void {
  const error = toSoakpError(thrown)
  soakp.tally.refuse(error.code)
  const line = { requestId: request.id, method: request.method, url: loggedUrl(request.url), status: error.status, code: error.code }
  if (error.status >= 500) log.error({ ...line, err: error }, 'a request failed')
  else log.debug(line, 'a request was refused')
  if (error.waitSeconds !== undefined) reply.header('retry-after', error.waitSeconds)
  const challenge = challengeOf(error)
  if (challenge !== undefined) reply.header('www-authenticate', challenge)
  reply.headers(plainHeaders).header('x-request-id', request.id).code(error.status).type(problemType)
  reply.send(problem(error.code, error.detail, request.id))
}
