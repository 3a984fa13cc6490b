import type { Policy } from '../access/policy.js'
import { type Rules, rulesOf } from '../access/rules.js'
import { SoakpError } from '../errors.js'
import { createFormScan } from '../lib/form-scan.js'
import { compilePointers, scanJson } from '../lib/json-scan.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import { findProvider, providerId } from '../providers/index.js'
import type { Provider } from '../providers/provider.js'
import type { KeyRecord } from '../stores/records.js'
import { authorizeCaller, routeOf, usableKeys } from './authorize.js'
import type { Exchange, UnifiedCall } from './exchange.js'

/** First segment of the unified endpoint's paths. */
export const unifiedName = 'v1'

/** What a call of the unified endpoint wants: a list of models, one of them, or a provider's work in OpenAI's or Anthropic's dialect. */
export type UnifiedRoute =
  | { readonly kind: 'models' }
  | { readonly kind: 'model'; readonly id: string }
  | { readonly kind: 'call'; readonly speaks: 'openai' | 'anthropic' }

/** The calls that mean the same at every provider. Account-wide resources are reached by the provider's own path. */
const posts: Readonly<Record<string, 'openai' | 'anthropic'>> = {
  '/chat/completions': 'openai',
  '/completions': 'openai',
  '/responses': 'openai',
  '/embeddings': 'openai',
  '/moderations': 'openai',
  '/images/generations': 'openai',
  '/images/edits': 'openai',
  '/images/variations': 'openai',
  '/audio/speech': 'openai',
  '/audio/transcriptions': 'openai',
  '/audio/translations': 'openai',
  '/messages': 'anthropic',
  '/messages/count_tokens': 'anthropic',
}

/** Throws `endpoint_not_open` for what the unified endpoint does not serve, `method_not_allowed`, `invalid_path`. */
function unifiedRoute(method: string, path: string): UnifiedRoute {
  const speaks = Object.hasOwn(posts, path) ? posts[path] : undefined
  if (speaks) {
    if (method !== 'POST') throw new SoakpError('method_not_allowed', 'Send it with POST.')
    return { kind: 'call', speaks }
  }
  if (path === '/models' || path.startsWith('/models/')) {
    if (method !== 'GET' && method !== 'HEAD') throw new SoakpError('method_not_allowed')
    return path.length <= '/models/'.length ? { kind: 'models' } : { kind: 'model', id: decodeId(path.slice('/models/'.length)) }
  }
  throw new SoakpError('endpoint_not_open', 'The unified endpoint does not serve it.', {
    hint: `put the provider in front, as in /openai${/^[\w./-]{0,100}$/.test(path) ? `/v1${path}` : '/v1/…'}`,
  })
}

function decodeId(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new SoakpError('invalid_path', undefined, { cause })
  }
}

/** The shape of errors before it is known which provider answers: `/messages` and whoever states Anthropic's version speak Anthropic's dialect. */
export function spokenBy(exchange: Exchange): Provider | undefined {
  const { path, request } = exchange.call
  const isAnthropic = path.startsWith('/messages') || request.headers['anthropic-version'] !== undefined
  return findProvider(isAnthropic ? 'anthropic' : 'openai')
}

const reachable = new WeakMap<readonly KeyRecord[], WeakMap<Rules, ReadonlyMap<string, readonly KeyRecord[]>>>()

/** The providers that the grant opens, each with the keys it may use. Worked out once for each reading of the keys. */
export function reachableProviders(
  exchange: Exchange,
  keys: readonly KeyRecord[],
  rules: Rules,
): ReadonlyMap<string, readonly KeyRecord[]> {
  let byRules = reachable.get(keys)
  if (!byRules) {
    byRules = new WeakMap()
    reachable.set(keys, byRules)
  }
  let found = byRules.get(rules)
  if (!found) {
    const open = keys.filter(key => rules.allowsProvider(key.provider))
    found = byProvider(usableKeys(exchange, open, rules))
    byRules.set(rules, found)
  }
  return found
}

function byProvider(keys: readonly KeyRecord[]): ReadonlyMap<string, readonly KeyRecord[]> {
  const found = new Map<string, KeyRecord[]>()
  for (const key of keys) {
    const list = found.get(key.provider)
    if (list) list.push(key)
    else found.set(key.provider, [key])
  }
  return found
}

/** Judges who calls, and tells what the call wants. Throws as `unifiedRoute`, and `address_not_allowed`, `origin_not_allowed`. */
export function openUnified(exchange: Exchange): UnifiedRoute {
  const { call, grant } = exchange
  if (!grant) throw new SoakpError('internal', 'openUnified before authenticate')
  authorizeCaller(exchange, rulesOf(grant.record))
  if (call.upgrade)
    throw new SoakpError('endpoint_not_open', 'The unified endpoint takes no WebSockets.', {
      hint: 'put the provider in front, as in /openai/v1/realtime',
    })
  return unifiedRoute(call.request.method ?? '', call.path)
}

/**
 * Finds the provider that a body's `model` names, and makes the call the one to that provider's own compatible API. Throws `invalid_body`, `ambiguous_body`,
 * `encoded_body`, `model_unknown`, and `invalid_request` where no provider is named and the grant opens several.
 */
export function addressUnified(exchange: Exchange, speaks: 'openai' | 'anthropic', body: Buffer, policy: Policy): MaybePromise<void> {
  const tenant = exchange.grant?.record.tenant ?? ''
  const keys = policy.allKeys(tenant)
  const aliases = policy.aliases(tenant)
  if (!isPromise(keys) && !isPromise(aliases)) return address(exchange, speaks, body, keys, aliases)
  return Promise.all([keys, aliases]).then(([keys, aliases]) => address(exchange, speaks, body, keys, aliases))
}

function address(
  exchange: Exchange,
  speaks: 'openai' | 'anthropic',
  body: Buffer,
  keys: readonly KeyRecord[],
  aliases: ReadonlyMap<string, string>,
): void {
  const { call, grant, head } = exchange
  if (!grant || !head) throw new SoakpError('internal', 'address before authenticate')
  if (head.encoded) throw new SoakpError('encoded_body')
  const isForm = head.contentType.startsWith('multipart/form-data')
  const found = isForm ? modelInForm(call.request.headers['content-type'] ?? '', body) : modelInJson(body)
  const providers = reachableProviders(exchange, keys, rulesOf(grant.record))
  const target = aliases.get(found.name)
  const { provider, model } = pick(target ?? found.name, providers, target === undefined ? undefined : found.name)
  const path = pathAt(provider, providers.get(provider)?.[0], speaks, call.path)
  exchange.call = { ...call, provider, path }
  exchange.unified = { ...found.rename(model), speaks, model, alias: target === undefined ? undefined : found.name, isForm }
}

/** `anthropic/claude-x` where the grant opens Anthropic; else the name as it is, at the only provider there is. */
function pick(
  name: string,
  providers: ReadonlyMap<string, unknown>,
  alias: string | undefined,
): { readonly provider: string; readonly model: string } {
  const slash = name.indexOf('/')
  const first = slash === -1 ? '' : providerId(name.slice(0, slash))
  if (providers.has(first) && slash + 1 < name.length) return { provider: first, model: name.slice(slash + 1) }
  if (alias !== undefined) throw new SoakpError('provider_not_allowed', `The alias ${alias} stands for a model of ${first}.`)
  const [only, ...others] = providers.keys()
  if (only === undefined) throw new SoakpError('no_key', undefined, { hint: 'the operator stores one with: soakp key add PROVIDER' })
  if (others.length === 0) return { provider: only, model: name }
  const opensNone = findProvider(first) !== undefined && slash + 1 < name.length
  const why = opensNone
    ? `This access token opens no ${first}, and the model could be meant for several other providers.`
    : 'The model names no provider, and this access token opens several.'
  throw new SoakpError('invalid_request', why, {
    hint: `put one in front, as in ${only}/${/^[\w.:-]{1,80}$/.test(name) ? name : 'MODEL'}; there are ${[only, ...others].slice(0, 20).join(', ')}`,
  })
}

function pathAt(name: string, key: KeyRecord | undefined, speaks: 'openai' | 'anthropic', path: string): string {
  const row = key === undefined ? findProvider(name) : routeOf(key).provider
  const prefix = speaks === 'openai' ? row?.compatiblePath : row?.messagesPath
  if (prefix !== undefined) return prefix + path
  const dialect = speaks === 'openai' ? "OpenAI's" : "Anthropic's"
  throw new SoakpError('endpoint_not_open', `${row?.title ?? name} has no API in ${dialect} dialect.`, {
    hint: `call it by its own path, below /${name}`,
  })
}

interface FoundModel {
  readonly name: string
  rename(model: string): Pick<UnifiedCall, 'body'>
}

const modelPointer = compilePointers(['/model'])
const missing = () => new SoakpError('invalid_request', 'The body names no model.')

function modelInJson(body: Buffer): FoundModel {
  const scan = scanJson(body, modelPointer)
  if (!scan.ok)
    throw new SoakpError(
      scan.fault === 'ambiguous' ? 'ambiguous_body' : 'invalid_body',
      scan.fault === 'invalid' ? 'It is no JSON.' : undefined,
    )
  const [found] = scan.found
  if (!found || typeof found.value !== 'string' || found.value === '') throw missing()
  return { name: found.value, rename: model => ({ body: spliced(body, found, JSON.stringify(model)) }) }
}

function modelInForm(contentType: string, body: Buffer): FoundModel {
  const scan = createFormScan(contentType, new Set(['model']))
  const early = scan.feed(body)
  const { fault = early, values, spans } = scan.end()
  if (fault !== undefined)
    throw new SoakpError(fault === 'ambiguous' ? 'ambiguous_body' : 'invalid_body', fault === 'ambiguous' ? undefined : `${fault}.`)
  const [name] = values
  const [span] = spans
  if (!name || !span) throw missing()
  // a line break would make a part of its own
  return { name, rename: model => ({ body: spliced(body, span, model.replace(/[\r\n]/g, '')) }) }
}

function spliced(body: Buffer, { start, end }: { readonly start: number; readonly end: number }, text: string): Buffer {
  return Buffer.concat([body.subarray(0, start), Buffer.from(text), body.subarray(end)])
}

/** The grant's rules for this call: an alias that they name opens the model it stands for, whatever that is at the moment. */
export function rulesFor({ unified }: Exchange, rules: Rules): Rules {
  if (unified?.alias === undefined || !rules.limitsModels || !rules.allowsModel(unified.alias)) return rules
  const { model } = unified
  return { ...rules, allowsModel: name => name === model || rules.allowsModel(name) }
}
