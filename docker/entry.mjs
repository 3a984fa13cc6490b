// What a container runs as process 1. `serve` makes what is missing of the home first; `local-ca` hands out the local CA's certificate; the rest are commands of soakp.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const launcher = fileURLToPath(new URL('../bin/soakp.js', import.meta.url))
const home = process.env.SOAKP_HOME ?? '/var/lib/soakp'
const [command = 'serve', ...rest] = process.argv.slice(2)

/** Of `soakp init` where nothing is missing. */
const nothingMissing = 73

function say(...lines) {
  for (const line of lines) process.stderr.write(`soakp: ${line}\n`)
}

/** What is ended with this process. */
let child

// process 1 is not ended by a signal that nobody in it asked for; once the daemon does, it ends itself
for (const signal of ['SIGTERM', 'SIGINT']) {
  // whatever listens from the start, a profiler for one, ends nothing
  const others = process.listenerCount(signal)
  process.on(signal, () => {
    if (process.listenerCount(signal) > others + 1) return
    child?.kill(signal)
    process.exit(0)
  })
}

/** Runs soakp in a process of its own, because the one that serves reads the master key from the environment and takes it out. */
async function run(...args) {
  child = spawn(process.execPath, [launcher, '--json', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const [code] = await once(child, 'close')
  child = undefined
  return { code, stdout, stderr }
}

/** What stands in the way of a home, in words of containers; undefined where nothing does. */
function obstacle() {
  for (const folder of [home, `${home}/certs`]) {
    const found = statSync(folder, { throwIfNoEntry: false })
    if (found === undefined) continue
    const { uid, gid } = found
    if (uid === process.getuid() || process.getuid() === 0) continue
    const us = `${process.getuid()}:${process.getgid()}`
    return `${folder} belongs to ${uid}:${gid}, and soakp runs as ${us} here; on the host: sudo chown ${us} THE_FOLDER_MOUNTED_THERE`
  }
}

async function makeHome() {
  const { code, stdout, stderr } = await run('init')
  if (code === nothingMissing) return
  if (code !== 0) {
    process.stderr.write(stderr)
    const trouble = obstacle()
    if (trouble !== undefined) say(trouble)
    process.exit(code ?? 1)
  }
  const { made, masterKeyFile } = JSON.parse(stdout)
  say(`made in ${home}: ${made.map(path => path.replace(`${home}/`, '')).join(', ')}`)
  if (!made.some(path => path.endsWith('/keys.json'))) return
  say(
    masterKeyFile === null || !made.includes(masterKeyFile)
      ? 'the master key is the one that was given; keep a copy elsewhere: a lost master key is a lost vault, and no backup holds it'
      : `the master key is ${masterKeyFile}; copy it to a safe place: a lost master key is a lost vault, and no backup holds it`,
    'next: docker compose exec soakp soakp key add openai',
    '      docker compose exec soakp soakp token create --provider openai',
  )
}

if (command === 'serve' || command === 'local-ca') await makeHome()
if (command === 'local-ca') {
  const { exportCa } = await import('./local-ca.mjs')
  process.stdout.write(`${await exportCa(home)}\n`)
} else {
  process.argv.splice(1, process.argv.length, launcher, command, ...rest)
  await import(launcher)
}
