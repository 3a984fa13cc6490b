import type { Vouched } from '../../access/issuer-token.js'
import { SoakpError } from '../../errors.js'
import type { AppRecord } from '../../stores/records.js'
import { exchangeBody, tokenAnswer, tokenBody } from '../auth/answers.js'
import { authBodyBytes, bodyOf, openToPages, readForms, tellNonce } from '../auth/plugin.js'
import { createWho } from '../auth/who.js'
import type { Routes } from './index.js'

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const typeName = (kind: string) => `urn:ietf:params:oauth:token-type:${kind}`
const subjectTypes: ReadonlySet<unknown> = new Set([typeName('jwt'), typeName('id_token'), typeName('access_token')])
/** What is handed out is both. */
const issuedTypes: ReadonlySet<unknown> = new Set([undefined, typeName('access_token'), typeName('jwt')])
/** Of RFC 8693 what would ask for something that is not done is refused rather than ignored. */
const unserved = ['actor_token', 'actor_token_type']

/** `/auth/exchange`: a JWT of a trusted issuer for an access token, from a page or an app without a backend. As JSON `{"token"}`, or as RFC 8693 has it. */
export const authExchangeRoutes: Routes = (app, { soakp, addressOf, publicUrl, allowsOrigin, now }) => {
  const who = createWho({ soakp, addressOf, publicUrl })
  app.register(async scope => {
    readForms(scope)
    openToPages(scope, ['/auth/exchange'], allowsOrigin)
    tellNonce(scope, () => soakp.proofs.nonce())

    scope.post('/auth/exchange', { bodyLimit: authBodyBytes, schema: { response: tokenAnswer } }, async request => {
      const body = bodyOf(request)
      const isRfc = body.grant_type !== undefined
      const token = isRfc ? subjectToken(body) : body.token
      if (typeof token !== 'string' || token === '') throw new SoakpError('invalid_request', 'token is to hold the JWT of the issuer.')
      const issued = await who.counted(request.raw, undefined, async () => {
        const vouched = await soakp.issuers.verify(token, addressOf(request.raw))
        const template = await soakp.policy.app(vouched.issuer.app)
        if (!template) throw new SoakpError('issuer_token_refused', 'The app of this issuer is gone.')
        checkOrigin(template, request.headers.origin)
        const thumbprint = await who.keyOf(request.raw)
        checkKey(template, vouched, thumbprint)
        if (vouched.issuer.once && !(await soakp.users.spend(vouched.id, vouched.expiresAtMs + spentSlackMs)))
          throw new SoakpError('issuer_token_refused', 'It has been exchanged already.')
        return soakp.users.issue(template, { user: vouched.user, issuer: vouched.issuer, thumbprint, refreshable: false })
      })
      return isRfc ? exchangeBody(issued, now()) : tokenBody(issued, now())
    })
  })
}

/** Longer than any tolerance by which an expired one would still be taken. */
const spentSlackMs = 600_000

function subjectToken(body: Record<string, unknown>): unknown {
  if (body.grant_type !== grantType) throw new SoakpError('invalid_request', `grant_type is to be ${grantType}.`)
  if (!subjectTypes.has(body.subject_token_type))
    throw new SoakpError('invalid_request', `subject_token_type is one of ${[...subjectTypes].join(', ')}.`)
  const other = unserved.find(name => body[name] !== undefined)
  if (other !== undefined) throw new SoakpError('invalid_request', `${other} is not served here.`)
  if (!issuedTypes.has(body.requested_token_type))
    throw new SoakpError('invalid_request', `Nothing but ${typeName('access_token')} is handed out here.`)
  return body.subject_token
}

/** Before the issuer's token is spent. One that is bound to a key is exchanged by who holds that key. */
function checkKey({ dpop }: AppRecord, { thumbprint: bound }: Vouched, shown: string | undefined): void {
  if (shown === undefined && (dpop || bound !== undefined)) throw new SoakpError('dpop_missing')
  if (bound !== undefined && bound !== shown) throw new SoakpError('dpop_invalid', 'It is of another key than the token of the issuer.')
}

/** The token would be refused without it at the relay, too: better told here. */
function checkOrigin({ origins }: AppRecord, origin: string | undefined): void {
  if (origins.length > 0 && !(origin !== undefined && origins.includes(origin))) throw new SoakpError('origin_not_allowed')
}
