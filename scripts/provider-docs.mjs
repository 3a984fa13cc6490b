// The page of providers: one section each, from their rows.

const daemon = 'https://localhost:3033'

/** SDKs that want another base URL than the OpenAI-compatible one: what to give them, behind the provider's name. Verified against the packages. */
export const sdks = {
  openai: [['/v1', '`openai`, `@ai-sdk/openai`, `@langchain/openai`']],
  anthropic: [
    ['', '`@anthropic-ai/sdk`, `@langchain/anthropic`'],
    ['/v1', '`@ai-sdk/anthropic`'],
  ],
  gemini: [
    ['', '`@google/genai`, `@langchain/google-genai`'],
    ['/v1beta', '`@ai-sdk/google`'],
  ],
  groq: [
    ['', '`groq-sdk`'],
    ['/openai/v1', '`@ai-sdk/groq`'],
  ],
  mistral: [
    ['', '`@mistralai/mistralai` (`serverURL`)'],
    ['/v1', '`@ai-sdk/mistral`'],
  ],
  deepseek: [['', '`@ai-sdk/deepseek`']],
  xai: [['/v1', '`@ai-sdk/xai`']],
  together: [['/v1', '`@ai-sdk/togetherai`']],
  fireworks: [['/inference/v1', '`@ai-sdk/fireworks`']],
  perplexity: [['', '`@ai-sdk/perplexity`']],
  cerebras: [['/v1', '`@ai-sdk/cerebras`']],
  cohere: [
    ['', '`cohere-ai` (`baseUrl`)'],
    ['/v2', '`@ai-sdk/cohere`'],
  ],
  elevenlabs: [['', '`@elevenlabs/elevenlabs-js` (`baseUrl`)']],
  'azure-openai': [
    ['', '`AzureOpenAI` of `openai` (`endpoint`)'],
    ['/openai', '`@ai-sdk/azure`'],
  ],
  brave: [['/res/v1', 'whatever speaks HTTP; the token as `X-Subscription-Token`']],
  deepl: [['', '`deepl-node` (`serverUrl`)']],
  bedrock: [['', '`@ai-sdk/amazon-bedrock`, with a Bedrock API key']],
}

const code = text => `\`${text}\``

export function authText(scheme) {
  switch (scheme.type) {
    case 'bearer':
    case 'basic':
      return `\`Authorization: ${scheme.type === 'basic' ? 'Basic' : 'Bearer'}\``
    case 'header':
      return scheme.word === undefined ? `\`${scheme.name}\`` : `\`${scheme.name}: ${scheme.word}\``
    case 'query':
      return `query \`${scheme.name}\``
    default:
      return 'not at all'
  }
}

/** A section about one provider. `table` makes a Markdown table of a head and rows. */
export function providerSection(provider, table) {
  const parts = [
    address(provider),
    bases(provider, table),
    checked(provider),
    metered(provider),
    ...endpoints(provider),
    webSockets(provider),
    unverified(provider),
  ]
  return [`### ${provider.title}`, ...parts.filter(part => part !== '')].join('\n\n')
}

function address({ id, aliases = [], origin, baseUrl, hosts = [], auth, authorize, serve }) {
  const names = [id, ...aliases].map(name => code(`/${name}`)).join(' and ')
  if (serve) return `${names} is answered inside soakp. Any key works that does not begin with \`bad\`.`
  const where = baseUrl?.required ? `what \`--base-url\` says: ${code(baseUrl.example)}` : origin
  const note = baseUrl ? ` ${baseUrl.required ? '' : `Elsewhere: \`--base-url ${baseUrl.example}\`. `}${baseUrl.note}` : ''
  const more = hosts.map(
    host => ` What begins with ${code(`/${id}${host.prefix}`)} goes to ${host.origin}${host.strips ? ', without that beginning' : ''}.`,
  )
  const travels = authorize ? `; one that signs calls, or is traded for tokens, does not travel at all` : ''
  return `${names} ${aliases.length > 0 ? 'stand' : 'stands'} for ${where}. Its key travels as ${authText(auth)}${travels}.${note}${more.join('')}`
}

/** Base URLs to put into SDKs. */
function bases({ id, compatiblePath, messagesPath }, table) {
  const rows = new Map()
  const add = (path, who) => rows.set(path, [...(rows.get(path) ?? []), who])
  for (const [path, who] of sdks[id] ?? []) add(path, who)
  if (compatiblePath !== undefined && id !== 'openai') add(compatiblePath, 'OpenAI SDKs')
  if (messagesPath !== undefined && id !== 'anthropic') add(messagesPath.replace(/\/v1$/, ''), 'Anthropic SDKs')
  if (rows.size === 0) return ''
  return table(
    ['base URL', 'for'],
    [...rows].map(([path, who]) => [code(`${daemon}/${id}${path}`), who.join(', ')]),
  )
}

function checked({ keyCheck, serve }) {
  if (serve) return ''
  if (!keyCheck) return 'No call tells whether a key works.'
  const empty = keyCheck.body === undefined ? '' : `, with the body ${code(keyCheck.body)}`
  return `A key is checked by ${code(`${keyCheck.method} ${keyCheck.path}`)}${empty}.`
}

const call = ({ method, pattern }) => code(method === '*' ? pattern : `${method} ${pattern}`)

function metered({ endpoints: rows }) {
  const open = rows.filter(row => row.class === 'inference')
  if (open.length === 0) return ''
  const names = some => [...new Set(some.map(row => call({ ...row, pattern: split(row.pattern).rest })))].join(', ')
  const tokens = open.filter(row => row.estimate || row.includeUsage)
  const characters = open.filter(row => row.countsText)
  const parts = [
    tokens.length > 0 ? `in model tokens ${names(tokens)}, estimated where a reply states none` : '',
    characters.length > 0 ? `in characters ${names(characters)}, unless the reply says otherwise` : '',
  ].filter(part => part !== '')
  return parts.length === 0 ? 'Metered by the call.' : `Metered ${parts.join('; ')}; all else by the call and by what its reply states.`
}

const kinds = [
  ['inference', 'Open'],
  ['tracked', 'Closed, as *account*; opened for what a grant itself makes ([how](resources.md))'],
  ['account', 'Closed, as *account*, and not tracked'],
  ['credential', 'Closed, as *credential*'],
  ['administration', 'Closed, as *administration*'],
]

/** A paragraph a class and prefix: the same calls under several versions are named once. */
function endpoints({ endpoints: rows }) {
  return kinds.flatMap(([kind, title]) => {
    const own = rows.filter(row =>
      kind === 'tracked' ? row.class === 'account' && row.owns : row.class === kind && !(kind === 'account' && row.owns),
    )
    return [...byPrefixes(own)].map(([prefixes, calls]) => `${title}${prefixes === '' ? '' : `, under ${prefixes}`}: ${calls.join(', ')}.`)
  })
}

const estimates = { tokens: 'in model tokens', audioSeconds: 'in seconds of audio' }

function webSockets({ id, sockets = [] }) {
  if (sockets.length === 0) return ''
  const rows = sockets.map(({ pattern, class: kind, estimates: unit, textPointers }) => {
    const metered = textPointers.length > 0 ? 'in characters sent' : (estimates[unit] ?? 'by the connection')
    return `${code(`/${id}${pattern}`)} (${kind === 'inference' ? 'open' : `closed, as *${kind}*`}; metered ${metered})`
  })
  return `[WebSockets](websockets.md): ${rows.join(', ')}.`
}

/** `/v1beta/openai/models` is `/models` under `/v1beta/openai`. */
function split(pattern) {
  const prefix = /^(?:\/[^/*{]+)*?\/v\d\w*(?:\/openai)?(?=\/)/.exec(pattern)?.[0] ?? ''
  return { prefix, rest: pattern.slice(prefix.length) }
}

function byPrefixes(rows) {
  const prefixesOf = new Map()
  for (const { method, pattern } of rows) {
    const { prefix, rest } = split(pattern)
    const name = call({ method, pattern: rest })
    prefixesOf.set(name, (prefixesOf.get(name) ?? new Set()).add(prefix === '' ? 'the root' : code(prefix)))
  }
  const groups = new Map()
  for (const [name, prefixes] of prefixesOf) {
    const key = [...prefixes].join(', ')
    const title = key === 'the root' ? '' : key
    groups.set(title, [...(groups.get(title) ?? []), name])
  }
  return groups
}

function unverified({ unverified: doubts = [] }) {
  return doubts.length === 0 ? '' : `**Not verified** against the provider's own pages: ${doubts.join('; ')}.`
}
