import type { FastifyInstance, FastifyRequest } from 'fastify'
import { SoakpError } from '../../errors.js'
import { corsHeaders } from '../../lib/cors.js'
import { answerPreflight, type OriginRule } from '../preflight.js'

/** Bodies of these routes hold a name or two and at most a JWT. */
export const authBodyBytes = 32_768

/** Bodies may be forms (RFC 6749) and may be empty. For routes of one scope. */
export function readForms(scope: FastifyInstance): void {
  scope.removeContentTypeParser('application/json')
  scope.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, {})
    try {
      done(null, JSON.parse(String(body)))
    } catch (cause) {
      done(new SoakpError('invalid_body', 'It is no JSON.', { cause }))
    }
  })
  scope.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    const form = new URLSearchParams(String(body))
    // parsers disagree on which of two counts
    if (new Set(form.keys()).size !== form.size) return done(new SoakpError('invalid_body', 'A name appears twice.'))
    done(null, Object.fromEntries(form))
  })
}

/** Lets pages of allowed origins call the routes of this scope, and no others. */
export function openToPages(scope: FastifyInstance, paths: readonly string[], allows: OriginRule): void {
  scope.addHook('onRequest', async (request, reply) => {
    if (request.method === 'OPTIONS') return
    const { origin } = request.headers
    reply.header('vary', 'Origin')
    if (origin === undefined) return
    if (!(await allows(origin))) throw new SoakpError('origin_not_allowed')
    reply.headers(corsHeaders(origin))
  })
  for (const path of paths) {
    scope.options(path, async (request, reply) => {
      if (request.headers.origin === undefined) throw new SoakpError('method_not_allowed')
      reply.hijack()
      await answerPreflight(request.raw, reply.raw, request.id, allows)
    })
  }
}

/** Tells whoever sends a proof, or asks before, what to make the next one with; also with a refusal. */
export function tellNonce(scope: FastifyInstance, nonce: () => string): void {
  scope.addHook('onRequest', async (request, reply) => {
    if (request.headers.dpop !== undefined || /^DPoP /i.test(request.headers.authorization ?? '')) reply.header('dpop-nonce', nonce())
  })
}

/** A body that is an object, whatever was sent; `{}` where nothing was. Throws `invalid_body`. */
export function bodyOf(request: FastifyRequest): Record<string, unknown> {
  const { body } = request
  if (body === undefined || body === null) return {}
  if (typeof body !== 'object' || Array.isArray(body)) throw new SoakpError('invalid_body', 'It is no JSON object.')
  return body as Record<string, unknown>
}
