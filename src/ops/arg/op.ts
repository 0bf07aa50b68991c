// Where along an axis the greatest or least element stands; of equal ones the first, or the last. TFLite's ARG_MAX and
// ARG_MIN, ONNX's ArgMax and ArgMin.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { DType, Node, TensorType } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { costOf, elemOfValue, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { axisOf, numberAttr } from '../onnx.ts'
import { expectDtype } from '../quant.ts'
import { constantNumbers, int32Constant, operand, reading } from '../tflite.ts'

/** `axis` counts from 0; `last`: of equal elements the last one; `dtype` of the positions: i32 or i64. */
export type Arg = Attrs & {
  readonly axis: number
  readonly keepDims: boolean
  readonly last: boolean
  readonly dtype: DType
}

const DTYPES: readonly DType[] = ['f32', 'i8', 'u8', 'i16', 'i32', 'i64']

function infer([x]: readonly (TensorType | undefined)[], { axis, keepDims, dtype }: Arg): TensorType[] {
  const shape = keepDims ? x!.shape.map((d, i) => (i === axis ? 1 : d)) : x!.shape.filter((_, i) => i !== axis)
  return [{ dtype, shape }]
}

function sizes(node: Node<Arg>) {
  const { shape } = node.inputs[0]!.type
  const { axis } = node.attrs
  return { P: count(shape.slice(0, axis)), R: shape[axis], Q: count(shape.slice(axis + 1)) }
}

function arg(name: 'argmax' | 'argmin', tflite: { name: string; code: number; id: number }, onnx: string): Op<Arg> {
  const op: Op<Arg> = {
    name,

    spelled: {
      tflite: [
        {
          name: tflite.name,
          code: tflite.code,
          options: { id: tflite.id, fields: { output_type: { slot: 0, type: 'i8', default: 0 } } },
          read(build, node) {
            const where = reading(name, node)
            const { length } = operand(node, 0, 'input', where).type.shape
            const axis = axisOf(constantNumbers(node, 1, 'axis', where)[0], length, where)
            const attrs = { axis, keepDims: false, last: false, dtype: node.result.types[0]?.dtype ?? 'i32' }
            return build.add(op, [node.inputs[0]], attrs, node.result)
          },
          write({ inputs, outputs, attrs }) {
            if (attrs.keepDims || attrs.last) return undefined
            const axis = int32Constant(`${outputs[0].name}/axis`, [attrs.axis], [1])
            return { inputs: [inputs[0], axis], options: { output_type: attrs.dtype === 'i64' ? 4 : 2 } }
          },
        },
      ],
      onnx: [
        {
          name: onnx,
          read(build, node) {
            const where = reading(name, node)
            const { length } = operand(node, 0, 'data', where).type.shape
            const attrs: Arg = {
              axis: axisOf(numberAttr(node, 'axis', 0), length, where),
              keepDims: numberAttr(node, 'keepdims', 1) !== 0,
              last: numberAttr(node, 'select_last_index', 0) !== 0,
              dtype: 'i64',
            }
            return build.add(op, [node.inputs[0]], attrs, node.result)
          },
        },
      ],
    },

    infer,

    check(node) {
      const where = layer(node)
      expectInputs(node, 1)
      const x = node.inputs[0]!.type
      const { axis, dtype } = node.attrs
      expectDtype(x, DTYPES, 'input', where)
      if (!Number.isInteger(axis) || axis < 0 || axis >= x.shape.length)
        throw new ModelError(where, `axis is ${axis}, input has ${x.shape.length} dimensions`)
      if (dtype !== 'i32' && dtype !== 'i64') throw new ModelError(where, `output is ${dtype}, supported are i32, i64`)
      expectOutputs(node, infer([x], node.attrs))
    },

    eval(node, [x]) {
      const { P, R, Q } = sizes(node)
      const found: number[] = []
      for (let p = 0; p < P; p++)
        for (let q = 0; q < Q; q++) {
          const slice = Array.from({ length: R }, (_, r) => x![(p * R + r) * Q + q])
          const best = slice.reduce((b, v) => (name === 'argmax' ? (v > b ? v : b) : v < b ? v : b))
          const [first, final] = [slice.indexOf(best), slice.lastIndexOf(best)]
          found.push(Math.max(0, node.attrs.last ? final : first))
        }
      return [node.attrs.dtype === 'i64' ? BigInt64Array.from(found, BigInt) : Int32Array.from(found)]
    },

    lower(node): Call {
      const [x, y] = [node.inputs[0]!, node.outputs[0]]
      const { P, R, Q } = sizes(node)
      const X = L.buffer('x', elemOfValue(x), [P, R, Q])
      const Y = L.buffer('y', outputElem(node), [P, Q], 'write')
      const better = name === 'argmax' ? (node.attrs.last ? 'ge' : 'gt') : node.attrs.last ? 'le' : 'lt'
      const body = L.loops(['p', 'q'], [P, Q], (p, q) => {
        const [declareBest, best] = L.declare('best', L.load(X, p, 0, q))
        const [declareAt, at] = L.declare('at', 0)
        const index = node.attrs.dtype === 'i64' ? L.op('extend', at) : at
        return [
          declareBest,
          declareAt,
          L.loop('r', R, (r) => {
            const [declareV, v] = L.declare('v', L.load(X, p, r, q))
            return [declareV, L.when(L.op(better, v, best), [L.set(best, v), L.set(at, r)])]
          }),
          L.store(Y, [p, q], index),
        ]
      })
      return { kernel: L.kernel(name, [X, Y], body), args: [{ value: x }, { value: y }] }
    },

    cost: (node) => costOf(node, 0),
  }
  return op
}

/**
 * Positions of the greatest elements along `axis`, of equal ones the first (`last`: the last). Input f32, i8, u8, i16,
 * i32 or i64; output i32 or i64 (`dtype`), the axis gone, or 1 with `keepDims`. Refuses an axis without elements.
 * TFLite ARG_MAX, ONNX ArgMax.
 */
export const argmax = arg('argmax', { name: 'ARG_MAX', code: 56, id: 40 }, 'ArgMax')
/** Positions of the least elements along `axis`; everything else as `argmax`. TFLite ARG_MIN, ONNX ArgMin. */
export const argmin = arg('argmin', { name: 'ARG_MIN', code: 79, id: 57 }, 'ArgMin')
