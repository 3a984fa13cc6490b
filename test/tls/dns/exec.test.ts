import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { exec } from '../../../src/tls/dns/exec.js'
import { type DnsStage, openStaged, refusal, testDnsProvider } from '../../contracts/dns-provider.js'
import { temporaryFolder } from '../../support/acme/index.js'
import { until } from '../../support/until.js'

const provider = exec
const name = '_acme-challenge.www.example.com'
const record = (value: string, domain = 'www.example.com') => ({
  name: `_acme-challenge.${domain}`,
  value,
  challenge: { domain, token: `token-${value}`, keyAuthorization: `token-${value}.print` },
})

function script(folder: string, file: string, lines: string): string {
  const path = join(folder, file)
  writeFileSync(path, `#!/bin/sh\nset -eu\n${lines}\n`)
  chmodSync(path, 0o755)
  return path
}

/** A script that keeps each value as a file, in a folder for each name. */
async function start(t: Test): Promise<DnsStage> {
  const folder = temporaryFolder(t)
  const path = script(
    folder,
    'dns.sh',
    `dir="${folder}/$2"\nmkdir -p "$dir"\ncase "$1" in present) : > "$dir/$3" ;; cleanup) rm -f "$dir/$3" ;; *) exit 3 ;; esac`,
  )
  const dir = (name: string) => join(folder, `${name}.`)
  return {
    variables: { EXEC_PATH: path },
    values: name => (existsSync(dir(name)) ? readdirSync(dir(name)) : []),
    put(name, value) {
      mkdirSync(dir(name), { recursive: true })
      writeFileSync(join(dir(name), value), '')
    },
  }
}

testDnsProvider(t, { provider, start, zones: 'none' })

const open = (t: Test, variables: Readonly<Record<string, string>>) => openStaged(t, { provider }, { variables, values: () => [] })

t.test('the program sees a built environment and its arguments as they are: no shell, no variable of ours', async t => {
  const folder = temporaryFolder(t)
  process.env.EXEC_TEST_CANARY = 'canary'
  t.teardown(() => delete process.env.EXEC_TEST_CANARY)
  const path = script(folder, 'show.sh', `env -0 > ${folder}/env; printf '%s\\n' "$@" > ${folder}/args`)
  const { account } = open(t, { EXEC_PATH: JSON.stringify([path, 'first', '$(id) "; rm -rf']) })
  await account.add(await account.zoneOf(name), [record('$(touch x)')])
  t.same(readFileSync(`${folder}/args`, 'utf8').trim().split('\n'), ['first', '$(id) "; rm -rf', 'present', `${name}.`, '$(touch x)'])
  const names = readFileSync(`${folder}/env`, 'utf8')
    .split('\0')
    .map(variable => variable.split('=')[0] ?? '')
    // a shell's own, and what tap puts into every process that a suite starts
    .filter(one => !['', 'PWD', 'OLDPWD', '_', 'SHLVL', 'NODE_OPTIONS'].includes(one) && !one.startsWith('_TAPJS_'))
  t.same(names.sort(), ['HOME', 'LANG', 'PATH'])
})

t.test('in RAW mode it is told domain, token and key authorization, as lego tells it', async t => {
  const folder = temporaryFolder(t)
  const path = script(folder, 'raw.sh', `printf '%s\\n' "$@" >> ${folder}/args`)
  const { account } = open(t, { EXEC_PATH: path, EXEC_MODE: 'RAW' })
  const zone = await account.zoneOf(name)
  await account.add(zone, [record('v')])
  await account.remove(zone, [record('v')])
  const expected = (what: string) => [what, '--', 'www.example.com', 'token-v', 'token-v.print']
  t.same(readFileSync(`${folder}/args`, 'utf8').trim().split('\n'), [...expected('present'), ...expected('cleanup')])
})

t.test('hooks made for Certbot find what Certbot tells them, and the second what the first has printed', async t => {
  const folder = temporaryFolder(t)
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
  const tokens = '${CERTBOT_TOKEN-no} ${CERTBOT_AUTH_OUTPUT-none}'
  const show = `echo "$CERTBOT_DOMAIN $CERTBOT_VALIDATION $CERTBOT_REMAINING_CHALLENGES $CERTBOT_ALL_DOMAINS ${tokens}"`
  const { account, told } = open(t, {
    EXEC_AUTH_HOOK: script(folder, 'auth.sh', `${show} >> ${folder}/log; echo "id of $CERTBOT_VALIDATION"`),
    EXEC_CLEANUP_HOOK: script(folder, 'cleanup.sh', `${show} >> ${folder}/log`),
  })
  const records = [record('v1'), record('v2'), record('v3', 'example.org')]
  const zone = await account.zoneOf(name)
  await account.add(zone, records)
  await account.remove(zone, records)
  t.same(readFileSync(`${folder}/log`, 'utf8').trim().split('\n'), [
    'www.example.com v1 2 www.example.com,example.org no none',
    'www.example.com v2 1 www.example.com,example.org no none',
    'example.org v3 0 www.example.com,example.org no none',
    'www.example.com v1 2 www.example.com,example.org no id of v1',
    'www.example.com v2 1 www.example.com,example.org no id of v2',
    'example.org v3 0 www.example.com,example.org no id of v3',
  ])
  t.ok(
    told.some(line => line.endsWith('auth.sh: id of v1')),
    'what a hook prints is told',
  )
})

t.test('a program that fails, hangs or is not there is told with what it said last', async t => {
  const folder = temporaryFolder(t)
  const failing = script(folder, 'fail.sh', 'echo trying; echo "no such zone" >&2; exit 7')
  const pidFile = join(folder, 'pid')
  const hanging = script(folder, 'hang.sh', `sleep 600 & echo $! > ${pidFile}.new; mv ${pidFile}.new ${pidFile}; wait`)
  const fail = async (variables: Readonly<Record<string, string>>) => {
    const error = await refusal(open(t, variables).account.add({ id: '.', name: '' }, [record('v')]))
    t.equal(error.code, 'dns_provider_failed')
    return error.detail ?? ''
  }
  t.equal(await fail({ EXEC_PATH: failing }), `${failing} ended with 7: no such zone`)
  t.match(await fail({ EXEC_PATH: join(folder, 'missing') }), 'missing is not there')
  t.match(await fail({ EXEC_PATH: hanging, EXEC_TIMEOUT: '1' }), 'did not end within 1 s and was killed')
  const pid = Number(readFileSync(pidFile, 'utf8'))
  await until(() => !isRunning(pid), 'what the program had started to end')
})

/** A process that ended and that nobody has waited for counts as ended. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

t.test('settings that cannot be meant are refused', async t => {
  const refuse = (variables: Readonly<Record<string, string>>) => t.throws(() => open(t, variables), { code: 'dns_settings_incomplete' })
  refuse({})
  refuse({ EXEC_PATH: '["unfinished"' })
  refuse({ EXEC_PATH: '[]' })
  refuse({ EXEC_PATH: '/bin/true', EXEC_MODE: 'raw' })
  refuse({ EXEC_PATH: '/bin/true', EXEC_TIMEOUT: 'soon' })
})
