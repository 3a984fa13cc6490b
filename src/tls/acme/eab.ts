import { readFileSync, statSync } from 'node:fs'
import { SoakpError } from '../../errors.js'
import { patiently, type Run } from './patience.js'
import { AcmeError, clean, isRecord, problemOf, protocolProblem } from './problem.js'
import type { ExternalAccount } from './session.js'
import type { Transport } from './transport.js'

/** Where ZeroSSL hands out credentials to whoever names an e-mail address: https://zerossl.com/documentation/acme/ */
const zerosslUrl = 'https://api.zerossl.com/acme/eab-credentials-email'

/** Credentials as a user gave them; throws `usage` where the HMAC key cannot be one. It is never quoted. */
export function externalAccount(kid: string, hmacKey: string): ExternalAccount {
  const [id, key] = [kid.trim(), hmacKey.trim()]
  if (id === '') throw new SoakpError('usage', 'The key id of the external account binding is empty.')
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(key) || Buffer.from(key, 'base64').length < 16) {
    throw new SoakpError('usage', 'The HMAC key of the external account binding is not base64url of at least 16 bytes.', {
      hint: 'Copy it whole, as the CA shows it.',
    })
  }
  return { kid: id, hmacKey: key }
}

/** An HMAC key from a file that nobody else can read. */
export function readHmacKeyFile(file: string): string {
  try {
    if ((statSync(file).mode & 0o077) !== 0) {
      throw new SoakpError('file_refused', `${file} can be read by others on this machine.`, { hint: `chmod 600 ${file}` })
    }
    return readFileSync(file, 'utf8').trim()
  } catch (cause) {
    if (cause instanceof SoakpError) throw cause
    throw new SoakpError('file_refused', file, { cause })
  }
}

/** Credentials from ZeroSSL for an e-mail address; anew each time. `url` is another place to ask, for tests. */
export function externalAccountByEmail(transport: Transport, run: Run, email: string, url: string = zerosslUrl): Promise<ExternalAccount> {
  const form = new URLSearchParams({ email }).toString()
  return patiently(run, async () => {
    const reply = await transport.send(url, 'POST', form, run.signal, 'application/x-www-form-urlencoded')
    const doing = `account credentials for ${email}`
    if (reply.status >= 300) throw new AcmeError(doing, problemOf(reply, run.now()))
    const { data } = reply
    if (!isRecord(data) || typeof data.eab_kid !== 'string' || typeof data.eab_hmac_key !== 'string') {
      const said = isRecord(data) && isRecord(data.error) ? clean(data.error.type) || clean(data.error.message) : ''
      throw new AcmeError(doing, protocolProblem(`the answer holds none${said === '' ? '' : ` (${said})`}`))
    }
    return externalAccount(data.eab_kid, data.eab_hmac_key)
  })
}
