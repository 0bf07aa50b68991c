// The same elements in the same order under another shape: TFLite's RESHAPE, SQUEEZE and EXPAND_DIMS. The shape is an
// attribute; one dimension may be -1, what the others leave.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, sameShape, sameType } from '../../ir/graph.ts'
import type { Attrs, Op, TfliteSpelling } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { together } from '../channels.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { int32Constant } from '../tflite.ts'
import { elementOf, expectMoved } from './copy.ts'

export type Reshape = Attrs & { readonly shape: readonly number[] }

/** Every spelling's output type is in the file; the operand or option that repeats it goes. */
const read: TfliteSpelling<Reshape>['read'] = (build, { inputs, result }) =>
  build.add(reshape, [inputs[0]], { shape: result.types[0]?.shape ?? [] }, result)

/** A reshape that only drops or adds axes of one element can do so on axes in any order; those it adds come first. */
function withoutUnits(node: Node<Reshape>, perm: readonly number[]) {
  const [x, y] = [node.inputs[0]!.type.shape, node.outputs[0].type.shape]
  const full = (shape: readonly number[]) => shape.flatMap((d, i) => (d === 1 ? [] : [i]))
  const [from, to] = [full(x), full(y)]
  if (
    !sameShape(
      from.map((i) => x[i]),
      to.map((i) => y[i]),
    )
  )
    return undefined
  const units = y.flatMap((d, i) => (d === 1 ? [i] : []))
  const kept = to.map((axis, k) => ({ axis, at: perm[from[k]] })).sort((a, b) => a.at - b.at)
  const order = [...units, ...kept.map(({ axis }) => axis)]
  return { attrs: { shape: order.map((axis) => y[axis]) }, perm: y.map((_, axis) => order.indexOf(axis)) }
}

/** Where the last axis is that of the input, or as long as several of them: the channels that both have. */
function sharedChannels(node: Node<Reshape>): number | undefined {
  const [x, y] = [node.inputs[0]!.type.shape.at(-1) ?? 1, node.outputs[0].type.shape.at(-1) ?? 1]
  return x % y === 0 || y % x === 0 ? Math.min(x, y) : undefined
}

/**
 * The same elements in the same order with another `shape`; one entry may be -1, what the others leave. Refuses another
 * number of elements. TFLite RESHAPE, SQUEEZE, EXPAND_DIMS, ONNX Reshape.
 */
export const reshape: Op<Reshape> = {
  name: 'reshape',

  spelled: {
    tflite: [
      {
        name: 'RESHAPE',
        code: 22,
        options: { id: 17, fields: { new_shape: { slot: 0, type: 'i32[]' } } },
        read,
        write({ inputs, outputs, attrs }) {
          const shape = int32Constant(`${outputs[0].name}/shape`, attrs.shape, [attrs.shape.length])
          return { inputs: [inputs[0], shape], options: { new_shape: attrs.shape } }
        },
      },
      {
        name: 'SQUEEZE',
        code: 43,
        options: { id: 30, fields: { squeeze_dims: { slot: 0, type: 'i32[]' } } },
        read,
      },
      { name: 'EXPAND_DIMS', code: 70, options: { id: 52, fields: {} }, read },
    ],
  },

  rebatch: ({ attrs: { shape } }, times) => ({ shape: shape.map((d, i) => (i === 0 && d > 0 ? d * times : d)) }),

  infer([x], { shape }) {
    const known = count(shape.filter((d) => d !== -1))
    return [{ ...x!, shape: shape.map((d) => (d === -1 ? count(x!.shape) / known : d)) }]
  },

  check(node) {
    expectInputs(node, 1)
    const [x, y] = [node.inputs[0]!.type, node.outputs[0].type]
    if (count(x.shape) !== count(y.shape))
      throw new ModelError(
        layer(node),
        `input [${x.shape}] has ${count(x.shape)} elements, output [${y.shape}] has ${count(y.shape)}`,
      )
    expectOutputs(node, reshape.infer([x], node.attrs))
    expectMoved(node)
  },

  eval: (_, [x]) => [x!.slice()],

  lower(node) {
    const [x, y] = [node.inputs[0]!, node.outputs[0]]
    const n = count(y.type.shape)
    const X = L.buffer('x', elementOf(x), [n])
    const Y = L.buffer('y', elementOf(y), [n], 'write')
    return {
      kernel: L.kernel(
        'copy',
        [X, Y],
        L.parallel('i', n, (i) => L.store(Y, [i], L.load(X, i))),
      ),
      args: [{ value: x }, { value: y }],
    }
  },

  empty: true,
  quantize: () => ({ output: 'shared', subByte: true }),
  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
  permute: withoutUnits,
  effect: () => ({ does: 'copy' }),

  bounds(node, [x]) {
    const shared = sharedChannels(node)
    if (!x || !shared) return undefined
    const channels = node.outputs[0].type.shape.at(-1) ?? 1
    const over = (combine: (a: number, b: number) => number, from: Int32Array) => {
      const to = from.slice(0, shared)
      from.forEach((v, c) => {
        to[c % shared] = combine(to[c % shared], v)
      })
      return Int32Array.from({ length: channels }, (_, c) => to[c % shared])
    }
    return { least: over(Math.min, x.least), most: over(Math.max, x.most) }
  },

  narrow(node, free) {
    const shared = sharedChannels(node)
    if (!shared) return undefined
    const inStep = (c: number) => c % shared
    const { gone, node: made } = together(node, free, { input: inStep, output: inStep })
    return {
      gone,
      node: (inputs, to) => ({ ...made(inputs, to), attrs: { shape: to.type.shape } }),
    }
  },

  absorb(node, effect, other, side) {
    if (effect.does !== 'copy' || side !== 'before') return undefined
    const x = other.inputs[0]!
    return sameType(x.type, node.outputs[0].type) ? x : { ...node, inputs: [x] }
  },
}
