import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { call } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { startResourceProvider } from '../support/resource-provider.js'
import { freshKey } from '../support/stage.js'

interface Listed {
  readonly provider: string
  readonly kind: string
  readonly id: string
  readonly owner: string
  readonly key: string
}

t.test('what was made without soakp is given to its owners from a file, and is theirs from the next call on', async t => {
  const provider = await startResourceProvider()
  t.teardown(() => provider.close())
  const home = await makeHome(t)
  const secret = freshKey('openai')
  const key = (await home.addKey('openai', { secret, baseUrl: provider.url })).id
  const open = ['--all', '--endpoints', 'inference', 'account']
  const [alice, bob] = [await home.createToken([...open, '--name', 'alice']), await home.createToken(open)]
  const app = await home.json<{ id: string }>(['app', 'create', 'shop', '--provider', 'openai'])
  const daemon = await home.serve()
  const file = (name: string, text: string) => {
    const path = join(home.dir, name)
    writeFileSync(path, text)
    return path
  }

  // a file of the account, uploaded past soakp
  const form = '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nhello\r\n--x--\r\n'
  const uploaded = await fetch(`${provider.url}/v1/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'multipart/form-data; boundary=x' },
    body: form,
  })
  const { id } = (await uploaded.json()) as { id: string }
  const read = async (token: string) => (await call(daemon, { path: `/openai/v1/files/${id}`, token })).status
  t.same([await read(alice.token), await read(bob.token)], [404, 404], 'nobody’s before')

  const csv = file('owned.csv', `provider,kind,id,owner,key\nopenai,file,${id},${alice.id},${key}\n\nopenai,batch,batch_1,shop/carol,\n`)
  t.match(await home.json(['resource', 'import', csv]), { imported: 2, known: 0 })
  t.match(await home.json(['resource', 'import', csv]), { imported: 0, known: 2 }, 'a second time changes nothing')
  t.same([await read(alice.token), await read(bob.token)], [200, 404])

  const listed = await home.json<Listed[]>(['resource', 'list'])
  t.match(listed.map(row => [row.kind, row.id, row.key]).sort(), [
    ['batch', 'batch_1', key],
    ['file', id, key],
  ])
  t.match(await home.json(['resource', 'list', '--owner', `${app.id}/carol`]), [{ kind: 'batch' }])
  t.match(await home.json(['resource', 'list', '--owner', alice.id, '--kind', 'file']), [{ id, user: 'alice' }])
  t.match((await home.run(['resource', 'list'])).stdout, /PROVIDER +KIND +ID +OWNER +NAME/)

  const faults: readonly [text: string, fault: RegExp][] = [
    [
      `provider,kind,id,owner\nopenai,file,file-9,${alice.id}\nopenai,file,${id},${bob.id}\n`,
      /line 3: .*belongs to grt_.*resource remove openai file/s,
    ],
    [`provider,kind,id,owner\n\nopenai,flie,file-9,${alice.id}\n`, /line 3: .*no kind 'flie'.*file/s],
    [`provider,kind,id,owner\ngroq,file,file-9,${alice.id}\n`, /line 2: .*no key of 'groq'/is],
    [`provider,kind,id,owner\nopenai,file,file-9,grt_none\n`, /line 2: .*grt_none/s],
    [`provider,kind,id,owner\nopenai,file,files/9,${alice.id}\n`, /line 2: .*is no id/s],
    [`provider,kind,id,owner,colour\nopenai,file,file-9,${alice.id},red\n`, /line 2: .*no field 'colour'/s],
    [`{"provider":"openai","kind":"file","id":"file-9","owner":"${alice.id}"}\n{"provider":\n`, /ine 2 of .* is no JSON/s],
    [`[{"provider":"openai","kind":"file","id":"file-9"}]`, /row 1: .*no owner/s],
  ]
  for (const [text, fault] of faults) t.match(await home.run(['resource', 'import', file('bad', text)]), { code: 2, stderr: fault })
  t.equal((await home.json<Listed[]>(['resource', 'list'])).length, 2, 'nothing of a file with a fault is taken')

  t.match(await home.json(['resource', 'remove', 'openai', 'file', id]), { removed: true })
  t.match(await home.run(['resource', 'remove', 'openai', 'file', id]), { code: 66 })
  t.equal(await read(alice.token), 404)
  t.match(
    await home.json(['resource', 'import', file('again.json', JSON.stringify(listed))]),
    { imported: 1, known: 1 },
    'what was listed can be imported',
  )
  t.equal(await read(alice.token), 200)
})
