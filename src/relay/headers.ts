import type { AuthScheme, Provider } from '../providers/provider.js'
import type { Head } from './head.js'

/**
 * Request headers that never reach a provider, lower case; `*` stands for any rest. They would carry the client's credential, describe the way to us rather than to the provider, or
 * change what the provider takes the request for.
 */
const neverToProvider = [
  'authorization',
  'proxy-authorization',
  'dpop',
  'x-api-key',
  'x-goog-api-key',
  'api-key',
  'xi-api-key',
  'x-subscription-token',
  'cookie',
  'host',
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'proxy-connection',
  'expect',
  'content-length',
  'forwarded',
  'x-forwarded-*',
  'x-real-ip',
  'x-client-ip',
  'cf-*',
  'true-client-ip',
  'fly-*',
  'x-amzn-*',
  'x-amz-*',
  'x-vercel-*',
  'via',
  'origin',
  'referer',
  'sec-*',
  'x-soakp-*',
  'x-csrf-token',
  'anthropic-dangerous-direct-browser-access',
  'openai-organization',
  'openai-project',
  'x-goog-user-project',
  'x-hf-bill-to',
  'organization',
  'accept-encoding',
  'traceparent',
  'tracestate',
  'baggage',
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
  'x-original-method',
  'x-original-host',
  'x-host',
] as const

/** Reply headers that never reach a client: they belong to one connection, to another origin, or to the account behind the key. */
const neverToClient = [
  'set-cookie',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'trailer',
  'te',
  'proxy-connection',
  'http2-settings',
  'proxy-authenticate',
  'proxy-authentication-info',
  'alt-svc',
  'strict-transport-security',
  'content-security-policy',
  'content-security-policy-report-only',
  'access-control-*',
  'server',
  'via',
  'cf-*',
  'openai-organization',
  'openai-project',
  'anthropic-organization-id',
  'dg-project-id',
  'www-authenticate',
  'dpop-nonce',
  'report-to',
  'reporting-endpoints',
  'nel',
  'x-goog-upload-url',
  'x-goog-upload-control-url',
  'location',
  'content-location',
  'refresh',
  'clear-site-data',
  'x-request-id',
  'x-content-type-options',
  'x-accel-buffering',
  'x-accel-redirect',
  'x-sendfile',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
  'x-soakp-*',
  'x-frame-options',
  'service-worker-allowed',
] as const

type Test = (name: string) => boolean

/** A test for a list of names, some ending in `*`. Answers are remembered, but for at most so many names that a client cannot fill memory with invented ones. */
function compileNames(names: readonly string[]): Test {
  const exact = new Set(names.filter(name => !name.endsWith('*')))
  const prefixes = names.filter(name => name.endsWith('*')).map(name => name.slice(0, -1))
  const known = new Map<string, boolean>()
  return name => {
    const answer = known.get(name)
    if (answer !== undefined) return answer
    const found = exact.has(name) || prefixes.some(prefix => name.startsWith(prefix))
    if (known.size < 1000) known.set(name, found)
    return found
  }
}

interface HeaderPlan {
  readonly dropsRequest: Test
  readonly dropsResponse: Test
  readonly defaults: readonly (readonly [string, string])[]
}

const plans = new WeakMap<Provider, HeaderPlan>()

function planOf(provider: Provider): HeaderPlan {
  let plan = plans.get(provider)
  if (!plan) {
    const { auth } = provider
    // whatever header carries the credential is ours alone, also on a custom provider
    const own = auth.type === 'header' ? [auth.name.toLowerCase()] : []
    // these are rewritten before they go on
    const isDropped = (name: string) => provider.calledNext?.headers.includes(name) !== true
    const denied = neverToProvider.filter(name => !provider.allowRequestHeaders.includes(name) || name === 'authorization')
    plan = {
      dropsRequest: compileNames([...denied, ...provider.dropRequestHeaders, ...own]),
      dropsResponse: compileNames([...neverToClient.filter(isDropped), ...provider.dropResponseHeaders]),
      defaults: Object.entries(provider.defaultHeaders),
    }
    plans.set(provider, plan)
  }
  return plan
}

/** The client's headers as the provider may see them: names and values in turn, without any credential and without a length. */
export function requestHeaders(provider: Provider, head: Head, raw: readonly string[]): string[] {
  const { dropsRequest, defaults } = planOf(provider)
  const { gatedHeader } = provider
  const headers: string[] = ['accept-encoding', 'identity']
  let absent = defaults
  for (let at = 0; at < raw.length; at += 2) {
    const name = (raw[at] as string).toLowerCase()
    if (name.charCodeAt(0) === colon || dropsRequest(name)) continue
    if (head.connectionNames.length > 0 && head.connectionNames.includes(name)) continue
    const value = gatedHeader?.name === name ? withoutMembers(raw[at + 1] as string, gatedHeader.drops) : (raw[at + 1] as string)
    if (value === '' && gatedHeader?.name === name) continue
    headers.push(name, value)
    if (absent.length > 0) absent = absent.filter(([defaultName]) => defaultName !== name)
  }
  for (const [name, value] of absent) headers.push(name, value)
  return headers
}

function withoutMembers(list: string, drops: RegExp): string {
  const members = list.split(',').map(member => member.trim())
  return members.some(member => drops.test(member)) ? members.filter(member => !drops.test(member)).join(',') : list
}

const colon = 58

/** Adds the credential, or what stands in for it until the head is written: the one place where a key becomes part of a request. */
export function addCredential(headers: string[], scheme: AuthScheme, key: string): void {
  if (scheme.type === 'bearer') headers.push('authorization', `Bearer ${key}`)
  else if (scheme.type === 'basic') headers.push('authorization', `Basic ${key}`)
  else if (scheme.type === 'header') headers.push(scheme.name, scheme.word === undefined ? key : `${scheme.word} ${key}`)
}

/** Takes out what the client sent under the name that carries the key: it would travel beside ours. */
export function dropHeader(headers: string[], name: string): void {
  for (let at = headers.length - 2; at >= 0; at -= 2) if (headers[at] === name) headers.splice(at, 2)
}

export interface ReplyHead {
  /** Names and values in turn, cleaned; without a length. */
  readonly headers: string[]
  readonly contentType: string
  readonly contentLength: number | undefined
  readonly contentEncoding: string | undefined
  readonly upstreamRequestId: string | null
}

/** A provider's reply headers as the client may see them. */
export function responseHeaders(provider: Provider, raw: readonly Buffer[] | readonly string[]): ReplyHead {
  const { dropsResponse } = planOf(provider)
  const headers: string[] = []
  let contentType = ''
  let contentLength: number | undefined
  let contentEncoding: string | undefined
  let upstreamRequestId: string | null = null
  let connectionNames = none
  for (let at = 0; at < raw.length; at += 2) {
    const name = text(raw[at] as Buffer | string).toLowerCase()
    const value = text(raw[at + 1] as Buffer | string)
    if (name === 'content-length') {
      contentLength = Number(value)
      continue
    }
    if (name === 'content-type') {
      // a second one is a second meaning, and over HTTP/2 an error
      if (contentType !== '') continue
      contentType = value.toLowerCase()
    } else if (name === 'content-encoding') {
      contentEncoding = contentEncoding === undefined ? value.toLowerCase() : `${contentEncoding}, ${value.toLowerCase()}`
    } else if (name === 'x-request-id' || name === 'request-id') upstreamRequestId = value.slice(0, 200)
    else if (name === 'connection')
      connectionNames = value
        .toLowerCase()
        .split(',')
        .map(item => item.trim())
    if (!dropsResponse(name)) headers.push(name, value)
  }
  if (connectionNames.length > 0 && connectionNames.some(name => headers.includes(name))) dropNamed(headers, connectionNames)
  return { headers, contentType, contentLength, contentEncoding, upstreamRequestId }
}

const none: readonly string[] = []

function dropNamed(headers: string[], names: readonly string[]): void {
  for (let at = headers.length - 2; at >= 0; at -= 2) if (names.includes(headers[at] as string)) headers.splice(at, 2)
}

function text(value: Buffer | string): string {
  return typeof value === 'string' ? value : value.toString('latin1')
}

/** What every relayed reply carries, whoever made it: a browser must never take a provider's bytes for a page of ours. */
export const standingHeaders: readonly string[] = [
  'x-content-type-options',
  'nosniff',
  'content-security-policy',
  "sandbox; default-src 'none'",
]
