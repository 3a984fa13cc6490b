import { statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Settings } from '../../config/settings.js'
import { callSelf } from '../../lib/outbound-self.js'
import { endsSoon } from '../../tls/ending.js'
import { liveFiles } from '../../tls/local-ca.js'
import { loadPair } from '../../tls/pair.js'
import { type Finding, fail, faultOf, ok, warn } from './finding.js'

/** A fault where the file is there and its mode has any of `forbidden`. */
export function checkMode(file: string, forbidden: number, cure: string): Finding | undefined {
  if (process.platform === 'win32') return undefined
  const mode = statSync(file, { throwIfNoEntry: false })?.mode
  if (mode === undefined || (mode & forbidden) === 0) return undefined
  return fail('file modes', `${file} is open to other users of this machine (mode ${(mode & 0o777).toString(8)})`, `${cure} ${file}`)
}

const scarceBytes = 100 * 1024 * 1024

export async function checkDisk(home: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(home)
  const free = bavail * bsize
  const text = `${Math.floor(free / 1024 / 1024)} MB free`
  return free < scarceBytes ? warn('disk', text, 'make room: when the disk is full, calls are refused') : ok('disk', text)
}

/** The pair that would be served. */
export async function checkCertificate(settings: Settings, nowMs: number): Promise<Finding> {
  if (settings.http) return ok('certificate', 'not needed: plain HTTP is asked for')
  const { tlsCertFile, tlsKeyFile, publicUrl } = settings
  const own = tlsCertFile !== undefined && tlsKeyFile !== undefined
  const live = liveFiles(join(settings.home, 'certs'))
  try {
    const pair = await loadPair(own ? tlsCertFile : live.fullchain, own ? tlsKeyFile : live.privkey, !own, nowMs)
    const until = new Date(pair.validUntilMs).toISOString().slice(0, 10)
    const name = publicUrl === undefined ? undefined : new URL(publicUrl).hostname.replace(/^\[|\]$/g, '')
    if (name !== undefined && !pair.covers(name) && !(await isIssued(settings, name, nowMs))) {
      return fail(
        'certificate',
        `is not for ${name}, the name in SOAKP_PUBLIC_URL, but for ${pair.names.join(', ')}`,
        own ? 'get one that is' : `run \`soakp cert local\`, or for a public name \`soakp cert issue --dns PROVIDER -d ${name}\``,
      )
    }
    if (own && endsSoon({ notBeforeMs: pair.validFromMs, notAfterMs: pair.validUntilMs }, nowMs))
      return warn('certificate', `ends on ${until}`, 'put a new one in its place; the daemon takes it without a restart')
    return ok('certificate', `for ${pair.names.join(', ')} until ${until}`)
  } catch (error) {
    const finding = faultOf('certificate', error)
    return own ? finding : { ...finding, todo: 'run `soakp cert local`' }
  }
}

const patienceMs = 3_000

async function isIssued(settings: Settings, name: string, nowMs: number): Promise<boolean> {
  const { listLineages } = await import('../../tls/lineage.js')
  for (const { files } of listLineages(join(settings.home, 'certs'))) {
    const pair = await loadPair(files.fullchain, files.privkey, false, nowMs).catch(() => undefined)
    if (pair?.covers(name)) return true
  }
  return false
}

/** Those of public CAs and of others: ended, about to end, not renewed. */
export async function checkIssued(settings: Settings, nowMs: number): Promise<Finding[]> {
  const { concernsOf, statuses } = await import('../../tls/life/status.js')
  const findings: Finding[] = []
  const all = statuses(join(settings.home, 'certs'), nowMs, error => findings.push(faultOf('certificates', error)))
  for (const { level, text, todo } of all.flatMap(each => concernsOf(each, nowMs)))
    findings.push((level === 'fail' ? fail : warn)('certificates', text, todo))
  if (all.length > 0 && findings.length === 0) findings.push(ok('certificates', `${all.map(({ name }) => name).join(', ')}: in order`))
  return findings
}

/** Free, or held by a soakp. */
export async function checkPort({ port, host, http }: Settings): Promise<Finding> {
  return lookAt('port', { host, port, trust: http ? 'http' : 'anyone' }, 'SOAKP_PORT')
}

/** The same of the door for watchers, where there is one. */
export async function checkMetricsPort({ metricsListen: at }: Settings): Promise<Finding[]> {
  return at === undefined ? [] : [await lookAt('metrics', { ...at, trust: 'http' }, 'SOAKP_METRICS_LISTEN')]
}

interface Place {
  readonly host: string
  readonly port: number
  readonly trust: 'http' | 'anyone'
}

async function lookAt(check: string, { host, port, trust }: Place, setting: string): Promise<Finding> {
  if (port === 0) return ok(check, 'any free one')
  const where = `${host}:${port}`
  const unspecified = host === '0.0.0.0' || host === '::'
  try {
    const { status, chunks } = await callSelf({
      host: unspecified ? '127.0.0.1' : host,
      port,
      trust,
      method: 'GET',
      path: '/healthz',
      timeoutMs: patienceMs,
    })
    let said = ''
    for await (const chunk of chunks) said = `${said}${chunk}`.slice(0, 100)
    if (status === 200 && said.replace(/\s/g, '') === '{"status":"ok"}') return ok(check, `a soakp answers on ${where}`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return ok(check, `${where} is free`)
  }
  return warn(check, `something that is not soakp holds ${where}`, `stop it, or choose another port with ${setting}`)
}
