import { SoakpError } from '../../errors.js'
import { claimsBody, endedAnswer, infoAnswer, infoBody, tokenAnswer, tokenBody } from '../auth/answers.js'
import { authBodyBytes, bodyOf, openToPages, readForms } from '../auth/plugin.js'
import { createWho } from '../auth/who.js'
import type { Routes } from './index.js'

/** What the holder of an access token may ask about it: is it alive, what does it open, a new one, its end. */
export const authSessionRoutes: Routes = (app, { soakp, addressOf, allowsOrigin, now }) => {
  const who = createWho({ soakp, addressOf })
  app.register(async scope => {
    readForms(scope)
    openToPages(scope, ['/auth/logout', '/auth/verify', '/auth/token-info', '/auth/refresh'], allowsOrigin)

    scope.get('/auth/verify', { schema: { response: infoAnswer } }, async request => claimsBody(await who.holder(request.raw)))

    scope.get('/auth/token-info', { schema: { response: infoAnswer } }, async request => {
      const live = await who.holder(request.raw).catch((error: unknown) => {
        // it was sent, and it is not alive: that is the answer
        if (error instanceof SoakpError && error.status === 401 && error.code !== 'token_missing') return undefined
        throw error
      })
      return live ? infoBody(live, soakp.limits.look(live.record)) : { active: false }
    })

    scope.post('/auth/refresh', { bodyLimit: authBodyBytes, schema: { response: tokenAnswer } }, async request =>
      tokenBody(await soakp.users.refresh(await who.holder(request.raw)), now()),
    )

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

function isAppCredential(authorization: string | undefined): boolean {
  return /^(?:Basic|Bearer +app_)/i.test(authorization ?? '')
}
