import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../', import.meta.url))

/** Exported names of the library without a word of documentation at their declaration, members of exported types included. */
function undocumented(): string[] {
  const entry = `${root}src/index.ts`
  const config = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
  const program = ts.createProgram([entry], { ...options, noEmit: true })
  const checker = program.getTypeChecker()
  const resolved = (s: ts.Symbol) => (s.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(s) : s)
  const written = (s: ts.Symbol) => s.getDocumentationComment(checker).length > 0
  const missing: string[] = []
  for (const exported of checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(entry)!)!)) {
    const symbol = resolved(exported)
    const namespace = (symbol.flags & ts.SymbolFlags.ValueModule) !== 0
    const names = namespace ? checker.getExportsOfModule(symbol) : [symbol]
    for (const one of names)
      if (!written(resolved(one))) missing.push(namespace ? `${exported.name}.${one.name}` : exported.name)
  }
  return missing
}

test('every name that the library exports is documented where it is declared', () => {
  expect(undocumented()).toEqual([])
}, 60_000)

test('links between the pages lead to files', () => {
  const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'bench/README.md']
  for (const name of readdirSync(`${root}docs`)) if (name.endsWith('.md')) pages.push(`docs/${name}`)
  for (const page of pages) {
    const folder = page.includes('/') ? page.slice(0, page.lastIndexOf('/') + 1) : ''
    for (const [, to] of readFileSync(root + page, 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g))
      expect(() => readFileSync(root + folder + to), `${page} links to ${to}`).not.toThrow(/ENOENT/)
  }
})
