import { type AddressInfo, isIP } from 'node:net'
import type { Logger } from 'pino'
import { SoakpError } from '../errors.js'
import { compileBlocks, isLoopbackAddress } from '../lib/ip.js'
import { parseRate } from '../lib/rate.js'
import { silentLog } from '../lib/silent-log.js'
import type { Soakp } from '../soakp.js'
import type { Certificates } from '../tls/certificates.js'
import { addressReader } from './address.js'
import { buildApp } from './app.js'
import { createDispatch } from './dispatch.js'
import { createHostCheck, hostName, isLoopbackName } from './hosts.js'
import { createListener } from './listener.js'
import type { MetricsDoor } from './metrics/door.js'
import { originRule } from './preflight.js'
import { createShed } from './shed.js'

export interface ServeOptions {
  /** Default: none. */
  readonly log?: Logger | undefined
  /** Which certificate is served. Undefined only with `settings.http`. */
  readonly certificates: Certificates | undefined
  /** Epoch milliseconds. */
  readonly now?: () => number
}

export interface Served {
  /** Where clients reach it, without a closing slash. */
  readonly url: string
  readonly port: number
  /**
   * Takes no new calls, lets those under way finish for `settings.shutdownGraceMs`, and ends every connection. Resolves when the last entry is committed. The second
   * call waits for the first.
   */
  close(): Promise<void>
}

/** How long what was written may take to leave, once every call is finished. */
const flushMs = 2_000

/** Whether nothing but this machine can connect to this address. */
function isLoopbackHost(host: string): boolean {
  return isIP(host) === 0 ? host === 'localhost' : isLoopbackAddress(host)
}

function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

/** At most ten lines in ten seconds: whoever sends garbage does not fill the disk. */
function refusedLog(log: Logger, now: () => number): (error: Error) => void {
  let left = 10
  let windowEndMs = 0
  return error => {
    // who hangs up is not refused
    if (!log.isLevelEnabled('debug') || (error as NodeJS.ErrnoException).code === 'ECONNRESET') return
    if (now() > windowEndMs) {
      left = 10
      windowEndMs = now() + 10_000
    }
    if (left-- > 0)
      log.debug({ code: (error as NodeJS.ErrnoException).code, reason: error.message.slice(0, 200) }, 'a connection was refused')
  }
}

function urlOf(soakp: Pick<Soakp, 'settings'>, port: number): string {
  const { publicUrl, host, http } = soakp.settings
  if (publicUrl !== undefined) return publicUrl.replace(/\/$/, '')
  const name = isLoopbackHost(host) || isUnspecified(host) ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return `${http ? 'http' : 'https'}://${name}:${port}`
}

/**
 * Opens the daemon's door: listens at `settings.host` and `settings.port`, and hands calls to the relay and the rest to its routes. Throws `settings_invalid` for plain HTTP off
 * loopback, `certificate_invalid` where there is none, `address_in_use`, `address_refused`.
 */
export async function serve(soakp: Omit<Soakp, 'close'>, options: ServeOptions): Promise<Served> {
  const { log = await silentLog(), certificates, now = Date.now } = options
  const { settings, relay } = soakp
  if (settings.http && !isLoopbackHost(settings.host) && settings.trustProxy.length === 0) {
    throw new SoakpError('settings_invalid', 'Plain HTTP off loopback would show access tokens to the network.', {
      hint: 'Leave --http away, listen on 127.0.0.1, or name the proxy that ends TLS in SOAKP_TRUST_PROXY.',
    })
  }
  const tls = settings.http ? undefined : certificates
  if (!settings.http && tls === undefined) throw new SoakpError('certificate_invalid', 'There is none to serve.')

  const shed = createShed({ openCalls: () => relay.openCalls, maxCalls: settings.maxCalls, maxLagMs: settings.maxLagMs })
  const addressOf = addressReader(settings.trustProxy.length === 0 ? undefined : compileBlocks(settings.trustProxy))
  const hosts = createHostCheck({
    publicUrl: settings.publicUrl,
    covers: name => tls?.pairFor(name) !== undefined,
    everyAddress: isUnspecified(settings.host),
  })
  const publicName = settings.publicUrl === undefined ? undefined : new URL(settings.publicUrl).hostname
  const isOurName = (name: string) => name === publicName || tls?.pairFor(name) !== undefined
  const allowsOrigin = originRule(settings.corsOrigins, origin => relay.allowsOrigin(origin))
  const app = await buildApp({
    soakp,
    log,
    addressOf,
    publicUrl: settings.publicUrl,
    allowsOrigin,
    now,
    addressRate: parseRate(settings.addressRate) ?? { count: 600, windowMs: 60_000 },
    isDraining: () => shed.refusal() === 'shutting_down',
    isPublicHost: host => {
      const name = host === undefined ? undefined : hostName(host)
      return name !== undefined && isIP(name) === 0 && !isLoopbackName(name) && tls?.pairFor(name)?.isLocal === false
    },
  })
  const logRefused = refusedLog(log, now)
  const listener = createListener({
    ...createDispatch({
      relay,
      routes: app.handle,
      hosts,
      publicUrl: settings.publicUrl,
      addressOf,
      allowsOrigin,
      shed,
      tally: soakp.tally,
      log,
      now,
    }),
    pairs: tls,
    onRefused: error => {
      soakp.tally.refuseConnection()
      logRefused(error)
    },
    now,
  })
  const stopFollowing = tls?.onChange(() => {
    listener.refreshPairs()
    hosts.forget()
  })
  let watchers: MetricsDoor | undefined
  async function close(): Promise<void> {
    await listener.close(flushMs)
    stopFollowing?.()
    await watchers?.close()
    shed.close()
    await app.fastify.close()
  }
  async function open(): Promise<AddressInfo> {
    const at = settings.metricsListen
    if (at !== undefined) {
      // most daemons have no such door, and need not load what is behind it
      const { openWatchers } = await import('./metrics/watchers.js')
      watchers = await openWatchers({ soakp, at, shed, connections: () => listener.connections, certificates: tls, isOurName, log, now })
    }
    return listener.listen(settings.host, settings.port)
  }
  const { port } = await open().catch(async error => {
    await close()
    throw error
  })
  const url = urlOf(soakp, port)
  log.info({ url, host: settings.host, port }, 'listening')
  soakp.upkeep.start()
  soakp.batches.start()

  async function end(): Promise<void> {
    shed.drain()
    listener.drain()
    await relay.drain(settings.shutdownGraceMs)
    await soakp.batches.stop()
    await soakp.upkeep.stop()
    await close()
  }
  let ending: Promise<void> | undefined
  return {
    url,
    port,
    close() {
      ending ??= end()
      return ending
    },
  }
}
