import t from 'tap'
import { filesIn, find, findInFiles, textCanary } from '../support/canary.js'
import { chat } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { anyProvider } from '../support/scripts.js'
import { freshKey } from '../support/stage.js'
import { startUpstream } from '../support/upstream.js'

t.test(
  'the first ten minutes: a key goes in, a token comes out, a call goes through, is counted, and is refused after the revocation',
  async t => {
    const upstream = await startUpstream(anyProvider)
    t.teardown(() => upstream.close())
    const home = await makeHome(t)
    const daemon = await home.serve()
    const secret = freshKey('openai')
    // with the daemon running: what the CLI changes, the daemon obeys
    const added = await home.run(['key', 'add', 'openai', '--stdin', '--base-url', upstream.url, '--allow-private'], secret)
    t.match(added, { code: 0, stdout: /^stored key_\w{22} \(openai, default\)\n$/ })
    const created = await home.run(['token', 'create', '--provider', 'openai', '--rate', '60/m'])
    const token = created.stdout.trim()
    t.equal((await chat(daemon, token)).status, 200)
    const [grant] = await home.json<{ id: string }[]>(['token', 'list'])
    const id = grant?.id ?? ''
    t.match(await home.json(['usage', '--by', 'model', '--since', '1h']), [
      { model: 'gpt-4o-mini', calls: 1, inputTokens: 11, outputTokens: 7 },
    ])
    t.match(await home.json(['usage', '--by', 'grant']), [{ grant: id, calls: 1 }])
    t.match((await home.run(['usage', '--by', 'provider'])).stdout, /^PROVIDER +CALLS .*\nopenai +1 /)
    t.match((await home.run(['usage', '--by', 'day', '--csv'])).stdout, /^day,calls,.*\r\n\d{4}-\d\d-\d\d,1,0,0,11,/)
    t.equal((await home.run(['usage', '--csv', '--json'])).code, 2)
    await home.json(['token', 'set', id, '--models', 'o3'])
    t.equal((await chat(daemon, token)).status, 403)
    await home.json(['token', 'set', id, '--no-models'])
    const next = await home.json<{ token: string }>(['token', 'rotate', id])
    t.equal((await chat(daemon, token)).status, 401, 'without a grace the old token has ended')
    t.equal((await chat(daemon, next.token)).status, 200)
    t.equal((await home.run(['token', 'revoke', id, '--now'])).code, 0)
    t.equal((await chat(daemon, next.token)).status, 401)
    t.equal(await daemon.stop(), 0)
    const canary = textCanary('provider key', secret)
    t.same(findInFiles([canary], filesIn(home.dir)), [])
    t.same(find([canary], Buffer.from(daemon.output() + added.stdout + added.stderr)), [])
  },
)
