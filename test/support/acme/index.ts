import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bind, type BindOptions, startBind } from './bind.js'
import { type Pebble, type PebbleOptions, startPebble } from './pebble.js'
import { type AcmeProxy, startProxy } from './proxy.js'

export { freePort } from '../free-port.js'
export { type Bind, type BindOptions, nsupdate, startBind, type Tsig } from './bind.js'
export { startPdns } from './pdns.js'
export { eab, type Pebble, type PebbleOptions, startPebble } from './pebble.js'
export type { Server } from './process.js'
export { lacking, programPath } from './programs.js'
export { type AcmeProxy, certIdOf, type Fault, startProxy } from './proxy.js'

export interface BedOptions {
  readonly pebble?: PebbleOptions
  readonly bind?: BindOptions
}

/** A CA and the DNS it believes, both real, on ports of their own: several beds run beside each other. */
export interface AcmeBed {
  /** For files of the test; removed with the bed. */
  readonly folder: string
  readonly bind: Bind
  readonly pebble: Pebble
  /** The same CA with ARI, profiles and faults. */
  readonly proxy: AcmeProxy
  /** Trust this to reach `pebble` and `proxy`. */
  readonly caFile: string
}

interface Teardown {
  teardown(handler: () => unknown): unknown
}

/** An empty folder below the system's, removed at the end. `t.testdir()` is emptied by every test of its file; servers need theirs for longer. */
export function temporaryFolder(t: Teardown): string {
  const folder = mkdtempSync(join(tmpdir(), 'soakp-acme-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * Starts BIND, Pebble and the proxy; all end with `t`. Suites that use it name what they need:
 * `t.test('…', { skip: lacking('pebble', 'named', 'nsupdate') }, async t => { const bed = await startBed(t) … })`.
 */
export async function startBed(t: Teardown, options: BedOptions = {}): Promise<AcmeBed> {
  const folder = temporaryFolder(t)
  const bind = await startBind(folder, options.bind)
  t.teardown(() => bind.stop())
  const pebble = await startPebble(folder, bind.server, options.pebble)
  t.teardown(() => pebble.stop())
  const proxy = await startProxy(pebble)
  t.teardown(() => proxy.close())
  return { folder, bind, pebble, proxy, caFile: pebble.caFile }
}
