import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import type { Call } from './fake.js'

export interface Caller {
  readonly secret: string
  readonly session?: string
}

/**
 * Verifies a request as AWS does, written from its documentation apart from the code under test: the headers that are named are the ones that were sent, in their order, the scope is of
 * today, region and service, and the signature is over the request to the letter. Tells which of its errors AWS would answer with.
 */
export function sigV4Refusal(
  call: Call,
  { region, service }: { region: string; service: string },
  callers: Readonly<Record<string, Caller>>,
): string | undefined {
  const authorization = call.headers.authorization ?? ''
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/.exec(
      authorization,
    )
  if (parts === null) return 'MissingAuthenticationToken'
  const [, id = '', day = '', inRegion, forService, names = '', signature] = parts
  assert.equal(inRegion, region)
  assert.equal(forService, service)
  const caller = callers[id]
  if (caller === undefined) return 'InvalidClientTokenId'
  if (call.headers['x-amz-security-token'] !== caller.session) return 'InvalidClientTokenId'
  const date = call.headers['x-amz-date'] ?? ''
  assert.match(date, /^\d{8}T\d{6}Z$/)
  assert.equal(date.slice(0, 8), day)
  const sentAt = Date.UTC(
    +date.slice(0, 4),
    +date.slice(4, 6) - 1,
    +date.slice(6, 8),
    +date.slice(9, 11),
    +date.slice(11, 13),
    +date.slice(13, 15),
  )
  assert.ok(Math.abs(sentAt - Date.now()) < 300_000, 'the clock')
  const signed = names.split(';')
  assert.deepEqual(signed, [...signed].sort())
  assert.ok(signed.includes('host'))
  for (const name of Object.keys(call.headers)) if (name.startsWith('x-amz-')) assert.ok(signed.includes(name), `${name} is signed`)

  const [path = '', query = ''] = call.target.split('?')
  const sortedQuery =
    query === ''
      ? ''
      : query
          .split('&')
          .map(pair => (pair.includes('=') ? pair : `${pair}=`))
          .sort()
          .join('&')
  let canonical = `${call.method}\n${path}\n${sortedQuery}\n`
  for (const name of signed) canonical += `${name}:${call.headers[name]}\n`
  canonical += `\n${names}\n${createHash('sha256').update(call.body).digest('hex')}`
  const toSign = `AWS4-HMAC-SHA256\n${date}\n${day}/${region}/${service}/aws4_request\n${createHash('sha256').update(canonical).digest('hex')}`
  let key = Buffer.from(`AWS4${caller.secret}`)
  for (const step of [day, region, service, 'aws4_request']) key = createHmac('sha256', key).update(step).digest()
  return createHmac('sha256', key).update(toSign).digest('hex') === signature ? undefined : 'SignatureDoesNotMatch'
}
