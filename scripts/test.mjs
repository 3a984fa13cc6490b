// `npm test [-- FILE…]`: lint, types, every suite. The last line counts: `N passed, N failed`.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { checkNode, forgetBuilds, install, installSuitePrograms, orTrouble, prune, root, tool } from './prepare.mjs'
import { runSuites } from './suites.mjs'
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

function allSuites() {
  return readdirSync(join(root, 'dist/test'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.test.js'))
    .map(name => `dist/test/${name}`)
    .sort()
}

async function suites(wanted, total) {
  let took = 0
  const counter = countTap(file => {
    total.passed += file.passed
    total.failed += file.failed
    total.skipped.push(...file.skipped)
    const time = took < 10 ? '' : ` ${Math.round(took)} s`
    print(
      `${file.failed === 0 ? 'ok    ' : 'FAILED'} ${file.name.replace(/^dist\/(.*)\.js$/, '$1.ts')} (${file.passed}${file.failed > 0 ? `, ${file.failed} failed` : ''})${time}`,
    )
    if (file.failed > 0) print(file.lines.join('\n'))
  })
  await runSuites(wanted, ({ name, lines, ok, seconds }) => {
    took = seconds
    for (const line of [`# Subtest: ${name}`, ...lines.map(each => `    ${each}`), `${ok ? '' : 'not '}ok 1 - ${name}`]) counter.line(line)
    counter.end()
  })
}
