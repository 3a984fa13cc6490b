// `npm start`: from a fresh clone to a running daemon. What is done already is not done again. Arguments go to `soakp serve`.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, checkNode, install, orTrouble, root } from './prepare.mjs'

await orTrouble(async () => {
  checkNode()
  install()
  build('tsconfig.build.json', ['src'])
  // npm runs scripts in the package's folder; paths on the command line are relative to where the user stands
  if (process.env.INIT_CWD) process.chdir(process.env.INIT_CWD)
  const launcher = join(root, 'bin/soakp.js')
  process.argv.splice(1, process.argv.length, launcher, 'serve', '--first-run', ...process.argv.slice(2))
  await import(pathToFileURL(launcher).href)
})
