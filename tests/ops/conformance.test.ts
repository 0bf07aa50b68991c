import { describe, expect, test } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import { bytesOf, type DType, type Graph, type Node, quantOf, type TensorType, type Value } from '../../src/ir/graph.ts'
import type { Surroundings } from '../../src/ir/op.ts'
import { verify } from '../../src/ir/verify.ts'
import * as L from '../../src/loops/build.ts'
import { interpret } from '../../src/loops/interpret.ts'
import type { Data, Kernel } from '../../src/loops/ir.ts'
import { mapStmt, substitute } from '../../src/loops/walk.ts'
import { OPS } from '../../src/ops/index.ts'
import { hostCompiler, type KernelRun, runKernelsHostC } from '../../src/run/host_c.ts'
import { reference } from '../../src/run/reference.ts'
import { runKernelWasm } from '../../src/run/wasm.ts'
import {
  type Bound,
  bind,
  CASES,
  difference,
  type Execution,
  executions,
  FILLS,
  inputsOfGraph,
  WITHOUT_CASES,
} from './harness.ts'

type Runner = (kernel: Kernel, args: readonly Data[]) => void

function backwards(kernel: Kernel): Kernel {
  const turned = mapStmt(
    kernel.body,
    (e) => e,
    (s) =>
      s.s === 'for' && s.parallel
        ? { ...s, body: substitute(s.body, new Map([[s.v, L.sub(L.int(s.extent - 1), L.ref(s.v))]])) }
        : s,
  )
  return { ...kernel, body: turned }
}

const RUNNERS: Readonly<Record<string, Runner>> = {
  'the interpreter': interpret,
  'the interpreter with parallel loops run backwards': (kernel, args) => interpret(backwards(kernel), args),
  WebAssembly: runKernelWasm,
}

function expectSame(e: Execution, got: Bound, where: string): void {
  e.outputs.forEach((data, i) => {
    expect(difference(data, got.outputs[i]), `${where}: output ${i} of ${e.node.op.name}`).toBeUndefined()
  })
}

function expectInputsKept(e: Execution, got: Bound, where: string): void {
  e.after.forEach((data, i) => {
    if (data)
      expect(difference(data, got.inputs[i]!), `${where}: input ${i} of ${e.node.op.name} afterwards`).toBeUndefined()
  })
}

function everyExecution(graph: Graph, fills = FILLS): { where: string; e: Execution }[] {
  const distinct = graph.inputs.length > 0 ? fills : fills.slice(0, 1)
  return distinct.flatMap((fill) => executions(graph, inputsOfGraph(graph, fill)).map((e) => ({ where: fill.name, e })))
}

test('every family of operators has cases, and no two have one name', () => {
  expect(WITHOUT_CASES).toEqual([])
  expect(CASES.length).toBeGreaterThan(0)
  expect(new Set(CASES.map((c) => c.name)).size).toBe(CASES.length)
})

describe.each(CASES)('$name', (opCase) => {
  const graph = opCase.graph()

  test('is a graph that verifies', () => {
    verify(graph)
  })

  test.each(Object.keys(RUNNERS))('gives the bits of eval in %s', (name) => {
    for (const { where, e } of everyExecution(graph)) {
      const bound = bind(e)
      RUNNERS[name](bound.kernel, bound.args)
      expectSame(e, bound, where)
      expectInputsKept(e, bound, where)
    }
  })

  test('gives the bits of eval in place, wherever an operator offers that', () => {
    for (const { where, e } of everyExecution(graph))
      for (const i of e.node.op.inPlace?.(e.node) ?? []) {
        const under = e.node.inputs[i]
        if (!under || bytesOf(under.type) < bytesOf(e.node.outputs[0].type)) continue
        const bound = bind(e, i)
        interpret(bound.kernel, bound.args)
        expectSame(e, bound, `${where}, in place of input ${i}`)
      }
  })
})

test.skipIf(!hostCompiler())(
  'every case gives the bits of eval in C (needs a C compiler)',
  () => {
    const fills = FILLS.filter((f) =>
      ['random 1', 'zero point', 'extremes', 'around the zero point', 'many magnitudes'].includes(f.name),
    )
    const all = CASES.flatMap((c) =>
      everyExecution(c.graph(), fills).map(({ where, e }) => ({ name: c.name, where, e })),
    )
    const runs = all.map(({ e }) => bind(e))
    runKernelsHostC(runs.map(({ kernel, args }): KernelRun => ({ kernel, args })))
    all.forEach(({ name, where, e }, i) => {
      expectSame(e, runs[i], `${name}, ${where}`)
      expectInputsKept(e, runs[i], `${name}, ${where}`)
    })
  },
  300_000,
)

const DTYPES: readonly DType[] = ['f32', 'i64', 'i32', 'i16', 'i8', 'u8', 'bool']

/** `node` with every type that has the first input's dtype in another one; undefined where check refuses it. */
function withDtype(node: Node, dtype: DType, quantised: boolean): Node | undefined {
  const from = node.inputs[0]?.type.dtype
  const retype = ({ quant, ...t }: TensorType): TensorType => {
    if (t.dtype !== from) return quant ? { ...t, quant } : t
    return quantised ? { ...t, dtype, quant: quant ?? quantOf(0.5, 0) } : { ...t, dtype }
  }
  const values = new Map<Value, Value>()
  const change = (v: Value) => {
    if (!values.has(v)) values.set(v, { ...v, type: retype(v.type), storage: 'temp', data: undefined })
    return values.get(v)!
  }
  const changed = { ...node, inputs: node.inputs.map((v) => v && change(v)), outputs: node.outputs.map(change) }
  try {
    node.op.check(changed)
    return changed
  } catch {
    return undefined
  }
}

const NODES: readonly Node[] = CASES.flatMap((c) => c.graph().nodes)

test('every operator has a case, and one for each dtype of its first input that check accepts', () => {
  const missing = new Set<string>()
  for (const op of OPS.values()) {
    const own = NODES.filter((node) => node.op === op)
    if (own.length === 0) missing.add(op.name)
    const covered = new Set(own.map((node) => node.inputs[0]?.type.dtype))
    for (const dtype of DTYPES)
      if (!covered.has(dtype) && own.some((n) => withDtype(n, dtype, true) || withDtype(n, dtype, false)))
        missing.add(`${op.name} ${dtype}`)
  }
  expect([...missing]).toEqual([])
})

test('every operator runs through lower', () => {
  const lowered = new Set<string>()
  const failed = new Map<string, string>()
  for (const node of NODES)
    try {
      const { kernel, args } = node.op.lower(node)
      if (kernel.bufs.length !== args.length) failed.set(node.op.name, 'buffers and arguments differ in number')
      lowered.add(node.op.name)
    } catch (error) {
      failed.set(node.op.name, `${error}`)
    }
  expect([...failed]).toEqual([])
  expect([...OPS.keys()].filter((name) => !lowered.has(name))).toEqual([])
})

const ALONE: Surroundings = { producer: () => undefined, readers: () => [], isOutput: () => true }
const SPELLED = NODES.flatMap((node) =>
  (node.op.spelled.tflite ?? []).flatMap((spelling) => {
    const record = spelling.write?.(node, ALONE)
    return record && 'inputs' in record ? [{ node, spelling, record }] : []
  }),
)
/** By name; an operator may write what another one reads. */
const READINGS = new Map(
  [...OPS.values()].flatMap((op) =>
    (op.spelled.tflite ?? []).flatMap(({ name, read }) => (read ? [[name, read]] : [])),
  ),
)

test('what an operator writes for a .tflite file, it reads back to the same bits', () => {
  expect(SPELLED.length).toBeGreaterThan(0)
  for (const { node, spelling, record } of SPELLED) {
    const where = `${spelling.name} of ${node.from}`
    const fields = Object.entries(spelling.options?.fields ?? {})
    const unknown = Object.keys(record.options).filter((key) => !fields.some(([name]) => name === key))
    expect(unknown, `${where}: options that the table lacks`).toEqual([])
    const options = Object.fromEntries(fields.map(([name, f]) => [name, record.options[name] ?? f.default]))
    const inputs = node.inputs.filter((v): v is Value => v?.storage === 'temp')
    const build = new Builder()
    const read = spelling.read ?? READINGS.get(spelling.name)!
    const outputs = read(build, {
      inputs: record.inputs,
      options,
      result: { types: node.outputs.map((v) => v.type), names: node.outputs.map((v) => v.name), from: node.from },
    })
    const again: Graph = { ...build.graph(outputs), inputs }
    const once: Graph = { name: 'once', inputs, nodes: [node], outputs: node.outputs }
    const given = inputsOfGraph(once, FILLS[0])
    const [expected, got] = [reference(once).run(given), reference(again).run(given)]
    expected.forEach((data, i) => {
      expect(difference(data, got[i]), `${where}, output ${i}`).toBeUndefined()
    })
  }
})
