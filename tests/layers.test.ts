import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, test } from 'vitest'

const SRC = fileURLToPath(new URL('../src/', import.meta.url))
const ORDER =
  'errors.ts loops ir ops web import export targets passes plan report emit run train compress io cli index.ts'.split(
    ' ',
  )
const MAY_USE_NODE = /^(cli|io)\/|^run\/((device|host)\w*|serial|trial)\.ts$/

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.ts'))
const textOf = (file: string) => readFileSync(join(SRC, file), 'utf8')
const imports = new Map(files.map((f) => [f, ts.preProcessFile(textOf(f)).importedFiles.map((i) => i.fileName)]))
const localImportsOf = (file: string) =>
  imports
    .get(file)!
    .filter((i) => i.startsWith('.'))
    .map((i) => relative(SRC, join(SRC, dirname(file), i)))
const floorOf = (file: string) => ORDER.indexOf(file.split(/[/\\]/)[0])

/** The names that a file uses as global functions or objects: called, constructed, or asked for a property. */
function globalsOf(file: string): Set<string> {
  const used = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) || ts.isNewExpression(node) || ts.isPropertyAccessExpression(node))
      if (ts.isIdentifier(node.expression)) used.add(node.expression.text)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, textOf(file), ts.ScriptTarget.ES2022))
  return used
}
const globals = new Map(files.map((f) => [f, globalsOf(f)]))

test('every folder has a place in the order', () => {
  expect(files.filter((file) => floorOf(file) < 0)).toEqual([])
})

test('a folder imports only from folders above it', () => {
  const wrong = files.flatMap((file) =>
    localImportsOf(file).flatMap((target) => (floorOf(target) > floorOf(file) ? [`${file} imports ${target}`] : [])),
  )
  expect(wrong).toEqual([])
})

test('only the command line, samples and the C runners use Node', () => {
  const using = files.filter(
    (file) =>
      imports.get(file)!.some((i) => i.startsWith('node:')) ||
      ['process', 'Buffer', 'require'].some((name) => globals.get(file)!.has(name)),
  )
  expect(using.filter((file) => !MAY_USE_NODE.test(file))).toEqual([])
  expect(using).toContain('cli/main.ts')
})

test('nothing that the library exports reaches Node', () => {
  const reached = new Set<string>(['index.ts'])
  for (const file of reached) for (const target of localImportsOf(file)) reached.add(target)
  expect(reached.size).toBeGreaterThan(40)
  expect([...reached].filter((file) => MAY_USE_NODE.test(file))).toEqual([])
})

test('no code is generated at run time', () => {
  expect(files.filter((file) => globals.get(file)!.has('eval') || globals.get(file)!.has('Function'))).toEqual([])
})
