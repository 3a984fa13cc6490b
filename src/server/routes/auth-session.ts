import { type ErrorCode, SoakpError } from '../../errors.js'
import { claimsBody, endedAnswer, infoAnswer, infoBody, tokenAnswer, tokenBody } from '../auth/answers.js'
import { authBodyBytes, bodyOf, openToPages, readForms, tellNonce } from '../auth/plugin.js'
import { createWho } from '../auth/who.js'
import type { Routes } from './index.js'

/** What the holder of an access token may ask about it: is it alive, what does it open, a new one, its end. */
export const authSessionRoutes: Routes = (app, { soakp, addressOf, publicUrl, allowsOrigin, now }) => {
  const who = createWho({ soakp, addressOf, publicUrl })
  app.register(async scope => {
    readForms(scope)
    openToPages(scope, ['/auth/logout', '/auth/verify', '/auth/token-info', '/auth/refresh', '/auth/nonce'], allowsOrigin)
    tellNonce(scope, () => soakp.proofs.nonce())

    scope.get('/auth/nonce', async (_request, reply) => {
      reply.header('dpop-nonce', soakp.proofs.nonce()).code(204)
    })

    scope.get('/auth/verify', { schema: { response: infoAnswer } }, async request => claimsBody(await who.holder(request.raw)))

    scope.get('/auth/token-info', { schema: { response: infoAnswer } }, async request => {
      const live = await who.holder(request.raw).catch((error: unknown) => {
        // it was sent, and it is not alive: that is the answer
        if (error instanceof SoakpError && error.status === 401 && !stillAsking.has(error.code)) return undefined
        throw error
      })
      return live ? infoBody(live, soakp.limits.look(live.record, await soakp.policy.limits(live.record.tenant))) : { active: false }
    })

    scope.post('/auth/refresh', { bodyLimit: authBodyBytes, schema: { response: tokenAnswer } }, async request => {
      const { live, thumbprint } = await who.exchanger(request.raw)
      if (live.record.app) return tokenBody(await soakp.users.refresh(live, thumbprint), now())
      const { grant, token, expiresAtMs } = await soakp.access.bind(live, thumbprint)
      const subject = grant.subject ?? grant.id
      return tokenBody({ token, grantId: grant.id, subject, expiresAtMs, sessionEndsAtMs: undefined, thumbprint }, now())
    })

    scope.post('/auth/logout', { bodyLimit: authBodyBytes, schema: { response: endedAnswer } }, async request => {
      const body = bodyOf(request)
      if (isAppCredential(request.headers.authorization)) {
        const app = await who.app(request.raw)
        if (typeof body.userId !== 'string') throw new SoakpError('invalid_request', 'userId says whose access tokens are to end.')
        return { ended: await soakp.users.logout(app, body.userId) }
      }
      await soakp.access.logout(await who.holder(request.raw), body.all === true || body.all === 'true')
      return { ended: true }
    })
  })
}

/** These say that something is missing from the question, not that the token is dead. */
const stillAsking: ReadonlySet<ErrorCode> = new Set(['token_missing', 'dpop_missing', 'dpop_invalid', 'dpop_nonce_needed'])

function isAppCredential(authorization: string | undefined): boolean {
  return /^(?:Basic|Bearer +app_)/i.test(authorization ?? '')
}
