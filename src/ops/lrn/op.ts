// Local response normalisation: x / (bias + alpha * sum of the squares of neighbouring channels)^beta, over the channels
// from `before` to `after` places away along one axis, f32 with our own power function.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, Value } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { powf } from '../../loops/float.ts'
import { count } from '../../loops/ir.ts'
import * as M from '../../loops/math.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { shaped } from '../elementwise.ts'
import { numberAttr } from '../onnx.ts'
import { parameters } from '../parameters.ts'
import { expectDtype } from '../quant.ts'
import { operand, reading } from '../tflite.ts'

export type Lrn = Attrs & {
  readonly axis: number
  readonly before: number
  readonly after: number
  readonly alpha: number
  readonly beta: number
  readonly bias: number
}

/** x as [before the axis, channels, behind the axis]. */
function viewOf({ type: { shape } }: Value, axis: number): number[] {
  return [count(shape.slice(0, axis)), shape[axis], count(shape.slice(axis + 1))]
}

function evaluate(node: Node<Lrn>, x: Float32Array): Float32Array {
  const f = Math.fround
  const { axis, before, after } = node.attrs
  const [alpha, beta, bias] = [node.attrs.alpha, node.attrs.beta, node.attrs.bias].map(f)
  const [, C, I] = viewOf(node.inputs[0]!, axis)
  return x.map((v, i) => {
    const c = Math.floor(i / I) % C
    let sum = 0
    for (let d = Math.max(0, c - before); d <= Math.min(C - 1, c + after); d++) {
      const e = x[i + (d - c) * I]
      sum = f(sum + f(e * e))
    }
    return f(v / powf(f(bias + f(alpha * sum)), beta))
  })
}

function lower(node: Node<Lrn>): Call {
  const x = node.inputs[0] as Value
  const { axis, before, after, alpha, beta, bias } = node.attrs
  const view = viewOf(x, axis)
  const C = view[1]
  const p = parameters('p', 'f32', { alpha, beta, bias })
  const X = L.buffer('x', 'f32', view)
  const Y = L.buffer('y', 'f32', view, 'write')
  const body = L.loops(['o', 'c', 'i'], view, (o, c, i) => {
    const [declareSum, sum] = L.declare('sum', L.float(0))
    const [steps, power] = M.powf(L.add(p.of.bias, L.mul(p.of.alpha, sum)), p.of.beta, 'w')
    return [
      declareSum,
      L.loop('d', before + after + 1, (d) => {
        const at = L.add(L.add(c, d), -before)
        const [declare, e] = L.declare('e', L.load(X, o, at, i))
        return L.when(L.and(L.ge(at, 0), L.lt(at, C)), [declare, L.set(sum, L.add(sum, L.mul(e, e)))])
      }),
      ...steps,
      L.store(Y, [o, c, i], L.op('div', L.load(X, o, c, i), power)),
    ]
  })
  return {
    kernel: L.kernel('lrn', [X, ...p.bufs, Y], ...p.head, body),
    args: [{ value: x }, ...p.args, { value: node.outputs[0] }],
  }
}

/**
 * x / (bias + alpha * sum of x^2)^beta, the sum over the elements from `before` to `after` places away along `axis`.
 * f32. TFLite LOCAL_RESPONSE_NORMALIZATION, ONNX LRN.
 */
export const lrn: Op<Lrn> = {
  name: 'lrn',
  spelled: {
    tflite: [
      {
        name: 'LOCAL_RESPONSE_NORMALIZATION',
        code: 13,
        options: {
          id: 13,
          fields: {
            radius: { slot: 0, type: 'i32', default: 0 },
            bias: { slot: 1, type: 'f32', default: 0 },
            alpha: { slot: 2, type: 'f32', default: 0 },
            beta: { slot: 3, type: 'f32', default: 0 },
          },
        },
        read(build, node) {
          const x = operand(node, 0, 'input', reading('lrn', node))
          const { radius, bias, alpha, beta } = node.options as Record<string, number>
          const attrs = { axis: x.type.shape.length - 1, before: radius, after: radius, alpha, beta, bias }
          return build.add(lrn, [x], attrs, node.result)
        },
        write({ inputs, attrs: { axis, before, after, alpha, beta, bias } }) {
          if (axis !== inputs[0]!.type.shape.length - 1 || before !== after) return undefined
          return { inputs, options: { radius: before, bias, alpha, beta } }
        },
      },
    ],
    onnx: [
      {
        name: 'LRN',
        read(build, node) {
          const x = operand(node, 0, 'input', reading('lrn', node))
          const size = numberAttr(node, 'size', 1)
          const attrs = {
            axis: 1,
            before: Math.floor((size - 1) / 2),
            after: Math.ceil((size - 1) / 2),
            alpha: Math.fround(numberAttr(node, 'alpha', 1e-4) / size),
            beta: numberAttr(node, 'beta', 0.75),
            bias: numberAttr(node, 'bias', 1),
          }
          return build.add(lrn, [x], attrs, node.result)
        },
      },
    ],
  },
  infer: ([x]) => [shaped(x!)],
  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    const { axis, before, after } = node.attrs
    expectDtype(x, ['f32'], 'input', where)
    if (axis < 0 || axis >= x.shape.length)
      throw new ModelError(where, `axis is ${axis}, input has ${x.shape.length} dimensions`)
    if (![before, after].every((n) => Number.isInteger(n) && n >= 0))
      throw new ModelError(where, `takes ${before} and ${after} channels on both sides, expected whole numbers from 0`)
    expectOutputs(node, [shaped(x)])
  },
  eval: (node, [x]) => [evaluate(node, x as Float32Array)],
  lower,
  cost: (node) => costOf(node, 0),
}
