import { generateKeyPairSync } from 'node:crypto'
import { jwtVerify } from 'jose'
import t from 'tap'
import { readServiceAccount, serviceAccountAssertion, serviceAccountGrant } from '../../src/lib/google-assertion.js'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const file = {
  type: 'service_account',
  project_id: 'project-1',
  private_key_id: 'kid-1',
  private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  client_email: 'acme@project-1.iam.gserviceaccount.com',
  token_uri: 'https://oauth2.googleapis.com/token',
}
const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5)

t.test('an assertion is what RFC 7523 asks for, signed with the key of the file', async t => {
  const account = readServiceAccount(JSON.stringify(file))
  const assertion = serviceAccountAssertion(account, { scope: 'https://example.test/scope', nowMs })
  const { payload, protectedHeader } = await jwtVerify(assertion, publicKey, {
    audience: 'https://oauth2.googleapis.com/token',
    currentDate: new Date(nowMs),
  })
  t.same(protectedHeader, { alg: 'RS256', typ: 'JWT', kid: 'kid-1' })
  t.equal(payload.iss, file.client_email)
  t.equal(payload.scope, 'https://example.test/scope')
  t.equal((payload.exp ?? 0) - (payload.iat ?? 0), 3600)
  const form = new URLSearchParams(serviceAccountGrant(assertion))
  t.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer')
  t.equal(form.get('assertion'), assertion)
})

t.test('what is wrong with a key file is said without quoting it', async t => {
  for (const [text, words] of [
    ['hunter2', /not JSON/],
    ['["hunter2"]', /not a JSON object/],
    [JSON.stringify({ ...file, type: 'authorized_user' }), /not of type "service_account", but "authorized_user"/],
    [JSON.stringify({ ...file, client_email: undefined }), /no "client_email"/],
    [JSON.stringify({ ...file, private_key: undefined }), /no "private_key"/],
    [JSON.stringify({ ...file, private_key: 'hunter2' }), /not a private key in PEM form/],
  ] as const) {
    try {
      readServiceAccount(text)
      t.fail('read')
    } catch (error) {
      t.match(String(error), words)
      t.notMatch(String(error), /hunter2/)
    }
  }
})
