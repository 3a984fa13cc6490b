import { type Route, routeOf } from './authorize.js'
import type { Request } from './call.js'
import type { Exchange } from './exchange.js'
import type { ReplyHead } from './headers.js'
import type { Meter } from './meter/meter.js'

/** One place of the provider and what stands for it here. */
interface Mount {
  /** Scheme, host, port and path prefix at the provider, without a closing slash. */
  readonly there: string
  readonly here: string
}

/** Rewrites absolute URLs of a provider to ours. */
interface Rewriter {
  /** The same URL here; undefined for one that is not the provider's. */
  url(text: string): string | undefined
  /** A JSON document with the named members rewritten; nothing else in it changes. */
  json(body: Buffer): Buffer
}

/**
 * Where the client reaches us: by the public URL if it named that host, else by the host it named. Only the client itself reads what is made of this, so its own word
 * for it is enough.
 */
function baseUrlOf(request: Request, publicUrl: string | undefined): string {
  const host = 'authority' in request && request.authority ? request.authority : (request.headers.host ?? '')
  if (publicUrl !== undefined && new URL(publicUrl).host === host) return publicUrl.replace(/\/+$/, '')
  const secure = Reflect.get(request.socket, 'encrypted') === true || request.headers['x-forwarded-proto'] === 'https'
  return `${secure ? 'https' : 'http'}://${host}`
}

/** `base` is ours, without a closing slash and without the provider's name. */
function createRewriter(route: Route, base: string): Rewriter {
  const { provider, origin, prefix } = route
  const own = `${base}/${provider.id}`
  const mounts: Mount[] = [
    { there: origin + prefix, here: own },
    { there: provider.origin, here: own },
    ...(provider.hosts ?? []).map(host => ({ there: host.origin, here: host.strips ? own + host.prefix : own })),
  ]

  function url(text: string): string | undefined {
    const mount = mounts.find(({ there }) => text.startsWith(there) && /^(?:[/?#]|$)/.test(text.slice(there.length)))
    return mount && mount.here + text.slice(mount.there.length)
  }

  const members = (provider.calledNext?.members ?? []).join('|')
  // a name within a string has its closing quote escaped, so it is not met here
  const places = members === '' ? undefined : new RegExp(`("(?:${members})"\\s*:\\s*")(https?:[^"\\s]*)(?=")`, 'g')
  return {
    url,
    json(body) {
      if (places === undefined) return body
      // Latin-1 keeps every byte as it is
      const text = body.toString('latin1')
      const changed = text.replace(places, (whole, before: string, found: string) => {
        const rewritten = url(found.replaceAll('\\/', '/'))
        return rewritten === undefined ? whole : before + rewritten
      })
      return changed === text ? body : Buffer.from(changed, 'latin1')
    },
  }
}

const mostBytes = 4 * 1024 * 1024

/** Points what the client must call next at us: headers at once, and the body by the meter that comes back where there is something to look for in it. */
export function rewriteReply(exchange: Exchange, { headers, contentType, contentEncoding }: ReplyHead, meter: Meter): Meter | undefined {
  const { call, key, provider } = exchange
  if (!key || !provider?.calledNext) return undefined
  const rewriter = createRewriter(routeOf(key), baseUrlOf(call.request, call.publicUrl))
  for (let at = headers.length - 2; at >= 0; at -= 2) {
    if (!provider.calledNext.headers.includes(headers[at] as string)) continue
    const ours = rewriter.url(headers[at + 1] as string)
    if (ours === undefined) headers.splice(at, 2)
    else headers[at + 1] = ours
  }
  const readable = contentEncoding === undefined || contentEncoding === 'identity'
  const looksInto = provider.calledNext.members.length > 0 && readable && contentType.startsWith('application/json')
  return looksInto && call.request.method !== 'HEAD' ? rewritingMeter(meter, rewriter) : undefined
}

/** A meter that holds a JSON document back until its end, to rewrite the URLs in it. One larger than 4 MB goes on unchanged. */
function rewritingMeter(meter: Meter, rewriter: Rewriter): Meter {
  let held: Buffer[] | undefined = []
  let size = 0
  return {
    feed(chunk) {
      meter.feed(chunk)
      if (held === undefined) return chunk
      held.push(chunk)
      size += chunk.length
      if (size <= mostBytes) return undefined
      const all = held
      held = undefined
      return all
    },
    end() {
      const metered = meter.end()
      return held === undefined || size === 0 ? metered : { ...metered, tail: rewriter.json(Buffer.concat(held, size)) }
    },
  }
}
