import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import ts from 'typescript'

export interface Import {
  /** As written: `node:net`, `undici`, `../lib/secret.js`. */
  readonly from: string
  /** The source file it leads to, relative to the repository; absent for packages. */
  readonly file?: string
  /** Erased by the compiler: nothing of it is there at run time. */
  readonly typeOnly: boolean
  /** Names taken; `*` for the whole module. */
  readonly names: readonly string[]
}

export interface SourceFile {
  /** Relative to the repository, with slashes: `src/lib/secret.ts`. */
  readonly path: string
  readonly lines: number
  readonly imports: readonly Import[]
  /** Property accesses such as `process.env`, and free identifiers such as `console`. */
  readonly mentions: ReadonlySet<string>
  /** The texts of all string literals. */
  readonly strings: ReadonlySet<string>
  /** Identifiers that stand as members of an array literal: what a registry lists. */
  readonly listed: ReadonlySet<string>
}

/** Every TypeScript file under `folder`, parsed. */
export function sourceFiles(folder: string): SourceFile[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map(name => read(join(folder, name)))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}

function read(file: string): SourceFile {
  const path = file.replaceAll('\\', '/')
  const text = readFileSync(file, 'utf8')
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true)
  const imports: Import[] = []
  const mentions = new Set<string>()
  const strings = new Set<string>()
  const listed = new Set<string>()
  const visit = (node: ts.Node): void => {
    const found = importOf(node, path)
    if (found) imports.push(found)
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) mentions.add(`${node.expression.text}.${node.name.text}`)
    if (ts.isIdentifier(node)) mentions.add(node.text)
    if (ts.isStringLiteralLike(node)) strings.add(node.text)
    if (ts.isArrayLiteralExpression(node)) for (const member of node.elements) if (ts.isIdentifier(member)) listed.add(member.text)
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return { path, lines: text.split('\n').length - 1, imports, mentions, strings, listed }
}

function importOf(node: ts.Node, path: string): Import | undefined {
  if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier)) {
    const [typeOnly, names] = ts.isImportDeclaration(node) ? clauseOf(node.importClause) : [node.isTypeOnly, ['*']]
    return { ...target(node.moduleSpecifier.text, path), typeOnly, names }
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [argument] = node.arguments
    if (argument && ts.isStringLiteralLike(argument)) return { ...target(argument.text, path), typeOnly: false, names: ['*'] }
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) && ts.isStringLiteral(node.argument.literal)) {
    return { ...target(node.argument.literal.text, path), typeOnly: true, names: [] }
  }
  return undefined
}

function clauseOf(clause: ts.ImportClause | undefined): [typeOnly: boolean, names: string[]] {
  if (clause === undefined) return [false, ['*']]
  const bindings = clause.namedBindings
  if (bindings && ts.isNamedImports(bindings)) {
    const values = bindings.elements.filter(element => !element.isTypeOnly).map(element => (element.propertyName ?? element.name).text)
    const names = clause.name ? ['default', ...values] : values
    return [clause.isTypeOnly || names.length === 0, names]
  }
  return [clause.isTypeOnly, ['*']]
}

function target(from: string, path: string): { from: string; file?: string } {
  if (!from.startsWith('.')) return { from }
  return {
    from,
    file: normalize(join(dirname(path), from))
      .replaceAll('\\', '/')
      .replace(/\.js$/, '.ts'),
  }
}
