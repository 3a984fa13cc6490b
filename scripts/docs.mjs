// Pages made from the tables of the program: settings, errors, commands, providers. `npm run docs` writes them; a test fails when one is stale.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { prune } from './prepare.mjs'
import { authText, providerSection, sdks } from './provider-docs.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const compiled = name => import(pathToFileURL(join(root, 'dist/src', name)).href)

/** Every generated page by its path in the repository. Needs a build. */
export async function pages() {
  return new Map([
    ['docs/configuration.md', await configuration()],
    ['.env.example', await envExample()],
    ['docs/errors.md', await errorsPage()],
    ['docs/cli.md', await cliPage()],
    ['docs/providers.md', await providersPage()],
    ['docs/trust.md', await trustPage()],
    ['docs/dns-providers.md', await dnsProvidersPage()],
  ])
}

const made = '<!-- Made by `npm run docs`; changes here are lost. -->'
const cell = text => String(text).replaceAll('|', '\\|')
const row = cells => `| ${cells.map(cell).join(' | ')} |`
const table = (head, rows) => [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')
const page = (title, ...parts) => `# ${title}\n\n${made}\n\n${parts.join('\n\n')}\n`

async function settings() {
  const { schema } = await compiled('config/schema.js')
  return Object.values(schema).map(({ env, type, byDefault, otherwise, what }) => ({ env, form: type.form, byDefault, otherwise, what }))
}

async function configuration() {
  const rows = (await settings()).map(({ env, form, byDefault, otherwise, what }) => [
    `\`${env}\``,
    form,
    byDefault ? `\`${byDefault}\`` : (otherwise ?? 'none'),
    what,
  ])
  return page(
    'Configuration',
    `A setting is taken from the command line where there is a flag for it, else from the environment, else from the file \`.env\` in the home, else it has its default.
An empty value counts as none. Everything is checked at start: all that is wrong is named at once, and a name that begins with \`SOAKP_\` and is no setting is refused.`,
    table(['name', 'written as', 'default', 'what it does'], rows),
    `## The file .env

\`.env\` lies in the home (\`~/.soakp\`, or where \`--home\` or \`SOAKP_HOME\` say) and belongs to its owner alone: \`chmod 600\`. Each line is \`NAME=value\`; a line that begins with \`#\` is a comment.
A value stands as it is, or whole between single or double quotes when it holds a blank, \`#\`, a quote or a backslash. Nothing is expanded. Relative paths in it are relative to the home.

[\`.env.example\`](../.env.example) lists every setting with its default.`,
    `## In Kubernetes

A service named \`soakp\` makes Kubernetes set variables such as \`SOAKP_PORT=tcp://…\` in every pod of its namespace, which are not settings and are refused. Set \`enableServiceLinks: false\` in the pod, or name the service otherwise.`,
  )
}

/** What `soakp init` writes, with nothing set. */
async function envExample() {
  const { settingsFile } = await compiled('config/settings-file.js')
  return `# Copy what you need to ~/.soakp/.env (chmod 600) and take the # away. Made by \`npm run docs\`; changes here are lost.\n${settingsFile({})}`
}

async function errorsPage() {
  const { errors } = await compiled('errors.js')
  const rows = Object.entries(errors).map(([code, { status, exit, text, retry }]) => [
    `\`${code}\``,
    status,
    exit,
    retry ? 'yes' : 'no',
    text,
  ])
  return page(
    'Errors',
    `Every error soakp raises on purpose has a code from this table. Over HTTP it comes with the status; on a relay route in the shape of the provider's own errors, with the code as its type or code,
elsewhere as \`application/problem+json\` (RFC 9457). On the command line the process ends with the exit code.
Where waiting cannot help, the reply carries \`x-should-retry: false\`.`,
    table(['code', 'status', 'exit', 'can waiting help', 'text'], rows),
  )
}

/** After sysexits(3). */
const exits = {
  0: 'done',
  1: 'failed, or not everything is in order',
  2: 'wrong usage',
  65: 'data is damaged, or refused for what it holds',
  66: 'something named does not exist',
  69: 'a service cannot be reached or used',
  70: 'a fault inside soakp',
  71: 'certificates are in order, but a hook failed',
  73: 'something exists already and is not overwritten',
  74: 'a file or disk cannot be read or written',
  75: 'not now; trying again later can help',
  77: 'not allowed',
  78: 'the configuration is wrong',
  130: 'interrupted',
}

async function cliPage() {
  const { createProgram } = await compiled('cli/program.js')
  const { errors } = await compiled('errors.js')
  const used = new Set([0, ...Object.values(errors).map(({ exit }) => exit)])
  const unexplained = [...used].filter(exit => !(exit in exits))
  if (unexplained.length > 0) throw new Error(`scripts/docs.mjs does not explain the exit codes ${unexplained.join(', ')}`)
  const nobody = new Proxy({}, { get: () => () => undefined })
  const program = createProgram(nobody, nobody)
  const help = everyCommand(program).map(({ command, name }) => {
    command.configureOutput({ getOutHelpWidth: () => 110, getOutHasColors: () => false })
    command.configureHelp({ helpWidth: 110, showGlobalOptions: command === program })
    return `## ${name}\n\n\`\`\`\n${command.helpInformation().trim()}\n\`\`\``
  })
  return page(
    'Commands',
    `\`--home\` and \`--json\` stand before or after any command. With \`--json\`, standard output holds one JSON document and nothing else. An error is one line on standard error, \`soakp: what went wrong\`, and a hint of what to do.
A key or token is read from a hidden prompt, from standard input or from an environment variable, never from the command line.`,
    ...help,
    `## Exit codes\n\n${table(
      ['code', 'meaning'],
      [...used].sort((a, b) => a - b).map(exit => [exit, exits[exit]]),
    )}\n\nWhich error ends with which code: [errors](errors.md).`,
  )
}

function everyCommand(command, before = '') {
  const name = `${before}${command.name()}`
  const visible = command.commands.filter(child => !child._hidden && child.name() !== 'help')
  return [{ command, name }, ...visible.flatMap(child => everyCommand(child, `${name} `))]
}

async function providersPage() {
  const { findProvider, providers } = await compiled('providers/index.js')
  const strays = Object.keys(sdks).filter(id => !findProvider(id))
  if (strays.length > 0) throw new Error(`scripts/provider-docs.mjs names SDKs of ${strays.join(', ')}, which are no providers`)
  const rows = providers.map(({ id, aliases = [], title, origin, baseUrl, dialect, auth: scheme, compatiblePath }) => [
    [id, ...aliases].map(name => `\`${name}\``).join(', '),
    title,
    baseUrl?.required ? `\`${baseUrl.example}\`, given with \`--base-url\`` : origin,
    dialect.name,
    authText(scheme),
    compatiblePath ? `\`/${id}${compatiblePath}\`` : '-',
  ])
  return page(
    'Providers',
    `\`/{name}\` stands for the provider's origin: what follows it is the provider's own path. Any other service is added with \`soakp key add NAME --base-url URL\`, with \`--auth\` and \`--dialect\` where it is not spoken to like OpenAI.`,
    table(['name', 'service', 'stands for', 'dialect', 'how its key travels', 'OpenAI-compatible at'], rows),
    `## Endpoints

A grant opens the *inference* endpoints of its providers by itself. What belongs to the whole account at the provider (*account*), hands out credentials (*credential*) or runs the account (*administration*) stays closed unless the grant names it with \`--endpoints\` (of an account, what is tracked: by the word \`account\`, for [what the grant itself makes](resources.md));
so does a path that is in no table, until a grant names it or is made with \`--endpoints '*'\`, which opens what is new but none of the three kinds above. \`*\` stands for one segment, \`**\` for the rest of the path; a path without a method stands for any.`,
    ...providers.map(provider => providerSection(provider, table)),
  )
}

async function dnsProvidersPage() {
  const { dnsProviders } = await compiled('tls/dns/index.js')
  const names = list => list.map(name => `\`${name}\``).join(', ')
  const overview = dnsProviders.map(({ id, title, aliases, capacity, byHand }) => [
    `[\`${id}\`](#${anchor(title)})`,
    title,
    aliases.length > 0 ? names(aliases) : '-',
    byHand ? 'a person each time' : { set: 'any number', two: 'the two newest', one: 'one' }[capacity],
  ])
  return page(
    'DNS providers',
    `Certificates for public names are proved by a TXT record, which soakp writes at your DNS provider, sees on every name server of the zone, and removes again. The variables have the names that lego, Traefik and Caddy use.

A value is taken from the environment, else from \`.env\` in the home, else from the vault. In place of any \`NAME\`, \`NAME_FILE\` may name a file that holds the value; a file that others than its owner can read is refused. Hidden values are never shown, logged or quoted in an error, however a provider spells them when it gives them back.

These belong to every provider, each with the provider's prefix, in seconds: \`PREFIX_TTL\`, \`PREFIX_PROPAGATION_TIMEOUT\` (how long a record may take until every name server shows it), \`PREFIX_POLLING_INTERVAL\` (how often to look) and \`PREFIX_HTTP_TIMEOUT\` (how long one request may take: 30).

## What is done, in order

1. CNAMEs of \`_acme-challenge.NAME\` are followed to where the record really has to be, and the zone and its name servers are found from there: asked of authoritative servers, so that no resolver remembers that there is nothing. A circle is an error that names every step.
2. All values of a zone go in one write where the provider can, beside whatever others have put at the same names. What will be written is noted in \`certs/dns-journal\` first; if the process dies, the next one removes it, and nothing else.
3. Every address of every name server that the zone or its parent names is asked, IPv4 and IPv6, until all that answer show the values. Those that do not answer are told. Then soakp waits \`SOAKP_DNS_SETTLE\` and lets the CA look.
4. Own values are removed, by name and value.

Where the name servers cannot be reached from here, \`SOAKP_DNS_PROPAGATION\` and \`SOAKP_DNS_RESOLVERS\` say whom to ask instead: see [configuration](configuration.md).`,
    table(['name', 'service', 'also called', 'values at one name'], overview),
    ...dnsProviders.map(dnsProviderOf),
  )
}

const anchor = title =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-')

function dnsProviderOf({ title, link, prefixes, settings, ttl, propagation, notes }) {
  const needed = ({ required, byDefault }) =>
    required === true ? 'needed' : required ? `one way: ${required}` : byDefault ? `\`${byDefault}\`` : 'optional'
  const rows = settings.map(setting => [
    [setting.name, ...(setting.aliases ?? [])].map(name => `\`${name}\``).join(' or '),
    needed(setting),
    setting.hidden ? 'yes' : 'no',
    setting.what,
  ])
  return [
    `## ${title}`,
    rows.length > 0 ? table(['variable', 'needed, or default', 'hidden', 'what it is'], rows) : 'It has no settings.',
    `Prefix ${prefixes.map(prefix => `\`${prefix}\``).join(' or ')}. TTL ${ttl.defaultSeconds} s${ttl.minSeconds > 0 ? `, at least ${ttl.minSeconds} s` : ''}. Seen within ${propagation.timeoutSeconds} s, looked at every ${propagation.intervalSeconds} s.`,
    ...(notes.length > 0 ? [notes.map(note => `- ${note.replaceAll('\n', '\n  ')}`).join('\n')] : []),
    `Documentation: <${link}>`,
  ].join('\n\n')
}

async function trustPage() {
  const { trustText } = await compiled('cli/view/trust.js')
  const caFile = '$HOME/.soakp/certs/local/ca.pem'
  return page(
    'Trusting the local CA',
    "`soakp init` makes a certificate authority for this machine alone: it may certify `localhost` and the machine's names, and nothing else. Its certificate is `certs/local/ca.pem` in the home. Where it is not known, clients refuse the connection, as they should.",
    `\`\`\`\n${trustText(caFile, caFile)}\n\`\`\``,
    '`soakp cert local` says the same with the path of your home.',
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  prune('src')
  for (const [path, text] of await pages()) {
    const file = join(root, path)
    if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    process.stdout.write(`wrote ${path}\n`)
  }
}
