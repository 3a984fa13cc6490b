import type { Logger } from 'pino'
import { errors } from '../../errors.js'
import { toSoakpError } from '../../relay/refuse.js'
import type { Soakp } from '../../soakp.js'
import type { Certificates } from '../../tls/certificates.js'
import { checkStore } from '../readiness.js'
import type { Shed } from '../shed.js'
import { type CertificateView, certificateFamilies, certificateViews } from './certificates.js'
import { type MetricsDoor, openMetricsDoor, type Page } from './door.js'
import { type Lag, watchLag } from './lag.js'
import { gauge, processFamilies } from './process.js'
import { contentType, exposition, type Family } from './text.js'
import { trafficFamilies } from './traffic.js'

export interface WatchersOptions {
  readonly soakp: Pick<Soakp, 'settings' | 'store' | 'outage' | 'ledger' | 'tally' | 'relay'>
  readonly at: { readonly host: string; readonly port: number }
  readonly shed: Pick<Shed, 'refusal'>
  readonly connections: () => number
  readonly certificates: Certificates | undefined
  readonly isOurName: (name: string) => boolean
  readonly log: Pick<Logger, 'error' | 'info' | 'debug'>
  readonly now: () => number
}

interface Sources extends WatchersOptions {
  readonly lag: Lag
  readonly views: () => readonly CertificateView[]
}

/** Opens the door for watchers: `/metrics`, `/readyz` with details, `/healthz`. */
export async function openWatchers(options: WatchersOptions): Promise<MetricsDoor> {
  const { soakp, certificates, now } = options
  const lag = watchLag()
  const sources = { ...options, lag, views: certificateViews({ home: soakp.settings.home, served: certificates }, now) }
  const pages = {
    '/healthz': async () => document(200, { status: 'ok' }),
    '/readyz': () => readyPage(sources),
    '/metrics': () => metricsPage(sources),
  }
  try {
    const door = await openMetricsDoor({ ...options, pages })
    return {
      ...door,
      close() {
        lag.close()
        return door.close()
      },
    }
  } catch (error) {
    lag.close()
    throw error
  }
}

async function metricsPage(sources: Sources): Promise<Page> {
  const { soakp, lag, views, log, now } = sources
  const parts: (() => Family[] | Promise<Family[]>)[] = [
    () => processFamilies(lag),
    () => houseFamilies(sources),
    () => trafficFamilies(soakp.tally),
    () => restFamilies(sources),
    () => certificateFamilies(views(), now()),
  ]
  const families: Family[] = []
  for (const part of parts) {
    try {
      families.push(...(await part()))
    } catch (error) {
      // the others are told all the same, just when something is wrong
      log.debug({ err: error }, 'a part of the metrics could not be read')
    }
  }
  return { status: 200, type: contentType, body: exposition(families) }
}

/** How the daemon stands at this moment. */
function houseFamilies({ soakp, shed, connections, now }: Sources): Family[] {
  const { relay, ledger, outage, tally } = soakp
  const { streams, sockets } = relay.underWay()
  const takesCalls = shed.refusal() === undefined && ledger.healthy
  return [
    gauge('soakp_takes_calls', 'Whether a call that came now would be taken: 0 where it would be answered 503.', takesCalls ? 1 : 0),
    gauge('soakp_open_calls', 'Calls that are not over; SOAKP_MAX_CALLS says how many may be.', relay.openCalls),
    gauge('soakp_open_streams', 'Of these, those whose reply has begun and goes on.', streams),
    gauge('soakp_open_websockets', 'Of these, WebSockets.', sockets),
    gauge('soakp_client_connections', 'Connections of clients, also those that wait for a next request.', connections()),
    gauge('soakp_store_works', 'Whether the store can be written, as far as is known.', outage.isOn ? 0 : 1),
    gauge('soakp_ledger_waiting_entries', 'Calls that are over and not yet written down.', ledger.waiting),
    gauge('soakp_ledger_oldest_waiting_seconds', 'How long the oldest of these has waited.', oldestSeconds(soakp, now())),
    {
      name: 'soakp_store_errors_total',
      type: 'counter',
      help: 'Writes to the store that failed: entries of the ledger, their sums (upkeep), or the check of /readyz (probe).',
      samples: Object.entries(tally.storeFailures).map(([operation, value]) => ({ labels: { operation }, value })),
    },
  ]
}

function oldestSeconds({ ledger }: Pick<Soakp, 'ledger'>, nowMs: number): number {
  return Math.max(0, nowMs - (ledger.oldestWaitingMs ?? nowMs)) / 1000
}

async function restFamilies({ soakp }: Sources): Promise<Family[]> {
  const resting = await soakp.relay.restingKeys()
  // a provider whose keys all work again is told as such
  const providers = new Set([...soakp.tally.providers.keys(), ...resting.keys()])
  return [
    {
      name: 'soakp_resting_keys',
      type: 'gauge',
      help: 'Keys that are passed over for a while, for some model or for all, because the provider turned calls away.',
      samples: [...providers].map(provider => ({ labels: { provider }, value: resting.get(provider) ?? 0 })),
    },
  ]
}

/** What `/readyz` says to those who may know why. 200 and 503 are as on the main door. */
async function readyPage({ soakp, shed, lag, views, log, now }: Sources): Promise<Page> {
  const { relay, ledger, settings } = soakp
  const refusal = shed.refusal()
  const store = await storeState(soakp)
  const certificates = certificateStates(views, log)
  const ready = refusal !== 'shutting_down' && store.isReady
  return document(ready ? 200 : 503, {
    status: ready ? 'ok' : 'unavailable',
    store: store.shown,
    ledger: { waitingEntries: ledger.waiting, oldestSeconds: oldestSeconds(soakp, now()) },
    calls: { status: refusal ?? 'ok', open: relay.openCalls, most: settings.maxCalls, ...relay.underWay() },
    eventLoop: { lagP99Ms: Math.round(lag.quantile(0.99) * 1000), mostMs: settings.maxLagMs },
    certificates,
  })
}

/** Where calls go on without the store, it is told that it fails, and the daemon is ready all the same. */
async function storeState(soakp: Sources['soakp']) {
  const { outage } = soakp
  const failure = await checkStore(soakp).catch((error: unknown) => toSoakpError(error))
  const why = failure ?? (outage.isOn ? outage.refusal : undefined)
  if (why === undefined) return { isReady: true, shown: { status: 'ok' } }
  const since = outage.isOn ? new Date(outage.sinceMs).toISOString() : null
  return { isReady: failure === undefined, shown: { status: 'failed', code: why.code, text: errors[why.code].text, since } }
}

function certificateStates(views: Sources['views'], log: Sources['log']) {
  try {
    const all = views()
    const levels = new Set(all.flatMap(({ concerns }) => concerns.map(({ level }) => level)))
    return { status: levels.has('fail') ? 'fail' : levels.has('warn') ? 'warn' : 'ok', each: all.map(shown) }
  } catch (error) {
    log.debug({ err: error }, 'certificates could not be looked at')
    return { status: 'fail', each: [] }
  }
}

function shown({ name, expiresAtMs, dueAtMs, failures, lastFailureAtMs, concerns }: CertificateView) {
  const at = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString())
  return { name, expiresAt: at(expiresAtMs), renewalDueAt: at(dueAtMs), failures, lastFailureAt: at(lastFailureAtMs), concerns }
}

function document(status: number, body: unknown): Page {
  return { status, type: 'application/json', body: `${JSON.stringify(body, null, 2)}\n` }
}
