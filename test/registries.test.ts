import t from 'tap'
import { sourceFiles } from './support/source-files.js'

/** Folders in which a file does nothing unless `index.ts` knows of it. */
const registries = ['providers', 'stores', 'cli/commands', 'server/routes', 'tls/dns']

for (const folder of registries) {
  t.test(`every file of ${folder}/ can be reached from its index`, async t => {
    const files = new Map(sourceFiles(`src/${folder}`).map(file => [file.path, file]))
    const reached = new Set<string>()
    const reach = (path: string): void => {
      if (reached.has(path)) return
      reached.add(path)
      for (const { file } of files.get(path)?.imports ?? []) if (file !== undefined) reach(file)
    }
    reach(`src/${folder}/index.ts`)
    t.same(
      [...files.keys()].filter(path => !reached.has(path)),
      [],
    )
  })
}
