import { describe, expect, test } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import type { Graph, TensorType, Value } from '../../src/ir/graph.ts'
import type { Attrs, Op } from '../../src/ir/op.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { count } from '../../src/loops/ir.ts'
import { OPS } from '../../src/ops/index.ts'
import { reference } from '../../src/run/reference.ts'
import { differentiate } from '../../src/train/grad.ts'
import { gradOf } from '../../src/train/rules.ts'

const f32 = (...shape: number[]): TensorType => ({ dtype: 'f32', shape })

interface Case {
  readonly name: string
  readonly inputs: readonly (readonly number[])[]
  readonly op: Op<never>
  readonly attrs: Attrs
  /** Inputs lie in between; [-2, 2] where that is not said. */
  readonly range?: readonly [number, number]
}

const conv = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1], clamp: {} }
const op = (name: string) => OPS.get(name) as unknown as Op<never>
const of = (name: string, inputs: readonly number[][], attrs: Attrs = {}, range?: [number, number]): Case => ({
  name: `${name} ${JSON.stringify(attrs)} of [${inputs.join('] [')}]`,
  inputs,
  op: op(name),
  attrs,
  range,
})

const CASES: readonly Case[] = [
  of('conv2d', [[1, 5, 4, 2], [3, 3, 3, 2], [3]], { ...conv, groups: 1 }),
  of('conv2d', [[1, 5, 4, 2], [3, 3, 3, 2], [3]], { ...conv, groups: 1, clamp: { min: 0 } }),
  of(
    'conv2d',
    [
      [2, 6, 6, 2],
      [2, 3, 3, 2],
    ],
    { ...conv, groups: 1, stride: [2, 2], pad: [0, 0, 1, 1] },
  ),
  of(
    'conv2d',
    [
      [1, 7, 7, 4],
      [2, 3, 3, 2],
    ],
    { ...conv, groups: 2, dilation: [2, 2] },
  ),
  of('depthwise_conv2d', [[1, 6, 6, 3], [1, 3, 3, 3], [3]], { ...conv, stride: [2, 2], pad: [0, 0, 1, 1] }),
  of(
    'depthwise_conv2d',
    [
      [1, 4, 4, 2],
      [1, 3, 3, 4],
    ],
    conv,
  ),
  of('fully_connected', [[2, 3, 4], [5, 4], [5]], { clamp: {}, keepDims: true }),
  ...[false, true].flatMap((transA) =>
    [false, true].map((transB) =>
      of('matmul', [transA ? [2, 4, 3] : [2, 3, 4], transB ? [5, 4] : [4, 5]], { transA, transB }),
    ),
  ),
  ...['add', 'sub', 'mul'].map((name) =>
    of(
      name,
      [
        [2, 3, 4],
        [3, 1],
      ],
      { clamp: {} },
    ),
  ),
  of(
    'add',
    [
      [2, 3],
      [2, 3],
    ],
    { clamp: { min: -1, max: 1 } },
  ),
  of(
    'div',
    [
      [2, 3],
      [2, 1],
    ],
    { clamp: {} },
    [0.5, 2],
  ),
  ...['maximum', 'minimum', 'squared_difference', 'prelu'].map((name) => of(name, [[3, 4], [4]])),
  of('pow', [[3, 4], [4]], {}, [0.5, 2]),
  ...['abs', 'neg', 'square', 'exp', 'sin', 'cos', 'erf', 'softplus', 'softsign', 'gelu'].map((name) =>
    of(name, [[3, 5]]),
  ),
  ...['sqrt', 'rsqrt', 'reciprocal', 'log'].map((name) => of(name, [[3, 5]], {}, [0.5, 2])),
  ...['logistic', 'tanh', 'log_softmax'].map((name) => of(name, [[3, 5]])),
  of('hard_swish', [[4, 8]], {}, [-5, 5]),
  of('swish', [[3, 5]], { alpha: 1.5 }),
  of('leaky_relu', [[3, 5]], { alpha: 0.1 }),
  of('elu', [[3, 5]], { alpha: 0.7 }),
  of('softmax', [[3, 5]], { beta: 1.5 }),
  of('clamp', [[3, 5]], { min: -1, max: 1 }),
  ...(['rms', 'layer'] as const).map((kind) =>
    of('normalize', [[2, 3, 4], [12], [12]], { kind, axis: 1, groups: 3, depth: 4, epsilon: 1e-5, outputs: 1 }),
  ),
  of('sum', [[2, 3, 4]], { axes: [1], keepDims: false }),
  of('mean', [[2, 3, 4]], { axes: [0, 2], keepDims: true }),
  of('average_pool2d', [[1, 5, 5, 2]], { kernel: [3, 3], stride: [2, 2], pad: [1, 1, 1, 1], clamp: {} }),
  of('max_pool2d', [[1, 5, 5, 2]], { kernel: [3, 3], stride: [2, 2], pad: [1, 1, 1, 1], clamp: {} }),
  of('reshape', [[2, 3]], { shape: [3, 2] }),
  of('transpose', [[2, 3, 4]], { perm: [2, 0, 1] }),
  of('expand', [[2, 1, 3]], { shape: [2, 4, 3] }),
  of('pad', [[2, 3]], { low: [1, 0], high: [0, 2], value: 0 }),
  of('slice', [[4, 5]], { begin: [1, 2], size: [2, 3], step: [1, 1] }),
  of(
    'concat',
    [
      [2, 1, 3],
      [2, 2, 3],
    ],
    { axis: 1 },
  ),
]

/** A graph whose only output is the sum of y * weights, and the gradients of that with respect to every input. */
function differentiated({ inputs, op, attrs }: Case): { forward: Graph; backward: Graph } {
  const build = new Builder('test')
  const given = inputs.map((shape, i) => build.input(`x${i}`, f32(...shape)))
  const y = build.one(op as Op, given, attrs as never)
  const forward = build.graph([y])
  const after = Builder.after(forward)
  const random = new Xorshift32(7)
  const seed = after.const('seed', y.type, random.fill(y.type))
  const gradients = differentiate(after, forward.nodes, new Map([[y, seed]]), new Set(given))
  const outputs = given.map((v): Value => gradients.get(v)!)
  return { forward, backward: after.graph([...outputs, seed]) }
}

describe('gradients', () => {
  test.each(CASES)('$name: as finite differences', (c) => {
    const { forward, backward } = differentiated(c)
    const [low, high] = c.range ?? [-2, 2]
    const random = new Xorshift32(11)
    const inputs = c.inputs.map((shape) =>
      Float32Array.from({ length: count(shape) }, () => low + ((high - low) * random.next()) / 2 ** 32),
    )
    const found = reference(backward).run(inputs) as Float32Array[]
    const seed = found[found.length - 1]
    const value = (at: Float32Array[]) => {
      const [y] = reference(forward).run(at) as Float32Array[]
      return y.reduce((s, v, i) => s + v * seed[i], 0)
    }
    let skipped = 0
    inputs.forEach((x, k) => {
      for (let i = 0; i < x.length; i++) {
        // A step at which no maximum or limit changes hands, or none is near.
        const wiggled = [2 ** -7, 2 ** -9].map((h) => {
          const moved = (d: number) => inputs.map((v, j) => (j === k ? v.map((e, n) => (n === i ? e + d : e)) : v))
          return (value(moved(h)) - value(moved(-h))) / (2 * h)
        })
        const [wide, near] = wiggled
        if (Math.abs(wide - near) > 2e-2 * (1 + Math.abs(near))) {
          skipped++
          continue
        }
        expect(
          Math.abs(found[k][i] - near),
          `input ${k} at ${i}: ${found[k][i]}, finite differences ${near}`,
        ).toBeLessThan(2e-2 * (1 + Math.abs(near)))
      }
    })
    expect(skipped).toBeLessThan(1 + inputs.reduce((n, x) => n + x.length, 0) / 5)
  })

  test('every rule is tried', () => {
    const tried = new Set(CASES.map((c) => c.op.name))
    // Parts of layers are compared with the whole ones in scheme.test.ts, a transformer is tried in extensions.test.ts.
    const elsewhere = ['partial_conv2d', 'partial_depthwise_conv2d', 'select', 'gather', 'assign', 'update']
    const steps = ['floor', 'ceil', 'round', 'sign', ...elsewhere]
    const untried = [...OPS.values()].filter((o) => gradOf(o) && !tried.has(o.name) && !steps.includes(o.name))
    expect(untried.map((o) => o.name)).toEqual([])
  })

  test('only what leads to what is wanted is built', () => {
    const build = new Builder('chain')
    const x = build.input('x', f32(2, 3))
    const w = build.input('w', f32(3, 3))
    const v = build.input('v', f32(3, 3))
    const plain = { transA: false, transB: false }
    const a = build.one(op('matmul') as Op, [x, w], plain)
    const y = build.one(op('matmul') as Op, [a, v], plain)
    const forward = build.graph([y])
    const after = Builder.after(forward)
    const gradients = differentiate(after, forward.nodes, new Map([[y, y]]), new Set([v]))
    expect([...gradients.keys()]).toEqual([v])
    expect(after.graph([]).nodes.length - forward.nodes.length).toBe(1)
  })

  test('a layer without a rule is named, and where to stop', () => {
    const build = new Builder('bad')
    const x = build.input('x', f32(2, 3))
    const y = build.one(op('cumsum') as Op, [x], { axis: 1, exclusive: false, reverse: false }, { from: 'summing' })
    const { nodes } = build.graph([y])
    expect(() => differentiate(build, nodes, new Map([[y, y]]), new Set([x]))).toThrow(
      /summing.*cannot be learned through: cumsum has no gradient/,
    )
  })
})
