import type { FastifyRequest } from 'fastify'
import { isThumbprint } from '../../access/dpop-proof.js'
import type { UserWish } from '../../access/user-tokens.js'
import { SoakpError } from '../../errors.js'
import { parseDuration } from '../../lib/duration.js'
import type { AppRecord } from '../../stores/records.js'
import { infoAnswer, infoBody, tokenAnswer, tokenBody } from '../auth/answers.js'
import { authBodyBytes, bodyOf, readForms } from '../auth/plugin.js'
import { createWho } from '../auth/who.js'
import type { Routes } from './index.js'

const wish = {
  type: 'object',
  properties: {
    userId: { type: 'string' },
    appId: { type: 'string' },
    ttl: { anyOf: [{ type: 'integer' }, { type: 'string' }] },
    models: { type: 'array', items: { type: 'string' } },
    refresh: { type: 'boolean' },
    jkt: { type: 'string' },
  },
  required: ['userId'],
  additionalProperties: false,
} as const

const introspection = {
  type: 'object',
  properties: { token: { type: 'string' }, token_type_hint: { type: 'string' } },
  required: ['token'],
  additionalProperties: false,
} as const

/** Where clients of the system that this one follows ask for a token, with HTTP Basic. */
const basicPaths = ['/jwt/generate', '/get-jwt']

/** `data.jwt` is where they look for it (https://github.com/lehcode/soakp, docs/GenerateJWT.md). */
const basicAnswer = {
  200: {
    type: 'object',
    properties: {
      token: { type: 'string' },
      expiresAt: { type: 'string' },
      status: { type: 'integer' },
      message: { type: 'string' },
      data: { type: 'object', properties: { jwt: { type: 'string' } }, additionalProperties: false },
    },
    additionalProperties: false,
  },
} as const

interface Wish {
  readonly userId: string
  readonly appId?: string
  readonly ttl?: number | string
  readonly models?: string[]
  readonly refresh?: boolean
  readonly jkt?: string
}

/** What an app's backend asks with its credential: an access token for one of its users, and what is the matter with one. Not for pages: no CORS, and a call of a page is refused. */
export const authTokenRoutes: Routes = (app, { soakp, addressOf, publicUrl, now }) => {
  const who = createWho({ soakp, addressOf, publicUrl })
  const asking = new WeakMap<FastifyRequest, AppRecord>()
  // before the body is read
  const onRequest = async (request: FastifyRequest) => {
    asking.set(request, await who.app(request.raw))
  }
  const keyOf = (request: FastifyRequest, { id }: AppRecord) => who.counted(request.raw, id, () => who.keyOf(request.raw))
  const appOf = (request: FastifyRequest) => asking.get(request) as AppRecord

  app.register(async scope => {
    readForms(scope)
    for (const path of ['/auth/token', ...basicPaths]) {
      // a page asks first whether it may: it is told why not
      scope.options(path, async request => {
        throw new SoakpError(request.headers.origin === undefined ? 'method_not_allowed' : 'credential_in_page')
      })
    }

    scope.post('/auth/token', { onRequest, bodyLimit: authBodyBytes, schema: { body: wish, response: tokenAnswer } }, async request => {
      const app = appOf(request)
      const body = request.body as Wish
      if (body.appId !== undefined && body.appId !== app.id)
        throw new SoakpError('invalid_request', 'appId names another app than the credential.')
      const thumbprint = namedKey(body.jkt, await keyOf(request, app))
      return tokenBody(await soakp.users.issue(app, { ...toWish(body), thumbprint }), now())
    })

    scope.post(
      '/auth/token-info',
      { onRequest, bodyLimit: authBodyBytes, schema: { body: introspection, response: infoAnswer } },
      async request => {
        const { token } = request.body as { token: string }
        const asked = async () => soakp.access.authenticate(token, addressOf(request.raw))
        const live = await asked().catch(notAlive)
        // of others' users an app learns nothing
        if (live?.record.app?.id !== appOf(request).id) return { active: false }
        return infoBody(live, soakp.limits.look(live.record, await soakp.policy.limits(live.record.tenant)))
      },
    )

    for (const path of basicPaths) {
      scope.post(path, { onRequest, bodyLimit: authBodyBytes, schema: { response: basicAnswer } }, async request => {
        const app = appOf(request)
        const user = namedUser(bodyOf(request)) ?? app.id
        const { token, expiresAtMs } = await soakp.users.issue(app, { user, thumbprint: await keyOf(request, app), refreshable: true })
        return { token, expiresAt: new Date(expiresAtMs).toISOString(), status: 201, message: 'JWT added', data: { jwt: token } }
      })
    }
  })
}

/** A wish for a short life is one for a short life: such a token is not prolonged unless that is asked for, too. */
function toWish({ userId, ttl, models, refresh }: Wish): UserWish {
  const ttlMs = ttl === undefined ? undefined : typeof ttl === 'number' ? ttl * 1000 : parseDuration(ttl)
  if (ttl !== undefined && !(ttlMs !== undefined && ttlMs >= 1000))
    throw new SoakpError('usage', 'ttl is a number of seconds, or such as 15m.')
  return {
    user: userId,
    ...(ttlMs !== undefined && { ttlMs }),
    ...(models && { models }),
    refreshable: refresh ?? ttl === undefined,
  }
}

/** The backend passes on what the page told it. A wrong one harms nobody: such a token opens nothing without that key. */
function namedKey(jkt: string | undefined, proven: string | undefined): string | undefined {
  if (jkt !== undefined && !isThumbprint(jkt))
    throw new SoakpError('invalid_request', 'jkt is the thumbprint of a key: 43 characters of base64url.')
  if (jkt !== undefined && proven !== undefined && jkt !== proven)
    throw new SoakpError('dpop_invalid', 'It is of another key than jkt says.')
  return jkt ?? proven
}

/** Older clients name the user in several ways, or not at all: then it is the app itself. */
function namedUser(body: Record<string, unknown>): string | undefined {
  for (const name of ['userId', 'user_id', 'uid', 'user', 'sub']) {
    const value = body[name]
    if (typeof value === 'string') return value
    if (typeof value === 'number') return String(value)
  }
  return undefined
}

function notAlive(error: unknown): undefined {
  if (error instanceof SoakpError && (error.status === 401 || error.code === 'user_blocked')) return undefined
  throw error
}
