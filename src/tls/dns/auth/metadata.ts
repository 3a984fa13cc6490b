import { SoakpError } from '../../../errors.js'
import { describeBody, HttpTrouble, sendHttp } from '../api/http.js'
import { oneLine } from '../api/redact.js'
import type { DnsContext } from '../provider.js'

export interface MetadataRequest {
  readonly url: string
  readonly method?: 'GET' | 'PUT'
  readonly headers: Readonly<Record<string, string>>
  /** The beginning of the sentence that says what to set instead, for a machine that has no such service. */
  readonly otherwise: string
}

/** Machines that have no such service often do not refuse the connection but are silent. */
const patienceMs = 2000

/** Asks the service by which a cloud hands credentials to its own machines. It is near, or not there at all: two tries, two seconds each. */
export async function askMetadata(
  context: DnsContext,
  { url, method = 'GET', headers, otherwise }: MetadataRequest,
): Promise<{ readonly status: number; readonly text: string; readonly json: unknown }> {
  if (!URL.canParse(url)) throw new SoakpError('dns_settings_incomplete', `${otherwise}, and “${oneLine(url, 100)}” is no address of one.`)
  for (let attempt = 1; ; attempt++) {
    const timeoutMs = Math.min(patienceMs, context.httpTimeoutMs)
    const reply = await sendHttp({ method, url: new URL(url), headers, body: '', timeoutMs, signal: context.signal })
    if (context.signal.aborted) throw new SoakpError('cancelled')
    const { host } = new URL(url)
    if (reply instanceof HttpTrouble) {
      if (attempt < 2) continue
      throw new SoakpError('dns_settings_incomplete', `${otherwise}, and ${host} ${oneLine(reply.message)}.`)
    }
    if (reply.status >= 200 && reply.status < 300) return { ...reply, json: parse(reply.text) }
    if (attempt < 2 && (reply.status === 429 || reply.status >= 500)) {
      await context.delay(500)
      continue
    }
    throw new SoakpError(
      'dns_credentials_refused',
      `${otherwise}, and ${host} answers ${reply.status}: ${oneLine(context.redact(describeBody(reply)))}`,
    )
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
