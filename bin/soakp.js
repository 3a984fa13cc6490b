#!/usr/bin/env node
import { existsSync } from 'node:fs'

const [major, minor] = process.versions.node.split('.').map(Number)
const main = new URL('../dist/src/cli/main.js', import.meta.url)

if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`soakp: needs Node 20.19 or later; this is ${process.versions.node}\n`)
  process.exitCode = 1
} else if (!existsSync(main)) {
  process.stderr.write('soakp: not built yet\n  run `npm run build` first\n')
  process.exitCode = 1
} else {
  const { main: run } = await import(main)
  process.exitCode = await run(process.argv.slice(2))
}
