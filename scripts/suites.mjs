// Runs test files side by side, each as the program it is: `node FILE`. By `tap run` each would pay for loaders that serve coverage and mocks, which no test here uses:
// a second of work a file.
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { root } from './prepare.mjs'

/** Seconds that a test of a file may take; a machine that is busy with others is no reason to fail. */
const patienceSeconds = 600

/** Begun first, so that none of them is left to run alone at the end; those that work beside those that wait. */
const longOnes = [
  'e2e/crash',
  'tls/acme/faults',
  'e2e/keys',
  'cli/cert-renew',
  'e2e/cert-life',
  'e2e/sdk',
  'e2e/leak',
  'e2e/closed-rows',
  'tls/dns/proof/solver',
  'e2e/interleaved',
  'e2e/sdk-dialects',
  'e2e/sockets-pressure',
  'e2e/resources',
  'e2e/resources-hostile',
  'e2e/quotas',
  'tls/dns/rfc2136',
  'e2e/package',
  'e2e/certbot',
]

/** More than there are cores: a file waits for its daemons and servers as often as it works. */
const jobs = Number(process.env.TAP_JOBS) || availableParallelism() + 1

/**
 * Runs the files and hands over, as soon as one has ended, `{ name, lines, ok, seconds }`: what it printed in TAP, whether it ended well and printed all it had planned.
 * Stderr goes to ours.
 */
export async function runSuites(files, onEnd) {
  const order = longOnes.map(name => `dist/test/${name}.test.js`)
  const rank = file => (order.includes(file) ? order.indexOf(file) : order.length)
  const queue = [...files].sort((a, b) => rank(a) - rank(b))
  const running = new Set()
  const stop = signal => {
    queue.length = 0
    for (const child of running) endGroup(child, signal)
  }
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(signal))
  const work = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) onEnd(await runOne(file, running))
  }
  await Promise.all(Array.from({ length: jobs }, work))
}

function runOne(name, running) {
  const begun = performance.now()
  const child = spawn(process.execPath, ['--enable-source-maps', name], {
    cwd: root,
    // a group of its own, so that what it started can be ended with it
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TAP_TIMEOUT: String(patienceSeconds) },
  })
  running.add(child)
  // tap sees to its own timeout; this is for what does not listen any longer
  const timer = setTimeout(() => endGroup(child, 'SIGKILL'), (patienceSeconds + 60) * 1000)
  let text = ''
  child.stdout.setEncoding('utf8').on('data', part => {
    text += part
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      running.delete(child)
      const lines = text.trimEnd().split('\n')
      const hasTests = lines.some(line => /^1\.\.[1-9]/.test(line))
      const why = code !== 0 ? `# ended with ${code ?? signal}` : hasTests ? [] : '# ended without a test'
      resolve({ name, lines: lines.concat(why), ok: code === 0 && hasTests, seconds: (performance.now() - begun) / 1000 })
    })
  })
}

function endGroup(child, signal) {
  try {
    process.kill(-child.pid, signal)
  } catch {
    // it has ended
  }
}
