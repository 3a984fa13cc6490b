type Key = Extract<Awaited<ReturnType<typeof crypto.subtle.generateKey>>, { readonly type: string }>

/** A key pair whose private half cannot leave the browser. */
export interface KeyPair {
  readonly publicKey: Key
  readonly privateKey: Key
}

/** A key with what is said of it. */
export interface HeldKey {
  /** RFC 7638, base64url. */
  readonly thumbprint: string
  /** A proof for one request (RFC 9449, section 4.2). */
  prove(request: ProofOf): Promise<string>
}

export interface ProofOf {
  readonly method: string
  readonly url: URL
  /** In the server's time. */
  readonly atMs: number
  /** The access token that it goes with. */
  readonly token?: string
  readonly nonce?: string | undefined
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const

/** Not extractable: whatever runs in the page can use it there, and cannot take it away. */
export async function newKeyPair(): Promise<KeyPair> {
  return crypto.subtle.generateKey(algorithm, false, ['sign', 'verify'])
}

export async function heldKey({ publicKey, privateKey }: KeyPair): Promise<HeldKey> {
  const { crv, kty, x, y } = await crypto.subtle.exportKey('jwk', publicKey)
  // in the order that the thumbprint wants
  const jwk = { crv, kty, x, y }
  const head = base64urlOf(JSON.stringify({ alg: 'ES256', typ: 'dpop+jwt', jwk }))
  return {
    thumbprint: await hashOf(JSON.stringify(jwk)),
    async prove({ method, url, atMs, token, nonce }) {
      const claims = {
        jti: crypto.randomUUID(),
        htm: method,
        htu: url.origin + url.pathname,
        iat: Math.floor(atMs / 1000),
        ...(token !== undefined && { ath: await hashOf(token) }),
        ...(nonce !== undefined && { nonce }),
      }
      const signed = `${head}.${base64urlOf(JSON.stringify(claims))}`
      const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, privateKey, bytesOf(signed))
      return `${signed}.${base64url(new Uint8Array(signature))}`
    },
  }
}

function bytesOf(text: string) {
  return new TextEncoder().encode(text)
}

function base64urlOf(text: string): string {
  return base64url(bytesOf(text))
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

async function hashOf(text: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', bytesOf(text))))
}
