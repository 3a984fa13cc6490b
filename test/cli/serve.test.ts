import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { filesIn } from '../support/canary.js'
import { type Home, homeAt, launcher, makeHome } from '../support/daemon.js'
import { until, within } from '../support/until.js'

t.test('serve says what is wrong, and ends with the code for it', async t => {
  const home = await makeHome(t)
  const daemon = await home.serve()
  t.match(await home.run(['serve', '--port', String(daemon.port)]), { code: 69, stderr: /the address is in use/ })
  t.match(await home.run(['serve', '--port', '0', '--http', '--host', '0.0.0.0']), { code: 78, stderr: /SOAKP_TRUST_PROXY/ })
  t.match(await home.run(['serve', '--port', 'x']), { code: 78, stderr: /SOAKP_PORT/ })
  t.match(await homeAt(join(home.dir, 'none'), {}, t).run(['serve', '--port', '0']), { code: 66, stderr: /soakp init/ })
})

/** `serve --first-run` as `npm start` runs it, on what it takes for a terminal or not. */
function firstRun(home: Home, t: { teardown(handler: () => unknown): unknown }, { terminal }: { readonly terminal: boolean }) {
  const asTerminal = terminal ? ['--import', 'data:text/javascript,process.stderr.isTTY=true'] : []
  const child = spawn(process.execPath, [...asTerminal, launcher, 'serve', '--first-run', '--port', '0'], {
    env: home.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const ended = once(child, 'exit')
  const said = (pattern: RegExp) =>
    until(
      () => {
        if (child.exitCode !== null) throw new Error(`it ended: ${output}`)
        return pattern.test(output)
      },
      String(pattern),
      () => output,
    )
  return { child, said, output: () => output, ended: () => within(ended, 'the daemon') }
}

t.test('serve --first-run makes the home; without a terminal it prints no token', async t => {
  const home = homeAt(join(t.testdir(), 'home'), {}, t)
  const { child, said, output, ended } = firstRun(home, t, { terminal: false })
  await said(/"listening"/)
  child.kill('SIGTERM')
  t.same(await ended(), [0, null])
  t.match(output(), 'a lost master key is a lost vault')
  t.notMatch(output(), 'eyJ')
  t.same(await home.json(['token', 'list']), [])
})

t.test('the curl line that a first run prints works as it stands, and a later run replaces its token', async t => {
  // a folder whose name the shell would take apart
  const home = homeAt(join(t.testdir(), "it's a home"), {}, t)
  const lines: string[] = []
  for (const _ of [1, 2]) {
    const { child, said, output, ended } = firstRun(home, t, { terminal: true })
    await said(/^ {2}curl -N [\s\S]*\}'\n/m)
    const line = /^ {2}curl -N [\s\S]*?\}'$/m.exec(output())?.[0] ?? ''
    const { stdout } = await promisify(execFile)('sh', ['-c', `${line} --fail --silent --show-error`], { env: home.env })
    t.match(stdout, /^data: \{[\s\S]*Hello[\s\S]*data: \[DONE\]/)
    lines.push(line)
    if (lines.length === 2) {
      const formerToken = (lines[0] ?? '').match(/eyJ[\w.-]+/)?.[0] ?? ''
      const former = line.replace(/eyJ[\w.-]+/, formerToken)
      const refused = await promisify(execFile)('sh', ['-c', `${former} --silent`], { env: home.env })
      t.match(refused.stdout, 'token_revoked')
    }
    child.kill('SIGHUP')
    t.same(await ended(), [0, null], 'a terminal that goes away ends it in order')
  }
  t.match(await home.json(['token', 'list']), { length: 1 })
})

t.test('a signal that comes while the daemon starts is not lost', async t => {
  const { child, said, ended } = firstRun(homeAt(join(t.testdir(), 'home'), {}, t), t, { terminal: false })
  await said(/a lost master key/)
  child.kill('SIGTERM')
  t.same(await ended(), [0, null])
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
