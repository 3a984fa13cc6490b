import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** What each scenario of an SDK returned or threw. */
export type Report = Readonly<Record<string, { readonly returned?: unknown; readonly threw?: Readonly<Record<string, unknown>> }>>

/** Runs an SDK as an app would: with the CA in its environment, and nothing else changed. */
export async function runSdk(sdk: string, base: string, token: string, ca: string, only: readonly string[] = []): Promise<Report> {
  const env = { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: ca }
  const child = spawn(process.execPath, [join(process.cwd(), 'dist/test/support/sdk-child.js'), sdk, base, token, ...only], { env })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  await once(child, 'close')
  if (stdout === '') throw new Error(`${sdk}: ${stderr}`)
  return JSON.parse(stdout)
}
