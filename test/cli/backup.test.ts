import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { byteCanary, find, textCanary } from '../support/canary.js'
import { freshKey } from '../support/stage.js'
import { madeHome, nearHome } from './run.js'

t.test('what a backup holds comes back in another home, given the master key, and nothing comes without it', async t => {
  const home = await madeHome(t)
  const secret = freshKey('openai')
  const key = await home.json<{ id: string }>(['key', 'add', 'openai', '--stdin', '--no-verify'], secret)
  const grant = await home.json<{ id: string }>(['token', 'create', '--all'])
  appendFileSync(join(home.dir, '.env'), 'SOAKP_MAX_CALLS=77\n')
  const file = join(home.dir, 'b')
  t.match(await home.json(['backup', file]), { file })
  t.match(await home.run(['backup', file]), { code: 73, stderr: /not overwritten/ })
  const masterKey = readFileSync(join(home.dir, 'master.key'), 'utf8').trim()
  t.same(find([textCanary('key', secret), textCanary('master key', masterKey)], readFileSync(file)), [])

  const bare = nearHome(join(home.dir, 'bare'))
  t.match(await bare.run(['restore', file]), { code: 78, stderr: /master key is missing/ })
  t.match(await nearHome(join(home.dir, 'wrong'), { SOAKP_MASTER_KEY: 'ab12'.repeat(16) }).run(['restore', file]), { code: 77 })

  mkdirSync(join(home.dir, 'new'), { mode: 0o700 })
  copyFileSync(join(home.dir, 'master.key'), join(home.dir, 'new', 'master.key'))
  const restored = nearHome(join(home.dir, 'new'))
  t.match(await restored.json(['restore', file]), { keys: 1, grants: 1, unreadableKeys: [], replaced: [] })
  t.match(await restored.json(['key', 'list']), [{ id: key.id }])
  t.match(await restored.json(['token', 'list']), [{ id: grant.id, state: 'active' }])
  t.match(readFileSync(join(restored.dir, '.env'), 'utf8'), 'SOAKP_MAX_CALLS=77')
  t.ok(existsSync(join(restored.dir, 'certs/local/ca.pem')))
  t.match(await restored.run(['restore', file]), { code: 73, stderr: /holds keys or access tokens/ })
})

t.test('the private keys of the local CA and of the certificate stay on the machine: no backup holds them', async t => {
  const home = await madeHome(t)
  const file = join(home.dir, 'b')
  await home.json(['backup', file])
  const backup = readFileSync(file)
  for (const name of ['certs/local/ca-key.pem', 'certs/live/localhost/privkey.pem']) {
    const body = readFileSync(join(home.dir, name), 'utf8').replace(/-----[^-]+-----|\s/g, '')
    t.ok(body.length > 100, name)
    t.same(find([textCanary(name, body), byteCanary(name, Buffer.from(body, 'base64'))], backup), [])
  }
})

t.test('a file that is no backup, or was changed, restores nothing', async t => {
  const home = await madeHome(t)
  const file = join(home.dir, 'b')
  await home.json(['backup', file])
  const bytes = readFileSync(file)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
  writeFileSync(file, bytes)
  mkdirSync(join(home.dir, 'new'), { mode: 0o700 })
  copyFileSync(join(home.dir, 'master.key'), join(home.dir, 'new', 'master.key'))
  const other = nearHome(join(home.dir, 'new'))
  t.equal((await other.run(['restore', file])).code, 65)
  t.equal((await other.run(['restore', join(home.dir, '.env')])).code, 65)
  t.equal((await other.run(['restore', join(home.dir, 'nothing')])).code, 74)
  t.equal((await other.run(['restore', home.dir])).code, 65)
  t.notOk(existsSync(join(other.dir, 'keys.json')))
})

t.test('a file that cannot be made or read is a clear line with its own code, whatever its name', async t => {
  const home = await madeHome(t)
  for (const name of [
    join(home.dir, 'no', 'such', 'folder'),
    join(home.dir, 'a'.repeat(300)),
    join(home.dir, '.env', 'b'),
    `${home.dir}/\0`,
  ]) {
    const { code, stderr } = await home.run(['backup', name])
    t.equal(code, 74, `${name.slice(-20)}: ${code}`)
    t.match(stderr, /^soakp: a file cannot be read or written\. /)
  }
  t.equal((await home.run(['backup', join(home.dir, '.env')])).code, 73)
  t.notMatch((await home.run(['backup', join(home.dir, '\u001b[31m')])).stdout, /\u001b/)
})

t.test('the master key is changed in place, or moved to a file; without the old one nothing is lost', async t => {
  const home = await madeHome(t)
  const { id } = await home.json<{ id: string }>(['key', 'add', 'sandbox', '--stdin'], 'any-key-1')
  const before = readFileSync(join(home.dir, 'master.key'), 'utf8')
  t.match(await home.json(['master', 'rotate']), { masterKeyVersion: 2, masterKeyFile: join(home.dir, 'master.key') })
  t.not(readFileSync(join(home.dir, 'master.key'), 'utf8'), before)
  t.match(await home.json(['key', 'verify', id]), { verified: 'works' })
  const file = join(home.dir, 'elsewhere.key')
  t.match(await home.run(['master', 'rotate', '--new-key-file', file]), { code: 0, stderr: /SOAKP_MASTER_KEY_FILE=/ })
  t.match(await home.run(['key', 'list']), { code: 77 })
  t.match(await nearHome(home.dir, { SOAKP_MASTER_KEY_FILE: file }).json(['key', 'verify', id]), { verified: 'works' })
})
