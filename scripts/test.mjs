// `npm test [-- FILE…]`: lint, types, every suite. The last line counts: `N passed, N failed`.
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { checkNode, forgetBuilds, install, installSuitePrograms, orTrouble, prune, root, tool } from './prepare.mjs'
import { countTap } from './tap-count.mjs'

const print = line => process.stdout.write(`${line}\n`)

await orTrouble(async () => {
  checkNode()
  install()
  installSuitePrograms()
  const total = { passed: 0, failed: 0, skipped: [] }
  check('lint', 'biome', ['check'], total)
  forgetBuilds(['src', 'test'])
  // compiled even where the types are wrong, so that one run tells everything
  check('types', 'tsc', ['-p', 'tsconfig.json'], total)
  for (const folder of ['src', 'test', 'bench']) prune(folder)
  const wanted = process.argv.slice(2).map(file => file.replace(/^(?:dist\/)?/, 'dist/').replace(/\.ts$/, '.js'))
  await suites(wanted.length > 0 ? wanted : allSuites(), total)
  for (const { name, why } of total.skipped) print(`skipped: ${name}: ${why}`)
  const skipped = total.skipped.length > 0 ? `, ${total.skipped.length} skipped` : ''
  print(`${total.passed} passed, ${total.failed} failed${skipped}`)
  process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1
})

/** A check that is one test: it passes or it shows what it said. */
function check(title, name, args, total) {
  const [node, first] = tool(name)
  const { status, stdout, stderr } = spawnSync(node, [...first, ...args], { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  total[status === 0 ? 'passed' : 'failed']++
  print(`${status === 0 ? 'ok    ' : 'FAILED'} ${title}`)
  if (status !== 0) print(`${stdout}${stderr}`.trimEnd())
}

/** Named one by one: by itself tap looks away from folders called `dist`. */
function allSuites() {
  return readdirSync(join(root, 'dist/test'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.test.js'))
    .map(name => `dist/test/${name}`)
    .sort()
}

function suites(wanted, total) {
  mkdirSync(join(root, '.tap'), { recursive: true })
  const [node, first] = tool('tap')
  const child = spawn(node, [...first, 'run', '--reporter=tap', ...wanted], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  const counter = countTap(file => {
    total.passed += file.passed
    total.failed += file.failed
    total.skipped.push(...file.skipped)
    print(
      `${file.failed === 0 ? 'ok    ' : 'FAILED'} ${file.name.replace(/^dist\/(.*)\.js$/, '$1.ts')} (${file.passed}${file.failed > 0 ? `, ${file.failed} failed` : ''})`,
    )
    if (file.failed > 0) print(file.lines.join('\n'))
  })
  createInterface({ input: child.stdout }).on('line', counter.line)
  return new Promise(resolve =>
    child.on('close', code => {
      counter.end()
      // tap found fault where no suite did: one that crashed without a result, or a run cut short
      if (code !== 0 && total.failed === 0) {
        print(`FAILED the run itself (tap ended with ${code})`)
        total.failed++
      }
      resolve()
    }),
  )
}
