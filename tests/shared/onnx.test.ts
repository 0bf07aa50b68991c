import { expect, test } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { writeOnnx } from '../../src/export/onnx.ts'
import { onnxSpellings } from '../../src/import/onnx.ts'
import { decodeModel } from '../../src/import/onnx_schema.ts'
import type { Graph } from '../../src/ir/graph.ts'
import type { OpCase } from '../../src/ops/case.ts'
import { hostCompiler } from '../../src/run/host_c.ts'
import { dataSets, differs, graphOf, type OnnxCase, onnxCases, RUNNERS, type Verdict, verdictOf } from './onnx_cases.ts'
import { describeShared, sharedModel, sharedNames } from './shared.ts'

type Results = ReadonlyMap<string, { readonly ops: readonly string[]; readonly verdict: Verdict }>
type Counts = Record<Verdict['kind'], number>

const key = (c: OnnxCase) => `${c.suite}/${c.test}`

/** A case counts for each operator in it. */
function countsByOperator(results: Results): Map<string, Counts> {
  const rows = new Map<string, Counts>()
  for (const { ops, verdict } of results.values())
    for (const op of ops) {
      const row = rows.get(op) ?? { pass: 0, refused: 0, dtype: 0, wrong: 0 }
      row[verdict.kind]++
      rows.set(op, row)
    }
  return rows
}

function total(results: Results, kind: Verdict['kind']): number {
  return [...results.values()].filter((r) => r.verdict.kind === kind).length
}

function reasons(results: Results, kind: Verdict['kind']): string[] {
  return [...results].flatMap(([name, { verdict }]) =>
    verdict.kind === kind && 'why' in verdict ? [`${name}: ${verdict.why}`] : [],
  )
}

function summary(results: Results): string {
  return (['pass', 'refused', 'wrong', 'dtype'] as const).map((kind) => `${kind} ${total(results, kind)}`).join(', ')
}

function table(results: Results): string {
  return [...countsByOperator(results)]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([op, r]) => `${op.padEnd(28)} pass ${r.pass}  refused ${r.refused}  wrong ${r.wrong}  other types ${r.dtype}`)
    .join('\n')
}

async function resultsOf(cases: readonly OnnxCase[], runner: string): Promise<Results> {
  const results = new Map<string, { ops: readonly string[]; verdict: Verdict }>()
  for (const c of cases) results.set(key(c), { ops: c.ops, verdict: await verdictOf(c, RUNNERS[runner]) })
  return results
}

const modules = import.meta.glob<{ cases: readonly OpCase[] }>('../../src/ops/*/cases.ts', { eager: true })

/** Types of the nodes in what the writer makes of the cases of operators, of those here that pass, and of the models. */
function writtenTypes(results: Results): Set<string> {
  const types = new Set<string>()
  const add = (graph: Graph) => {
    for (const { opType, domain } of decodeModel(writeOnnx(graph)).graph!.nodes)
      types.add(domain ? `${domain}.${opType}` : `${opType}`)
  }
  for (const c of Object.values(modules).flatMap((m) => m.cases))
    try {
      add(c.graph())
    } catch (error) {
      if (!(error instanceof ModelError)) throw error
    }
  for (const c of onnxCases()) if (results.get(key(c))?.verdict.kind === 'pass') add(graphOf(c, dataSets(c)[0]).graph)
  for (const name of sharedNames('models/onnx').filter((n) => n.endsWith('.onnx')))
    add(sharedModel(`models/onnx/${name}`))
  return types
}

/** docs/onnx-operators.md. */
function page(results: Results): string {
  const written = writtenTypes(results)
  const counts = countsByOperator(results)
  const names = [...new Set([...onnxSpellings().keys(), 'If', ...counts.keys()])].sort()
  const read = new Set([...onnxSpellings().keys(), 'If'])
  const eligible = total(results, 'pass') + total(results, 'refused') + total(results, 'wrong')
  const row = (name: string) => {
    const r = counts.get(name)
    const cases = r ? `${r.pass} of ${r.pass + r.refused + r.wrong}` : 'none here'
    return `| ${name} | ${read.has(name) ? 'yes' : 'no'} | ${written.has(name) ? 'yes' : ''} | ${cases} |`
  }
  return [
    '# ONNX operators',
    '',
    'Made by `npx vitest run tests/shared/onnx.test.ts -u`, which runs the conformance cases of the ONNX project through the',
    'whole compiler in WebAssembly. A case counts for every operator in it; cases whose tensors have other types than f32,',
    'f16, f64, i8, u8, i16, i32, i64 and bool are left out. Whatever is not supported is refused with an error that names the layer.',
    '',
    `Of ${eligible} cases ${total(results, 'pass')} pass and ${total(results, 'refused')} are refused.`,
    '',
    'Of what is read everything that these cases hold can be written as .onnx again, with the same bits; an operator that is',
    'read as several others is written as those.',
    '',
    '| operator | read | written | cases that pass |',
    '|---|---|---|---|',
    ...names.map(row),
    '',
    '## Refused cases',
    '',
    ...reasons(results, 'refused').map((line) => `- ${line}`),
    '',
  ].join('\n')
}

const FILTERED = process.env.MOTE_ONNX !== undefined
/** C takes a compiler run for each case: MOTE_NIGHTLY=1. */
const names = Object.keys(RUNNERS).filter((name) => name !== 'C' || (process.env.MOTE_NIGHTLY && hostCompiler()))

test('an answer that is off by one part in a hundred, or by one, is a wrong one', () => {
  const real = { type: { dtype: 'f32', shape: [2] }, data: Float32Array.of(1, 2) } as const
  const whole = { type: { dtype: 'i32', shape: [2] }, data: Int32Array.of(1, 2000) } as const
  expect(differs(Float32Array.of(1.0001, 2), real)).toBeUndefined()
  expect(differs(Float32Array.of(1, 2.02), real)).toMatch(/element 1/)
  expect(differs(Float32Array.of(1, Number.NaN), real)).toMatch(/element 1/)
  expect(differs(Int32Array.of(1, 2001), whole)).toMatch(/element 1/)
  expect(differs(Int32Array.of(1), whole)).toMatch(/1 elements/)
})

describeShared('the conformance cases of ONNX', () => {
  test.each(names)(
    'pass or are refused, and none is answered wrongly, by %s',
    async (name) => {
      const results = await resultsOf(onnxCases(), name)
      if (FILTERED) console.log([table(results), ...reasons(results, 'refused').map((l) => `refused ${l}`)].join('\n'))
      console.log(`${name}: ${summary(results)}`)
      expect(reasons(results, 'wrong')).toEqual([])
      if (FILTERED || name !== 'WebAssembly') return
      expect(total(results, 'pass') / (total(results, 'pass') + total(results, 'refused'))).toBeGreaterThan(0.85)
      await expect(page(results)).toMatchFileSnapshot('../../docs/onnx-operators.md')
    },
    1_200_000,
  )
})
