import { SoakpError } from '../errors.js'
import { compileGlobs } from '../lib/glob.js'
import { compileBlocks, findBadBlock } from '../lib/ip.js'
import { providerId } from '../providers/index.js'
import type { EndpointClass } from '../providers/provider.js'
import type { GrantRecord } from '../stores/records.js'

/** What a call turned out to be, when it is held against a grant's rules. */
export interface EndpointFacts {
  /** The row's class, or `new` where no row matches. */
  readonly class: EndpointClass | 'new'
  /** The row's pattern; for `new`, nothing. */
  readonly rowPattern: string | undefined
  /** Of an account endpoint: it is known whose what it reaches is. */
  readonly tracked?: boolean
  readonly provider: string
  readonly method: string
  /** Every way the path can be read, relative to the provider's origin; usually one. */
  readonly readings: readonly string[]
}

/** A grant's rules, ready to be asked. */
export interface Rules {
  readonly limitsModels: boolean
  allowsModel(model: string): boolean
  allowsAddress(address: string): boolean
  readonly limitsOrigins: boolean
  allowsOrigin(origin: string): boolean
  /** Every inference endpoint is open. */
  readonly opensInference: boolean
  /** The grant reaches what others made at the provider as well as its own. */
  readonly reachesAll: boolean
  opens(endpoint: EndpointFacts): boolean
  /** The grant opens it by a pattern, and not only with all of its kind. */
  names(endpoint: EndpointFacts): boolean
  allowsProvider(provider: string): boolean
  allowsKey(keyId: string): boolean
}

const compiled = new WeakMap<GrantRecord, Rules>()

/** The rules of a record, compiled once for as long as the record is remembered. */
export function rulesOf(grant: GrantRecord): Rules {
  let rules = compiled.get(grant)
  if (!rules) {
    rules = compileRules(grant)
    compiled.set(grant, rules)
  }
  return rules
}

type RuleFields = Pick<GrantRecord, 'scope' | 'models' | 'narrowedTo' | 'endpoints' | 'origins' | 'addresses'>

function compileRules(grant: RuleFields): Rules {
  const { scope } = grant
  const origins = new Set(grant.origins)
  const providers = new Set(scope.kind === 'providers' ? scope.providers.map(providerId) : [])
  const isNamed = compilePatterns(grant.endpoints)
  return {
    limitsModels: grant.models.length > 0 || grant.narrowedTo !== undefined,
    allowsModel: compileModels(grant),
    allowsAddress: grant.addresses.length > 0 ? compileBlocks(grant.addresses) : () => true,
    limitsOrigins: origins.size > 0,
    allowsOrigin: origin => origins.has(origin),
    opensInference: opensInference(grant.endpoints),
    reachesAll: grant.endpoints.includes('all-resources'),
    opens: compileEndpoints(grant.endpoints, isNamed),
    names: isNamed,
    allowsProvider: provider => scope.kind !== 'providers' || providers.has(provider),
    allowsKey: keyId => scope.kind !== 'keys' || scope.keys.includes(keyId),
  }
}

function compileModels({ models, narrowedTo }: RuleFields): Rules['allowsModel'] {
  const allowed = models.length > 0 ? compileGlobs(models) : () => true
  if (narrowedTo === undefined) return allowed
  const wished = compileGlobs(narrowedTo)
  return model => allowed(model) && wished(model)
}

interface EndpointRule {
  readonly method: string
  readonly expression: RegExp
  /** Segments that are written out, by position; what a closed row writes out must stand here too. */
  readonly segments: readonly string[]
  readonly withProvider: boolean
}

function opensInference(texts: readonly string[]): boolean {
  return texts.length === 0 || texts.includes('*') || texts.includes('inference')
}

/** What stands for a class of endpoints, and `all-resources`, which opens none but lifts ownership off those that are open. */
const words: ReadonlySet<string> = new Set(['*', 'inference', 'account', 'all-resources'])

function compileEndpoints(texts: readonly string[], isNamed: Rules['names']): Rules['opens'] {
  const everything = texts.includes('*')
  const account = texts.includes('account')
  const all = texts.includes('all-resources')
  const inference = opensInference(texts)
  return endpoint => {
    if (endpoint.class === 'inference' && inference) return true
    if (endpoint.class === 'new' && everything) return true
    if (endpoint.class === 'account' && account && (all || endpoint.tracked)) return true
    return isNamed(endpoint)
  }
}

function compilePatterns(texts: readonly string[]): Rules['names'] {
  const rules = texts.filter(text => !words.has(text)).flatMap(parseEndpointRule)
  return endpoint => {
    if (rules.length === 0) return false
    const closed = endpoint.class !== 'inference' && endpoint.class !== 'new'
    // a path that can be read in several ways must be opened in each of them
    return endpoint.readings.every(reading =>
      rules.some(
        rule =>
          (rule.method === '*' || rule.method === endpoint.method) &&
          rule.expression.test(rule.withProvider ? `/${endpoint.provider}${reading}` : reading) &&
          (!closed || names(rule, endpoint)),
      ),
    )
  }
}

/** Whether the rule writes out every word that the closed row writes out: `/v1/**` does not name `/v1/files`. */
function names(rule: EndpointRule, endpoint: EndpointFacts): boolean {
  const row = (endpoint.rowPattern ?? '').split('/').slice(1)
  const own = rule.withProvider ? rule.segments.slice(1) : rule.segments
  return row.every((segment, at) => segment.includes('*') || segment.includes('{') || own[at]?.toLowerCase() === segment.toLowerCase())
}

/** `[METHOD ]/path`, as the client calls it with the provider in front, or relative to the provider. One text, two rules: which is meant shows at the call. */
function parseEndpointRule(text: string): EndpointRule[] {
  const [, method = '*', path = ''] = /^(?:([A-Z]+|\*) )?(\/.*)$/.exec(text) ?? []
  const segments = path.split('/').slice(1)
  const expression = new RegExp(`^${segments.map(segmentExpression).join('')}/?$`)
  return [
    { method, expression, segments, withProvider: true },
    { method, expression, segments, withProvider: false },
  ]
}

function segmentExpression(segment: string): string {
  if (segment === '**') return '(?:/.*)?'
  return `/${segment
    .split('*')
    .map(piece => piece.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    .join('[^/]*')}`
}

const lists = {
  models: {
    limit: 200,
    good: (text: string) => text.length > 0 && text.length <= 200 && !/\s/.test(text),
    form: "a model's name, in which * stands for anything",
  },
  endpoints: {
    limit: 100,
    good: (text: string) =>
      words.has(text) || (/^(?:(?:[A-Z]+|\*) )?\/[\x21-\x7e]*$/.test(text) && !text.includes('?') && !/\*{3}|\*\*[^/]|[^/]\*\*/.test(text)),
    form: "'inference', 'account', 'all-resources', '*' or '[METHOD ]/path', in which * stands for one segment and a segment ** for the rest",
  },
  origins: { limit: 100, good: isOrigin, form: 'a web origin such as https://app.example.com' },
  addresses: {
    limit: 200,
    good: (text: string) => findBadBlock([text]) === undefined,
    form: 'an address or CIDR block such as 203.0.113.0/24',
  },
} as const

/** Throws `usage` naming the first rule that cannot be meant. */
export function checkRules(rules: Partial<Pick<GrantRecord, keyof typeof lists>>): void {
  for (const [name, { limit, good, form }] of Object.entries(lists)) {
    const texts = rules[name as keyof typeof lists] ?? []
    if (texts.length > limit) throw new SoakpError('usage', `At most ${limit} ${name} fit into a grant.`)
    const bad = texts.find(text => !good(text))
    if (bad !== undefined) throw new SoakpError('usage', `${JSON.stringify(bad)} is not ${form}.`)
  }
}

/** As browsers send it (RFC 6454); desktop and mobile shells have schemes of their own: `capacitor://localhost`. */
function isOrigin(text: string): boolean {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#\s@]+$/.test(text)) return false
  if (!/^https?:/.test(text)) return true
  return URL.canParse(text) && new URL(text).origin === text
}
