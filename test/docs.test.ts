import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { schema, settingNames } from '../src/config/schema.js'
import { errors } from '../src/errors.js'
import { sourceFiles } from './support/source-files.js'

const { pages } = (await import(pathToFileURL(resolve('scripts/docs.mjs')).href)) as { pages(): Promise<Map<string, string>> }

const source = sourceFiles('src')
const written = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'certs/README.md',
  ...readdirSync('docs').map(name => `docs/${name}`),
].filter(existsSync)

t.test('no generated page is stale', async t => {
  for (const [path, text] of await pages()) t.equal(existsSync(path) ? readFileSync(path, 'utf8') : '', text, `${path}: npm run docs`)
})

t.test('every row of the table of errors is raised somewhere', async t => {
  const raised = new Set(source.filter(file => file.path !== 'src/errors.ts').flatMap(file => [...file.strings]))
  t.same(
    Object.keys(errors).filter(code => !raised.has(code)),
    [],
  )
})

t.test('every setting is explained, and does something', async t => {
  const page = readFileSync('docs/configuration.md', 'utf8')
  const read = new Set(source.filter(file => !file.path.startsWith('src/config/')).flatMap(file => [...file.mentions]))
  for (const name of settingNames) {
    t.ok(page.includes(`\`${schema[name].env}\``), `${schema[name].env} is explained`)
    t.ok(read.has(name), `${schema[name].env} does something`)
  }
})

t.test('a page names no setting that does not exist', async t => {
  const names = new Set<string>(settingNames.map(name => schema[name].env))
  for (const path of written) {
    const unknown = (readFileSync(path, 'utf8').match(/\bSOAKP_[A-Z_]+\b/g) ?? []).filter(
      name => !names.has(name) && !name.endsWith('_') && !name.startsWith('SOAKP_HOOK_'),
    )
    t.same(unknown, [], path)
  }
})

t.test('every link between pages leads to a file, and to a heading where it names one', async t => {
  for (const path of written) {
    const links = [...readFileSync(path, 'utf8').matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)].map(match => match[1] ?? '')
    t.same(
      links.filter(link => !leads(link, path)),
      [],
      path,
    )
  }
})

function leads(link: string, from: string): boolean {
  const [file = '', heading] = link.split('#')
  const path = file === '' ? from : join(dirname(from), file)
  if (!existsSync(path)) return false
  return heading === undefined || headings(readFileSync(path, 'utf8')).includes(heading)
}

/** Anchors as GitHub makes them. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#{1,6} (.*)$/gm)].map(match =>
    (match[1] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  )
}
