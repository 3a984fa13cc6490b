import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, type JWTHeaderParameters, SignJWT } from 'jose'

export interface TokenParts {
  readonly header?: Partial<JWTHeaderParameters>
  readonly claims?: Record<string, unknown>
  readonly atMs?: number
}

/** An OpenID Connect provider with real keys on a real HTTPS server, which can be made to misbehave. */
export interface Issuer {
  readonly url: string
  /** Paths that were asked for. */
  readonly asked: string[]
  /** Answers instead of the real thing, for as long as it is set. */
  behave: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
  /** What discovery adds or replaces. */
  discovery: Record<string, unknown>
  cacheControl: string | undefined
  /** A new key to sign with, by a new name unless one is given; the old ones are published no more, unless they are kept. */
  rotate(alg?: string, more?: { readonly kid?: string; readonly keep?: boolean }): Promise<void>
  /** A JWT with `sub: u1`, `aud: soakp`, an hour long, unless told otherwise; `undefined` takes a claim out. */
  token(parts?: TokenParts): Promise<string>
  close(): Promise<void>
}

/** `certsDir`: of a home, whose local CA the other side trusts. */
export async function startIssuer(certsDir: string): Promise<Issuer> {
  let key = await newKey('ES256', 'key-1')
  let published = [key.jwk]
  let rotations = 1
  const live = join(certsDir, 'live', 'localhost')
  const server = createServer({ cert: readFileSync(join(live, 'fullchain.pem')), key: readFileSync(join(live, 'privkey.pem')) })
  server.on('request', (request, response) => {
    issuer.asked.push(request.url ?? '')
    if (issuer.behave) return issuer.behave(request, response)
    const reply = (value: unknown) => {
      response.writeHead(200, { 'content-type': 'application/json', ...(issuer.cacheControl && { 'cache-control': issuer.cacheControl }) })
      response.end(JSON.stringify(value))
    }
    if (request.url === '/.well-known/openid-configuration') {
      reply({
        issuer: issuer.url,
        jwks_uri: `${issuer.url}/keys`,
        id_token_signing_alg_values_supported: ['ES256', 'RS256', 'HS256'],
        ...issuer.discovery,
      })
    } else if (request.url === '/keys') reply({ keys: published })
    else response.writeHead(404).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer: Issuer = {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    asked: [],
    behave: undefined,
    discovery: {},
    cacheControl: undefined,
    async rotate(alg = 'ES256', { kid = `key-${++rotations}`, keep = false } = {}) {
      key = await newKey(alg, kid)
      published = [...(keep ? published : []), key.jwk]
    },
    token({ header = {}, claims = {}, atMs = Date.now() } = {}) {
      const iat = Math.floor(atMs / 1000)
      const payload = { iss: issuer.url, aud: 'soakp', sub: 'u1', iat, exp: iat + 3600, ...claims }
      return new SignJWT(JSON.parse(JSON.stringify(payload)))
        .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
        .sign(key.privateKey, { crit: { x: true } })
    },
    async close() {
      server.close()
      server.closeAllConnections()
    },
  }
  return issuer
}

async function newKey(alg: string, kid: string) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}
