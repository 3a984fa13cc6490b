import type { IncomingMessage } from 'node:http'
import type { LiveGrant } from '../../access/access.js'
import { readBasic, readCredential, type ShownCredential } from '../../access/app-credential.js'
import { rulesOf } from '../../access/rules.js'
import { type ErrorCode, SoakpError } from '../../errors.js'
import { looksLikeProviderKey } from '../../providers/index.js'
import type { Request } from '../../relay/call.js'
import type { Soakp } from '../../soakp.js'
import type { AppRecord } from '../../stores/records.js'

export interface WhoDeps {
  readonly soakp: Pick<Soakp, 'access' | 'apps' | 'guessing'>
  readonly addressOf: (request: Request) => string
}

/** Finds out who asks, with what is wrong counted against the address and, where it is about an app, against the app's id. */
export interface Who {
  /** An app's backend. Throws `credential_in_page`, `app_credential_missing`, `app_credential_invalid`, `app_revoked`, `too_many_failures`. */
  app(request: IncomingMessage): Promise<AppRecord>
  /** The holder of an access token. Throws as `Access.authenticate`, `token_missing`, `origin_not_allowed`, `address_not_allowed`. */
  holder(request: IncomingMessage): Promise<LiveGrant>
  /** Runs what may find that a token or credential is bad. */
  counted<T>(request: IncomingMessage, id: string | undefined, work: () => Promise<T>): Promise<T>
}

/** Each of these costs the one who sent it a bit of his budget. */
const bad: ReadonlySet<ErrorCode> = new Set([
  'token_missing',
  'token_invalid',
  'token_expired',
  'token_revoked',
  'app_credential_missing',
  'app_credential_invalid',
  'app_revoked',
  'issuer_token_refused',
])

export function createWho({ soakp, addressOf }: WhoDeps): Who {
  const { access, apps, guessing } = soakp

  /** A right credential is never refused for what others tried: only those who fail learn that they fail too often. */
  async function counted<T>(request: IncomingMessage, id: string | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof SoakpError) || !bad.has(error.code)) throw error
      const who = [addressOf(request), ...(id === undefined ? [] : [id])]
      const waitMs = Math.max(...who.map(name => guessing.blockedForMs(name)))
      for (const name of who) guessing.failed(name)
      if (waitMs > 0) throw new SoakpError('too_many_failures', undefined, { retryAfterSeconds: Math.ceil(waitMs / 1000) })
      throw error
    }
  }

  return {
    counted,

    async app(request) {
      const { origin, authorization } = request.headers
      if (origin !== undefined) throw new SoakpError('credential_in_page')
      const shown = shownCredential(authorization)
      return counted(request, shown?.id, async () => {
        if (authorization === undefined) throw new SoakpError('app_credential_missing')
        return apps.authenticate(shown)
      })
    },

    async holder(request) {
      const token = bearerOf(request.headers.authorization)
      const address = addressOf(request)
      const live = await counted(request, undefined, async () => {
        if (token === undefined) throw new SoakpError('token_missing')
        if (looksLikeProviderKey(token)) throw new SoakpError('real_key_sent')
        return access.authenticate(token, address)
      })
      const rules = rulesOf(live.record)
      const { origin } = request.headers
      if (!rules.allowsAddress(address)) throw new SoakpError('address_not_allowed')
      if (origin !== undefined && rules.limitsOrigins && !rules.allowsOrigin(origin)) throw new SoakpError('origin_not_allowed')
      return live
    },
  }
}

function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
}

/** `Bearer app_…`, or Basic with the app's id and its credential. */
function shownCredential(authorization: string | undefined): ShownCredential | undefined {
  const bearer = bearerOf(authorization)
  if (bearer !== undefined) return readCredential(bearer)
  const [, encoded] = /^Basic +([A-Za-z0-9+/_=-]{1,512}) *$/i.exec(authorization ?? '') ?? []
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon === -1 ? undefined : readBasic(text.slice(0, colon), text.slice(colon + 1))
}
