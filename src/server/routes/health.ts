import { SoakpError } from '../../errors.js'
import { checkStore } from '../readiness.js'
import type { Routes } from './index.js'

const ok = {
  200: { type: 'object', properties: { status: { const: 'ok' } }, required: ['status'], additionalProperties: false },
} as const

/** `/healthz`: the process answers. `/readyz`: it could write a call down now. Neither says why not to a stranger; `soakp doctor` and the door for watchers do. */
export const healthRoutes: Routes = (app, { soakp, isDraining }) => {
  // asked by everything that watches the daemon, all of it often from one address
  const options = { schema: { response: ok }, config: { rateLimit: { max: 6_000, timeWindow: 60_000 } } }

  app.get('/healthz', options, async () => ({ status: 'ok' }))

  app.get('/readyz', options, async () => {
    if (isDraining()) throw new SoakpError('shutting_down')
    await checkStore(soakp)
    return { status: 'ok' }
  })
}
