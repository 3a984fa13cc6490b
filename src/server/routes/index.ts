import type { FastifyInstance } from 'fastify'
import type { Request } from '../../relay/call.js'
import type { Soakp } from '../../soakp.js'
import type { OriginRule } from '../preflight.js'
import { authExchangeRoutes } from './auth-exchange.js'
import { authSessionRoutes } from './auth-session.js'
import { authTokenRoutes } from './auth-token.js'
import { healthRoutes } from './health.js'
import { jwksRoutes } from './jwks.js'

/** What routes are made from. */
export interface RouteContext {
  readonly soakp: Pick<
    Soakp,
    'store' | 'outage' | 'ledger' | 'tally' | 'access' | 'apps' | 'users' | 'issuers' | 'policy' | 'limits' | 'guessing' | 'proofs'
  >
  /** Of the client. */
  readonly addressOf: (request: Request) => string
  /** Where clients are told to reach us, if that is set. */
  readonly publicUrl: string | undefined
  /** Whether pages of an origin may call. */
  readonly allowsOrigin: OriginRule
  readonly now: () => number
  /** Whether new work is taken: not while the daemon is about to end. */
  readonly isDraining: () => boolean
}

export type Routes = (app: FastifyInstance, context: RouteContext) => void

/** Every route but the relay's, which needs no router. */
export const routes: readonly Routes[] = [healthRoutes, jwksRoutes, authTokenRoutes, authSessionRoutes, authExchangeRoutes]
