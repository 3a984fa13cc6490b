import t from 'tap'
import { errors, type Pool } from 'undici'
import type { UpstreamSink } from '../../src/providers/provider.js'
import { send } from '../../src/relay/upstream.js'

interface Handler {
  onConnect(abort: () => void): void
  onError(error: Error): void
}

/** The code of what a call fails with when the HTTP client reports `error`, before or after it had a connection. */
function failure(error: Error, connected: boolean): string {
  let code = ''
  const sink: UpstreamSink = {
    head() {},
    data: () => true,
    end() {},
    fail(failed) {
      code = (failed as Error & { code: string }).code
    },
  }
  const pool = {
    dispatch(_: unknown, handler: Handler) {
      if (connected) handler.onConnect(() => {})
      handler.onError(error)
    },
  }
  const request = { method: 'POST', path: '/', headers: [], body: undefined }
  send(pool as unknown as Pool, request, sink, () => {}, { withdraw() {} })
  return code
}

const coded = (code: string) => Object.assign(new Error(code), { code })

t.test('a provider counts as not reached only when it cannot have seen the call, whatever the error is called', async t => {
  for (const code of ['ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'ECONNRESET', 'CERT_HAS_EXPIRED'])
    t.equal(failure(coded(code), false), 'provider_unreachable', code)
  for (const code of ['ETIMEDOUT', 'EHOSTUNREACH', 'ECONNRESET', 'UND_ERR_SOCKET'])
    t.equal(failure(coded(code), true), 'provider_broke_off', code)
  t.equal(failure(new errors.HeadersTimeoutError(), true), 'provider_timeout')
  t.equal(failure(new errors.InvalidArgumentError('invalid path'), false), 'invalid_request')
})
