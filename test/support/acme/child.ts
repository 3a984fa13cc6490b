import { join } from 'node:path'
import { authorityOf } from '../../../src/tls/acme/authorities.js'
import { http01Solver } from '../../../src/tls/acme/http01.js'
import { obtain } from '../../../src/tls/acme/obtain.js'
import { makeTransport } from '../../../src/tls/acme/transport.js'
import { nsupdateSolver } from './solver.js'

/** What the process gets as its one argument, in JSON. */
export interface ChildOrder {
  readonly directoryUrl: string
  readonly caFile: string
  readonly certsDir: string
  readonly names: readonly string[]
  readonly dns?: { readonly keyFile: string; readonly port: number }
  readonly http?: { readonly port: number; readonly hosts: readonly string[] }
}

/** This file, compiled. */
export const childFile = join(import.meta.dirname, 'child.js')

/** Orders a certificate in a process of its own, so that it can be killed; SIGTERM stops it as a daemon is stopped. */
async function main(order: ChildOrder): Promise<void> {
  const stop = new AbortController()
  process.once('SIGTERM', () => stop.abort())
  const run = { now: Date.now, signal: stop.signal, tell: (line: string) => void process.stdout.write(`${line}\n`) }
  const transport = makeTransport({ acmeCaFile: order.caFile })
  const solver = order.dns === undefined ? http01Solver(order.http) : nsupdateSolver(order.dns)
  const choice = { authority: authorityOf(order.directoryUrl), account: { agreesToTerms: true } }
  try {
    await obtain({ certsDir: order.certsDir, transport, run }, [choice], { name: 'test', names: order.names, keyType: 'p256' }, solver)
    process.stdout.write('obtained\n')
  } catch (error) {
    process.stdout.write(`failed: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  } finally {
    transport.close()
  }
}

const [, file, argument] = process.argv
if (file === childFile && argument !== undefined) await main(JSON.parse(argument) as ChildOrder)
