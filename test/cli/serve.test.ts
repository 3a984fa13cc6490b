import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { filesIn } from '../support/canary.js'
import { homeAt, launcher, makeHome } from '../support/daemon.js'

t.test('serve says what is wrong, and ends with the code for it', async t => {
  const home = await makeHome(t)
  const daemon = await home.serve()
  t.match(await home.run(['serve', '--port', String(daemon.port)]), { code: 69, stderr: /the address is in use/ })
  t.match(await home.run(['serve', '--port', '0', '--http', '--host', '0.0.0.0']), { code: 78, stderr: /SOAKP_TRUST_PROXY/ })
  t.match(await home.run(['serve', '--port', 'x']), { code: 78, stderr: /SOAKP_PORT/ })
  t.match(await homeAt(join(home.dir, 'none'), {}, t).run(['serve', '--port', '0']), { code: 66, stderr: /soakp init/ })
})

t.test('serve --first-run makes the home; without a terminal it prints no token', async t => {
  const home = homeAt(join(t.testdir(), 'home'), {}, t)
  const child = spawn(process.execPath, [launcher, 'serve', '--first-run', '--port', '0'], {
    env: home.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  const listening = new Promise<void>(resolve => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (output.includes('"listening"')) resolve()
      })
    }
  })
  await Promise.race([listening, once(child, 'exit')])
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
  t.match(output, 'a lost master key is a lost vault')
  t.notMatch(output, 'eyJ')
  t.same(await home.json(['token', 'list']), [])
})

t.test('demo walks through everything and leaves nothing behind', async t => {
  const tmp = t.testdir({})
  const home = homeAt(join(tmp, 'never-made'), { TMPDIR: tmp, SOAKP_DATABASE_URL: `sqlite:${join(tmp, 'mine.db')}` }, t)
  const { code, stdout, stderr } = await home.run(['demo'])
  t.equal(code, 0)
  t.equal(stdout, '')
  t.match(stderr, /\$ soakp token create[\s\S]*200, streamed in \d+ pieces: Hello[\s\S]*\$ soakp usage[\s\S]*token_revoked/)
  t.same(filesIn(tmp), [], 'not even where the settings point')
  t.match(
    (await home.json<{ command: string }[]>(['demo'])).map(step => step.command.split(' ')[0]),
    /soakp/,
  )
})
