import { join } from 'node:path'
import { type Authority, authorityOf } from '../../../src/tls/acme/authorities.js'
import type { Solver } from '../../../src/tls/acme/challenge.js'
import { type AuthorityChoice, type CertificateRequest, type EngineDeps, type Obtained, obtain } from '../../../src/tls/acme/obtain.js'
import { makeTransport, type TransportOptions } from '../../../src/tls/acme/transport.js'
import type { AcmeBed } from './index.js'
import { nsupdateSolver } from './solver.js'

/** The engine on a bed, with what a test has to say left out where it does not matter. */
export interface Engine {
  readonly deps: EngineDeps
  readonly certsDir: string
  /** Everything it told. */
  readonly told: string[]
  readonly authority: Authority
  obtain(
    request?: Partial<CertificateRequest>,
    more?: { readonly solver?: Solver; readonly choices?: readonly AuthorityChoice[] },
  ): Promise<Obtained>
}

export interface EngineOptions {
  readonly directoryUrl?: string
  readonly certsDir?: string
  readonly signal?: AbortSignal
  readonly transport?: TransportOptions
  readonly maxWaitMs?: number
  readonly caa?: EngineDeps['caa']
  readonly now?: () => number
}

let count = 0

interface Teardown {
  teardown(handler: () => unknown): unknown
}

/** With a home of its own, at the proxy unless told. */
export function makeEngine(t: Teardown, bed: AcmeBed, options: EngineOptions = {}): Engine {
  const told: string[] = []
  const certsDir = options.certsDir ?? join(bed.folder, `certs-${++count}`)
  const authority = authorityOf(options.directoryUrl ?? bed.proxy.directoryUrl)
  const transport = makeTransport({ acmeCaFile: bed.caFile, ...options.transport })
  t.teardown(() => transport.close())
  const run = {
    now: options.now ?? Date.now,
    signal: options.signal ?? new AbortController().signal,
    tell: (line: string) => void told.push(line),
    ...(options.maxWaitMs === undefined ? {} : { maxWaitMs: options.maxWaitMs }),
  }
  const deps: EngineDeps = { certsDir, transport, run, ...(options.caa === undefined ? {} : { caa: options.caa }) }
  return {
    deps,
    certsDir,
    told,
    authority,
    obtain(request = {}, more = {}) {
      const choices = more.choices ?? [{ authority, account: { agreesToTerms: true } }]
      const whole: CertificateRequest = { name: 'test', names: ['a.example.test'], keyType: 'p256', ...request }
      return obtain(deps, choices, whole, more.solver ?? nsupdateSolver(bed.bind))
    },
  }
}
