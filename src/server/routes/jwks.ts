import type { Routes } from './index.js'

const jwks = {
  200: {
    type: 'object',
    properties: {
      keys: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            kty: { type: 'string' },
            crv: { type: 'string' },
            x: { type: 'string' },
            kid: { type: 'string' },
            alg: { type: 'string' },
            use: { type: 'string' },
          },
          required: ['kty', 'crv', 'x', 'kid'],
          additionalProperties: false,
        },
      },
    },
    required: ['keys'],
    additionalProperties: false,
  },
} as const

/** How long a verifier may keep the list. A new signing key is listed at least this long before it is used. */
const cacheSeconds = 300

/** `/.well-known/jwks.json` (RFC 7517): who wants to check an access token without asking us. Only what the schema names can leave: public halves. */
export const jwksRoutes: Routes = (app, { soakp }) => {
  app.get('/.well-known/jwks.json', { schema: { response: jwks } }, async (_request, reply) => {
    reply.header('cache-control', `public, max-age=${cacheSeconds}`)
    reply.type('application/jwk-set+json')
    return soakp.access.jwks()
  })
}
