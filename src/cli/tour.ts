import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSettings } from '../config/load.js'
import { SoakpError } from '../errors.js'
import { initHome, openHomeCertificates } from '../home.js'
import { callSelf } from '../lib/outbound-self.js'
import { serve } from '../server/listen.js'
import { createSoakp, type Soakp } from '../soakp.js'
import { table } from './format.js'
import { ensureSandboxKey, trialCall } from './trial.js'

export interface Step {
  readonly command: string
  readonly output: string
}

const hourMs = 3_600_000
const patienceMs = 15_000

/** A daemon on a free port in a temporary home, and everything a user would do with it. `tell` hears of each step as it is done. */
export async function tour(tell: (step: Step) => void, now: () => number): Promise<Step[]> {
  const home = await mkdtemp(join(tmpdir(), 'soakp-demo-'))
  const undo: (() => Promise<unknown>)[] = [() => rm(home, { recursive: true, force: true })]
  const tidy = async () => {
    for (let last = undo.pop(); last; last = undo.pop()) await last().catch(() => undefined)
  }
  const interrupted = () => void tidy().then(() => process.exit(130))
  process.once('SIGINT', interrupted)
  process.once('SIGTERM', interrupted)
  try {
    return await steps(home, undo, tell, now)
  } finally {
    process.off('SIGINT', interrupted)
    process.off('SIGTERM', interrupted)
    await tidy()
  }
}

async function steps(home: string, undo: (() => Promise<unknown>)[], tell: (step: Step) => void, now: () => number): Promise<Step[]> {
  const done: Step[] = []
  const step = (command: string, output: string) => {
    const one = { command, output }
    done.push(one)
    tell(one)
  }
  // the demo has settings of its own: what is set here may belong to a real home
  const settings = loadSettings({ env: {}, home, flags: { host: '127.0.0.1', port: '0', logLevel: 'silent', shutdownGraceMs: '1s' } })
  const { caFile } = await initHome(settings, { now })
  step('soakp init', 'made a home with a master key, an encrypted database, a local CA and a certificate')
  const soakp = await createSoakp(settings, { now })
  undo.push(() => soakp.close())
  const certificates = await openHomeCertificates(settings, { now })
  undo.push(async () => certificates?.close())
  const daemon = await serve(soakp, { certificates, now })
  undo.push(() => daemon.close())
  step('soakp serve', `listens on https://localhost:${daemon.port}`)
  await walk(soakp, { port: daemon.port, ca: await readFile(caFile, 'utf8') }, step, now)
  return done
}

interface Door {
  readonly port: number
  readonly ca: string
}

async function walk(soakp: Soakp, door: Door, step: (command: string, output: string) => void, now: () => number): Promise<void> {
  const key = await ensureSandboxKey(soakp)
  step('soakp key add sandbox', `stored ${key.id}, sealed`)
  const { grant, token } = await soakp.access.create({
    scope: { kind: 'providers', providers: ['sandbox'] },
    name: 'demo',
    lifetimeMs: hourMs,
    models: ['sandbox*'],
    rate: '60/m',
  })
  step("soakp token create --provider sandbox --models 'sandbox*' --rate 60/m --ttl 1h", `${token.slice(0, 24)}… for the grant ${grant.id}`)
  const curl = `curl -N -H "authorization: Bearer $TOKEN" https://localhost:${door.port}${trialCall.path} -d '${trialCall.body}'`
  const answer = await call(door, token)
  if (answer.status !== 200) throw new SoakpError('check_failed', `The sandbox answered ${answer.status}.`)
  step(curl, `${answer.status}, streamed in ${answer.pieces} pieces: ${textOf(answer.body)}`)
  step('soakp usage --by model', await usageText(soakp, now))
  await soakp.access.revoke(grant.id, false)
  step(`soakp token revoke ${grant.id}`, 'revoked; from now on nothing is accepted')
  const refused = await call(door, token)
  if (refused.status !== 401) throw new SoakpError('check_failed', `A revoked token was answered ${refused.status}.`)
  step(curl, `${refused.status} ${refused.body.trim()}`)
}

async function call(door: Door, token: string): Promise<{ status: number; pieces: number; body: string }> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const { status, chunks } = await callSelf({
    port: door.port,
    trust: { ca: door.ca },
    method: 'POST',
    path: trialCall.path,
    headers,
    body: trialCall.body,
    timeoutMs: patienceMs,
  })
  const pieces: Buffer[] = []
  for await (const chunk of chunks) pieces.push(chunk)
  return { status, pieces: pieces.length, body: Buffer.concat(pieces).toString() }
}

/** The words in a stream of OpenAI's dialect. */
function textOf(stream: string): string {
  return stream
    .split('\n')
    .filter(line => line.startsWith('data: {'))
    .map(line => (JSON.parse(line.slice(6)) as { choices?: { delta?: { content?: string } }[] }).choices?.[0]?.delta?.content ?? '')
    .join('')
}

async function usageText({ store }: Soakp, now: () => number): Promise<string> {
  return table(await store.usage({ by: ['model'], sinceMs: now() - hourMs }), [
    { title: 'MODEL', value: row => row.values[0] },
    { title: 'CALLS', value: row => row.calls, right: true },
    { title: 'INPUT', value: row => row.inputTokens, right: true },
    { title: 'OUTPUT', value: row => row.outputTokens, right: true },
  ])
}
