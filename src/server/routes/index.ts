import type { FastifyInstance } from 'fastify'
import type { Soakp } from '../../soakp.js'
import { healthRoutes } from './health.js'
import { jwksRoutes } from './jwks.js'

/** What routes are made from. */
export interface RouteContext {
  readonly soakp: Pick<Soakp, 'store' | 'access'>
  /** Whether new work is taken: not while the daemon is about to end. */
  readonly isDraining: () => boolean
}

export type Routes = (app: FastifyInstance, context: RouteContext) => void

/** Every route but the relay's, which needs no router. */
export const routes: readonly Routes[] = [healthRoutes, jwksRoutes]
