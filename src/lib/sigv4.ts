import { createHash, createHmac } from 'node:crypto'

/** What AWS calls a credential; the last part only with temporary ones. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

/** A request as it will stand on the wire. */
export interface SigV4Request {
  readonly method: string
  /** As sent: percent-encoded once, with its leading slash, without the query. */
  readonly path: string
  /** As sent, without the question mark; empty where there is none. */
  readonly query: string
  /** What is signed besides the date and the session token: `host` always, and every `x-amz-…` and content type that is sent. Names in any case. */
  readonly headers: Readonly<Record<string, string>>
  /** Lower-case hex SHA-256 of the body (`sha256Hex`), also of an empty one. */
  readonly bodySha256: string
}

export interface SigV4Scope {
  readonly credentials: AwsCredentials
  readonly region: string
  readonly service: string
  readonly nowMs: number
}

/**
 * The headers that AWS Signature Version 4 adds to a request: `authorization`, `x-amz-date` and, with temporary credentials, `x-amz-security-token`. The path is normalised and encoded
 * once more for the signature, as every service but S3 wants it.
 *
 * Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function sigV4Headers(request: SigV4Request, { credentials, region, service, nowMs }: SigV4Scope): Record<string, string> {
  const timestamp = `${new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
  const added: Record<string, string> = { 'x-amz-date': timestamp }
  if (credentials.sessionToken !== undefined) added['x-amz-security-token'] = credentials.sessionToken
  const headers = canonicalHeaders({ ...request.headers, ...added })
  const signed = headers.map(([name]) => name).join(';')
  const canonical = [
    request.method,
    canonicalPath(request.path),
    canonicalQuery(request.query),
    ...headers.map(([name, value]) => `${name}:${value}`),
    '',
    signed,
    request.bodySha256,
  ].join('\n')
  const scope = `${timestamp.slice(0, 8)}/${region}/${service}/aws4_request`
  const key = [timestamp.slice(0, 8), region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${credentials.secretAccessKey}`)
  const signature = hmac(key, `AWS4-HMAC-SHA256\n${timestamp}\n${scope}\n${sha256Hex(canonical)}`).toString('hex')
  return {
    ...added,
    authorization: `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${signed}, Signature=${signature}`,
  }
}

export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest()
}

function canonicalHeaders(headers: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(headers)
    .map(([name, value]): [string, string] => [name.toLowerCase(), value.trim().replaceAll(/ +/g, ' ')])
    .sort(([a], [b]) => compare(a, b))
}

function canonicalPath(path: string): string {
  const kept: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(encode(segment))
  }
  const trailing = kept.length > 0 && /\/\.{0,2}$/.test(path) ? '/' : ''
  return `/${kept.join('/')}${trailing}`
}

function canonicalQuery(query: string): string {
  if (query === '') return ''
  return query
    .split('&')
    .map(pair => {
      const [name = '', ...value] = pair.split('=')
      return [recode(name), recode(value.join('='))] as const
    })
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

/** What is no percent-encoding stands for itself: AWS will say what it makes of it. */
function recode(text: string): string {
  try {
    return encode(decodeURIComponent(text))
  } catch {
    return encode(text)
  }
}

/** RFC 3986: everything but letters, digits and `-._~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** By code point, not by language: the order is part of the signature. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
