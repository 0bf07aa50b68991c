// Running sums along an axis, from either end, with or without the element itself: TFLite's CUMSUM, ONNX's CumSum. int8
// with scales as TensorFlow Lite Micro computes it.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { DType, Node } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Expr, newData } from '../../loops/ir.ts'
import { costOf, elemOfValue, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { NOTHING } from '../elementwise.ts'
import { axisOf, numberAttr } from '../onnx.ts'
import { expectDtype, perTensor } from '../quant.ts'
import { canSum, runningSum, runningSumSteps } from '../running_sum.ts'
import { constantNumbers, int32Constant, operand, reading } from '../tflite.ts'

/** `axis` counts from 0. Integer sums wrap. */
export type Cumsum = Attrs & { readonly axis: number; readonly exclusive: boolean; readonly reverse: boolean }

const DTYPES: readonly DType[] = ['f32', 'f64', 'i32', 'i64', 'i8']

function sizes(node: Node<Cumsum>) {
  const { shape } = node.inputs[0]!.type
  const { axis } = node.attrs
  return { P: count(shape.slice(0, axis)), R: shape[axis], Q: count(shape.slice(axis + 1)) }
}

function lower(node: Node<Cumsum>): Call {
  const [x, y] = [node.inputs[0]!, node.outputs[0]]
  const { P, R, Q } = sizes(node)
  const { exclusive, reverse } = node.attrs
  const X = L.buffer('x', elemOfValue(x), [P, R, Q])
  const Y = L.buffer('y', outputElem(node), [P, R, Q], 'write')
  const float = x.type.dtype === 'f32' || x.type.dtype === 'f64'
  const zero: Expr = L.constantOf(L.load(X, 0, 0, 0).type, 0)
  const plain = { numbers: NOTHING, start: zero, add: (a: Expr, b: Expr) => L.op(float ? 'add' : 'wadd', a, b) }
  const {
    numbers,
    start: from,
    add,
    stored,
  } = x.type.quant ? runningSumSteps(x.type, y.type) : { ...plain, stored: same }
  const body = L.loops(['p', 'q'], [P, Q], (p, q) => {
    const [start, acc] = L.declare('acc', from)
    return [
      start,
      L.loop('r', R, (r) => {
        const at = reverse ? L.sub(L.int(R - 1), r) : r
        const [declareV, v] = L.declare('v', L.load(X, p, at, q))
        const sum = L.set(acc, add(acc, v))
        const keep = L.store(Y, [p, at, q], stored(acc))
        return [declareV, ...(exclusive ? [keep, sum] : [sum, keep])]
      }),
    ]
  })
  return {
    kernel: L.kernel('cumsum', [X, ...numbers.bufs, Y], ...numbers.head, body),
    args: [{ value: x }, ...numbers.args, { value: y }],
  }
}

const same = (sum: Expr) => sum

/** Calls `of` with the positions of each run, in the order of its sums. */
function eachRun(node: Node<Cumsum>, of: (positions: readonly number[]) => void): void {
  const { P, R, Q } = sizes(node)
  const { reverse } = node.attrs
  for (let p = 0; p < P; p++)
    for (let q = 0; q < Q; q++) of(Array.from({ length: R }, (_, k) => (p * R + (reverse ? R - 1 - k : k)) * Q + q))
}

function evaluateInt8(node: Node<Cumsum>, x: Int8Array): Int8Array {
  const { start, add, stored } = runningSum(node.inputs[0]!.type, node.outputs[0].type)
  const y = new Int8Array(x.length)
  eachRun(node, (positions) => {
    let sum = start
    for (const i of positions) {
      if (node.attrs.exclusive) y[i] = stored(sum)
      sum = add(sum, x[i])
      if (!node.attrs.exclusive) y[i] = stored(sum)
    }
  })
  return y
}

/**
 * Running sums along `axis`; `exclusive` leaves the element itself out, `reverse` starts at the end. f32, f64, i32, i64
 * without scales. TFLite CUMSUM, ONNX CumSum.
 */
export const cumsum: Op<Cumsum> = {
  name: 'cumsum',

  spelled: {
    tflite: [
      {
        name: 'CUMSUM',
        code: 128,
        options: {
          id: 102,
          fields: {
            exclusive: { slot: 0, type: 'bool', default: false },
            reverse: { slot: 1, type: 'bool', default: false },
          },
        },
        read(build, node) {
          const where = reading('cumsum', node)
          const { length } = operand(node, 0, 'input', where).type.shape
          const attrs = {
            axis: axisOf(constantNumbers(node, 1, 'axis', where)[0], length, where),
            exclusive: node.options.exclusive === true,
            reverse: node.options.reverse === true,
          }
          return build.add(cumsum, [node.inputs[0]], attrs, node.result)
        },
        write: ({ inputs, outputs, attrs: { axis, exclusive, reverse } }) => ({
          inputs: [inputs[0], int32Constant(`${outputs[0].name}/axis`, [axis], [])],
          options: { exclusive, reverse },
        }),
      },
    ],
    onnx: [
      {
        name: 'CumSum',
        read(build, node) {
          const where = reading('cumsum', node)
          const { length } = operand(node, 0, 'x', where).type.shape
          const attrs = {
            axis: axisOf(constantNumbers(node, 1, 'axis', where)[0], length, where),
            exclusive: numberAttr(node, 'exclusive', 0) !== 0,
            reverse: numberAttr(node, 'reverse', 0) !== 0,
          }
          return build.add(cumsum, [node.inputs[0]], attrs, node.result)
        },
      },
    ],
  },

  infer: ([x]) => [x!],

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    expectDtype(x, DTYPES, 'input', where)
    const { axis } = node.attrs
    if (!Number.isInteger(axis) || axis < 0 || axis >= x.shape.length)
      throw new ModelError(where, `axis is ${axis}, input has ${x.shape.length} dimensions`)
    expectOutputs(node, [x])
    if (x.dtype !== 'i8') {
      if (x.quant) throw new ModelError(where, `input is ${x.dtype} with a scale, supported with one is i8`)
      return
    }
    const ends = [perTensor(x, 'input', where), perTensor(node.outputs[0].type, 'output', where)]
    if (!canSum(x, node.outputs[0].type))
      throw new ModelError(where, `output scale ${ends[1].scale} is too small for input scale ${ends[0].scale}`)
  },

  eval(node, [x]) {
    if (x instanceof Int8Array) return [evaluateInt8(node, x)]
    const Y = newData(outputElem(node), x!.length)
    eachRun(node, (positions) => {
      // One element of the output's type, so that each sum rounds or wraps as it does.
      const acc = newData(outputElem(node), 1)
      for (const i of positions) {
        if (node.attrs.exclusive) Y[i] = acc[0]
        if (acc instanceof BigInt64Array) acc[0] += x![i] as bigint
        else acc[0] = (acc[0] as number) + (x![i] as number)
        if (!node.attrs.exclusive) Y[i] = acc[0]
      }
    })
    return [Y]
  },

  lower,
  cost: (node) => costOf(node, 0),
}
