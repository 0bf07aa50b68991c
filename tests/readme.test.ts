import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test, vi } from 'vitest'
import { saveGraph } from '../src/ir/file.ts'
import { OPS } from '../src/ops/index.ts'
import { CASES } from './ops/harness.ts'
import { separable } from './support/nets.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const readme = readFileSync(`${root}README.md`, 'utf8')
const scratch = `${root}.tmp/readme-${process.pid}`
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** The types of each operator's first input among its cases. */
function testedTypes(): Map<string, Set<string>> {
  const types = new Map<string, Set<string>>()
  for (const node of CASES.flatMap((c) => c.graph().nodes)) {
    const of = types.get(node.op.name) ?? new Set()
    const first = node.inputs.find((v) => v !== undefined)
    if (first) of.add(first.type.dtype)
    types.set(node.op.name, of)
  }
  return types
}

// `npx vitest run tests/readme.test.ts -u` writes the table.
test('the table of operators lists what there is, in the types that are tested', async () => {
  const types = testedTypes()
  const rows = [...OPS.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((op) => {
      const spellings = (op.spelled.tflite ?? []).map((s) => `\`${s.name}\``).join(', ')
      return `| \`${op.name}\` | ${spellings || 'only in graphs that are built'} | ${[...(types.get(op.name) ?? [])].sort().join(', ')} |`
    })
  const table = ['| operator | in .tflite files | types |', '|---|---|---|', ...rows].join('\n')
  const [before, after] = ['<!-- operators -->', '<!-- /operators -->']
  expect(readme.split(before)).toHaveLength(2)
  expect(readme.split(after)).toHaveLength(2)
  const written = `${readme.split(before)[0]}${before}\n${table}\n${after}${readme.split(after)[1]}`
  await expect(written).toMatchFileSnapshot('../README.md')
})

test('the code of the README runs', async () => {
  const code = /```ts\n([\s\S]*?)```/.exec(readme)![1]
  mkdirSync(scratch, { recursive: true })
  writeFileSync(`${scratch}/model.tflite`, saveGraph(separable()))
  writeFileSync(
    `${scratch}/readme.ts`,
    code.replace("'mote-ml'", `'${root}src/index.ts'`).replace("'model.tflite'", `'${scratch}/model.tflite'`),
  )
  const printed = vi.spyOn(console, 'log').mockImplementation(() => {})
  await import(/* @vite-ignore */ `${scratch}/readme.ts`)
  expect(printed.mock.calls[0][0]).toMatch(/^\d+ bytes of RAM, \d+ bytes of weights$/)
  expect(printed.mock.calls[1][0]).toBeInstanceOf(Int8Array)
  printed.mockRestore()
})

test('the code of docs/in-a-web-page.md that compiles in the page runs', async () => {
  const guide = readFileSync(`${root}docs/in-a-web-page.md`, 'utf8')
  const blocks = [...guide.matchAll(/```ts\n([\s\S]*?)```/g)].map((m) => m[1])
  const code = blocks.find((block) => block.includes("from 'mote-ml'"))!
  mkdirSync(scratch, { recursive: true })
  writeFileSync(`${scratch}/page.ts`, code.replace("'mote-ml'", `'${root}src/index.ts'`))
  const net = separable()
  vi.stubGlobal('fetch', async () => new Response(new Uint8Array(saveGraph(net))))
  const printed = vi.spyOn(console, 'log').mockImplementation(() => {})
  await import(/* @vite-ignore */ `${scratch}/page.ts`)
  expect(printed.mock.calls).toEqual([[net.outputs[0].name, expect.any(Int8Array)]])
  printed.mockRestore()
  vi.unstubAllGlobals()
})
