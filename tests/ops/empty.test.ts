// Every case of every operator with a 0 in the shape of one of its inputs: it is refused as the user's fault, or all
// runners agree on what it means.

import { expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { ModelError } from '../../src/errors.ts'
import { Builder } from '../../src/ir/build.ts'
import type { Graph, Value } from '../../src/ir/graph.ts'
import { verify } from '../../src/ir/verify.ts'
import { add } from '../../src/ops/binary/op.ts'
import { f32, opCase } from '../../src/ops/case.ts'
import { averagePool2d } from '../../src/ops/pool/op.ts'
import { reduceMax, sum } from '../../src/ops/reduce/op.ts'
import { concat } from '../../src/ops/shape/concat.ts'
import { slice } from '../../src/ops/slice/op.ts'
import { softmax } from '../../src/ops/softmax/op.ts'
import { hostCompiler, runHostC, STRICT } from '../../src/run/host_c.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { CASES, difference, FILLS, inputsOfGraph } from './harness.ts'

/** The graph with extent 0 along `axis` of input `i`, the rest inferred again; undefined where an operator refuses it. */
function emptied(graph: Graph, i: number, axis: number): Graph | undefined {
  const build = new Builder(graph.name)
  const to = new Map<Value, Value>()
  for (const [k, v] of graph.inputs.entries())
    to.set(v, build.input(v.name, { ...v.type, shape: v.type.shape.map((d, a) => (k === i && a === axis ? 0 : d)) }))
  const now = (v: Value) => to.get(v) ?? v
  try {
    for (const { op, inputs, attrs, outputs } of graph.nodes) {
      const quant = outputs[0]?.type.quant
      const made = build.add(
        op,
        inputs.map((v) => v && now(v)),
        attrs,
        { names: outputs.map((v) => v.name), ...(quant && { quant }) },
      )
      for (const [k, v] of outputs.entries()) to.set(v, made[k])
    }
    return verify(build.graph(graph.outputs.map(now)))
  } catch (error) {
    if (error instanceof ModelError) return undefined
    throw error
  }
}

async function expectAgreement(graph: Graph, where: string): Promise<void> {
  const given = inputsOfGraph(graph, FILLS[0])
  const expected = reference(graph).run(given)
  const program = compile(graph)
  const [interpreted, run] = [runPlan(program.plan, 0x55).run(given), (await instantiate(program)).run(given)]
  expected.forEach((data, k) => {
    expect(difference(data, interpreted[k]), `${where}, interpreted`).toBeUndefined()
    expect(difference(data, run[k]), `${where}, in WebAssembly`).toBeUndefined()
  })
}

test('an operator refuses an input without elements, or all runners agree on what it computes', async () => {
  const [taking, refusing] = [new Set<string>(), new Set<string>()]
  for (const { name, graph } of CASES) {
    const whole = graph()
    const op = whole.nodes[0].op.name
    for (const [i, v] of whole.inputs.entries())
      for (const axis of v.type.shape.keys()) {
        const g = emptied(whole, i, axis)
        ;(g ? taking : refusing).add(op)
        if (g) await expectAgreement(g, `${name}, axis ${axis} of "${v.name}"`)
      }
  }
  expect([...taking]).toEqual(expect.arrayContaining(['add', 'abs', 'cast', 'concat', 'select', 'sum', 'transpose']))
  expect([...refusing].filter((op) => !taking.has(op))).toEqual(
    expect.arrayContaining([
      'conv2d',
      'average_pool2d',
      'softmax',
      'argmax',
      'gather',
      'lstm',
      'nll_loss',
      'resize_bilinear',
    ]),
  )
})

const MIXED = opCase('mixed', (b) => {
  const [x, y] = [b.input('x', f32([2, 0, 3])), b.input('y', f32([2, 3]))]
  const none = b.one(slice, [y], { begin: [0, 1], step: [1, 1], size: [2, 0] })
  const least = b.one(reduceMax, [x], { axes: [1], keepDims: false })
  const all = b.one(concat, [least, none, b.one(add, [y, y], { clamp: {} })], { axis: 1 })
  return [all, b.one(add, [x, x], { clamp: {} }), b.one(sum, [x], { axes: [0, 1, 2], keepDims: true })]
})

test('nodes whose outputs have no elements have no step', () => {
  const { plan } = compile(MIXED.graph())
  expect(plan.steps.map(({ node }) => node.op.name).sort()).toEqual(['add', 'concat', 'reduce_max', 'sum'])
  for (const place of plan.places.values()) expect(place.offset + place.bytes).toBeLessThanOrEqual(plan.arenaBytes)
})

test.skipIf(!hostCompiler())('tensors without elements pass through C that compiles without a warning', () => {
  const graph = MIXED.graph()
  const given = inputsOfGraph(graph, FILLS[0])
  const got = runHostC(compile(graph, { target: 'portable' }).plan, { flags: STRICT }).run(given)
  expect(got.map((d) => [...d])).toEqual(
    reference(graph)
      .run(given)
      .map((d) => [...d]),
  )
  expect(got[1]).toHaveLength(0)
})

test.each([
  ['softmax', (b: Builder, shape: number[]) => b.one(softmax, [b.input('x', f32(shape))], { beta: 1 })],
  [
    'average_pool2d',
    (b: Builder, shape: number[]) =>
      b.one(averagePool2d, [b.input('x', f32(shape))], {
        kernel: [1, 1],
        stride: [1, 1],
        pad: [0, 0, 0, 0],
        clamp: {},
      }),
  ],
])('%s says which tensor has no elements', (_, make) => {
  make(new Builder(), [1, 2, 2, 3])
  expect(() => make(new Builder(), [1, 2, 2, 0])).toThrow(/"x" has shape \[1,2,2,0\], \w+ needs elements/)
})
