import type { IncomingMessage } from 'node:http'
import type { LiveGrant } from '../../access/access.js'
import { readBasic, readCredential, type ShownCredential } from '../../access/app-credential.js'
import { isProven, type Shown } from '../../access/dpop.js'
import { rulesOf } from '../../access/rules.js'
import { type ErrorCode, SoakpError } from '../../errors.js'
import { looksLikeProviderKey } from '../../providers/index.js'
import type { Request } from '../../relay/call.js'
import { provenRequest } from '../../relay/proven.js'
import type { Soakp } from '../../soakp.js'
import type { AppRecord } from '../../stores/records.js'

export interface WhoDeps {
  readonly soakp: Pick<Soakp, 'access' | 'apps' | 'guessing' | 'proofs'>
  readonly addressOf: (request: Request) => string
  readonly publicUrl: string | undefined
}

/** Finds out who asks, with what is wrong counted against the address and, where it is about an app, against the app's id. */
export interface Who {
  /** An app's backend. Throws `credential_in_page`, `app_credential_missing`, `app_credential_invalid`, `app_revoked`, `too_many_failures`. */
  app(request: IncomingMessage): Promise<AppRecord>
  /** The holder of an access token. Throws as `Access.authenticate`, as `Proofs.checkUse`, `token_missing`, `origin_not_allowed`, `address_not_allowed`. */
  holder(request: IncomingMessage): Promise<LiveGrant>
  /** The same who wants to exchange it, and the key that the next one is to be bound to. Throws as `holder` and `Proofs.checkExchange`. */
  exchanger(request: IncomingMessage): Promise<Exchanger>
  /** The key that a new token is to be bound to; undefined: none. Throws as `Proofs.claim`; to be counted by who asks. */
  keyOf(request: IncomingMessage): Promise<string | undefined>
  /** Runs what may find that a token or credential is bad. */
  counted<T>(request: IncomingMessage, id: string | undefined, work: () => Promise<T>): Promise<T>
}

export interface Exchanger {
  readonly live: LiveGrant
  readonly thumbprint: string | undefined
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
  'dpop_missing',
  'dpop_invalid',
])

export function createWho({ soakp, addressOf, publicUrl }: WhoDeps): Who {
  const { access, apps, guessing, proofs } = soakp

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

  async function held<T>(request: IncomingMessage, check: (live: LiveGrant, shown: Shown) => Promise<T>): Promise<T> {
    const address = addressOf(request)
    return counted(request, undefined, async () => {
      const shown = shownToken(request)
      if (shown === undefined) throw new SoakpError('token_missing')
      if (looksLikeProviderKey(shown.token)) throw new SoakpError('real_key_sent')
      const live = await access.authenticate(shown.token, address)
      const rules = rulesOf(live.record)
      const { origin } = request.headers
      if (!rules.allowsAddress(address)) throw new SoakpError('address_not_allowed')
      if (origin !== undefined && rules.limitsOrigins && !rules.allowsOrigin(origin)) throw new SoakpError('origin_not_allowed')
      return check(live, shown)
    })
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

    holder(request) {
      return held(request, async (live, shown) => {
        if (shown.asDpop || isProven(live)) proofs.checkUse(live, shown, provenRequest(request, publicUrl))
        return live
      })
    },

    exchanger(request) {
      return held(request, async (live, shown) => ({
        live,
        thumbprint: proofs.checkExchange(live, shown, provenRequest(request, publicUrl)),
      }))
    },

    async keyOf(request) {
      const proof = proofOf(request)
      return proof === undefined ? undefined : proofs.claim(proof, provenRequest(request, publicUrl))
    },
  }
}

function shownToken(request: IncomingMessage): Shown | undefined {
  const [, scheme = '', token] = /^(Bearer|DPoP) +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? []
  return token === undefined ? undefined : { token, asDpop: scheme.toLowerCase() === 'dpop', proof: proofOf(request) }
}

/** Several come as one that is none. */
function proofOf(request: IncomingMessage): string | undefined {
  const { dpop } = request.headers
  return Array.isArray(dpop) ? dpop.join(', ') : dpop
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
