import { isIP } from 'node:net'
import { isAbsolute, resolve } from 'node:path'
import { parseDuration } from '../lib/duration.js'
import { parseRate } from '../lib/rate.js'
import { Secret } from '../lib/secret.js'

/** Why a text is no value of its type, as the end of a sentence that begins with the setting's name. Never quotes the text. */
export class Refusal extends Error {}

/** How the text of a setting becomes its value. `parse` throws `Refusal`. */
export interface SettingType<T> {
  /** What to write, for the docs: `30s`, `address or name`. */
  readonly form: string
  /** `base` is the folder that a relative path is relative to. */
  parse(text: string, base: string): T
}

const type = <T>(form: string, parse: (text: string, base: string) => T): SettingType<T> => ({ form, parse })

function refuse(why: string): never {
  throw new Refusal(why)
}

/** A last label of digits alone makes an address of it, and another one than was meant: `8.8.8` is `8.8.0.8`. */
const hostName = /^(?=.{1,253}$)(?!(?:.*\.)?\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i

export const host = type('address or host name', text =>
  isIP(text) !== 0 || hostName.test(text) ? text : refuse('is neither an IP address nor a host name'),
)

export const port = type('port', text =>
  /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : refuse('is no port: 0 to 65535'),
)

export const flag = type('true or false', text =>
  text === 'true' || text === 'false' ? text === 'true' : refuse('is neither true nor false'),
)

export const count = type('number', text => (/^[1-9]\d{0,8}$/.test(text) ? Number(text) : refuse('is no whole number above zero')))

export const duration = type(
  'duration such as 30s, 15m, 24h, 30d',
  text => parseDuration(text) || refuse('is no duration such as 30s, 15m, 24h or 30d'),
)

/** How long to keep what is needed for a day at least. */
export const keepingTime = type('duration such as 30d, 48h; at least 1d', text => {
  const ms = duration.parse(text, '')
  return ms >= 86_400_000 ? ms : refuse('is shorter than 1d')
})

/** A timer that is set to more than 2^31 - 1 milliseconds, a little under 25 days, goes off at once. */
const longestWaitMs = 24 * 86_400_000

export const wait = type('duration such as 30s, 15m, 24h; at most 24d', text => {
  const ms = duration.parse(text, '')
  return ms <= longestWaitMs ? ms : refuse('is longer than 24d')
})

/** Kept as written: who counts parses it. */
export const rate = type('rate such as 60/m; per s, m, h or d', text => (parseRate(text) ? text : refuse('is no rate such as 60/m')))

/**
 * A DNS server: an address or a name, with or without a port; an IPv6 address with a port in brackets. A bare word is no server but a slip (`none`, `NaN`), so a name without
 * a dot needs its port.
 */
export const dnsServer = type('HOST or HOST:PORT', text => {
  if (isIP(text) !== 0) return text
  const [, bracketed, name = '', digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const isName = hostName.test(name) && (digits !== undefined || name.includes('.') || name === 'localhost')
  const good = bracketed === undefined ? isIP(name) !== 0 || isName : isIP(bracketed) === 6
  const port = Number(digits ?? '53')
  return good && port > 0 && port <= 65_535
    ? text
    : refuse('holds something that is neither an address nor HOST:PORT; a name without a dot needs its port')
})

/** An address or a name and a port; an IPv6 address in brackets. */
export const listenAddress = type('HOST:PORT', text => {
  const [, bracketed, name, digits = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const to = bracketed ?? name ?? ''
  const good = bracketed === undefined ? isIP(to) === 4 || hostName.test(to) : isIP(to) === 6
  if (!good || Number(digits) > 65_535) return refuse('is not HOST:PORT such as 127.0.0.1:9464 or [::1]:9464')
  return Object.freeze({ host: to, port: Number(digits) })
})

const byteUnits = { '': 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 } as const

export const bytes = type('size such as 512kb, 32mb, 1gb', text => {
  const [, digits, unit = ''] = /^([1-9]\d{0,9})(kb|mb|gb)?$/i.exec(text) ?? []
  if (digits === undefined) return refuse('is no size such as 512kb or 32mb')
  return Number(digits) * byteUnits[unit.toLowerCase() as keyof typeof byteUnits]
})

/** A `~` is a shell's business: one that arrives here was not expanded, and would make a folder of that name. */
export const path = type('path', (text, base) =>
  text.startsWith('~') ? refuse('begins with ~, which is not expanded here') : isAbsolute(text) ? text : resolve(base, text),
)

export function oneOf<const T extends string>(...choices: readonly T[]): SettingType<T> {
  return type(choices.join(', '), text => choices.find(choice => choice === text) ?? refuse(`is none of ${choices.join(', ')}`))
}

export function listOf<T>(item: SettingType<T>): SettingType<readonly T[]> {
  return type(`${item.form}; several with commas between`, (text, base) =>
    Object.freeze(
      text
        .split(',')
        .map(part => part.trim())
        .filter(part => part !== '')
        .map(part => item.parse(part, base)),
    ),
  )
}

export const cidr = type('address or CIDR block', text => {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  const good =
    family !== 0 && rest.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)))
  return good ? text : refuse('holds something that is neither an IP address nor a CIDR block')
})

function webUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : refuse('is no URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return refuse('is no http or https URL')
  if (url.username !== '' || url.password !== '') return refuse('holds a user name or password')
  return url.pathname === '/' && url.search === '' && url.hash === '' ? url : refuse('holds more than scheme, host and port')
}

/** Without a trailing slash, as browsers write origins. */
export const origin = type('URL without a path, such as https://soakp.example.com', text => webUrl(text).origin)

/** An API's address: it may have a path, which never ends with a slash. */
export const apiUrl = type('URL such as http://127.0.0.1:8080/api', text => {
  const url = URL.canParse(text) ? new URL(text) : refuse('is no URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return refuse('is no http or https URL')
  if (url.username !== '' || url.password !== '') return refuse('holds a user name or password')
  return url.search === '' && url.hash === ''
    ? `${url.origin}${url.pathname}`.replace(/\/+$/, '')
    : refuse('holds more than an address and a path')
})

/** Desktop and mobile shells have schemes of their own (`capacitor://localhost`), of which `URL` makes no origin. */
const shellOrigin = /^(?!https?:)[a-z][a-z0-9+.-]*:\/\/[^/?#\s@]+$/

export const webOrigin = type('origin such as https://app.example.com, or *', text =>
  text === '*' || shellOrigin.test(text) ? text : webUrl(text).origin,
)

/** Only its form is looked at: which schemes there are, the stores know. */
export const storeUrl = type('SCHEME:LOCATION', text =>
  /^[a-z][a-z0-9-]*:/.test(text) ? text : refuse('does not begin with a scheme such as sqlite:'),
)

/** The text as it was written; what must be in it, its reader knows. */
export const secret = type('secret', text => new Secret(text))
