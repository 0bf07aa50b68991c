// The k greatest (or least) elements along an axis, in order, and where they stand; of equal elements the first comes
// first. Selection by repeated scans. TFLite's TOPK_V2, ONNX's TopK.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { DType, Node, TensorType } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, newData } from '../../loops/ir.ts'
import { costOf, elemOfValue, expectInputs, expectOutputs } from '../check.ts'
import { axisOf, listOf, numberAttr } from '../onnx.ts'
import { expectDtype } from '../quant.ts'
import { expectMoved } from '../shape/copy.ts'
import { constantNumbers, int32Constant, operand, reading } from '../tflite.ts'

/** `axis` counts from 0; `dtype` of the positions: i32 or i64. */
export type TopK = Attrs & {
  readonly axis: number
  readonly k: number
  readonly largest: boolean
  readonly dtype: DType
}

const DTYPES: readonly DType[] = ['f32', 'f64', 'i8', 'u8', 'i16', 'i32', 'i64']

function infer([x]: readonly (TensorType | undefined)[], { axis, k, dtype }: TopK): TensorType[] {
  const shape = x!.shape.map((d, i) => (i === axis ? k : d))
  return [
    { ...x!, shape },
    { dtype, shape },
  ]
}

function sizes(node: Node<TopK>) {
  const { shape } = node.inputs[0]!.type
  const { axis } = node.attrs
  return { P: count(shape.slice(0, axis)), R: shape[axis], Q: count(shape.slice(axis + 1)) }
}

function lower(node: Node<TopK>): Call {
  const x = node.inputs[0]!
  const [values, places] = node.outputs
  const { P, R, Q } = sizes(node)
  const { k: K, largest, dtype } = node.attrs
  const X = L.buffer('x', elemOfValue(x), [P, R, Q])
  const Y = L.buffer('y', elemOfValue(values), [P, K, Q], 'write')
  const I = L.buffer('i', elemOfValue(places), [P, K, Q], 'write')
  const taken = L.buffer('taken', 'u8', [R], 'scratch')
  const body = L.loop('p', P, (p) =>
    L.loop('q', Q, (q) => [
      L.loop('t', R, (t) => L.store(taken, [t], 0)),
      L.loop('k', K, (k) => {
        const [declareAt, at] = L.declare('at', -1)
        const [declareBest, best] = L.declare('best', L.load(X, p, 0, q))
        return [
          declareAt,
          declareBest,
          L.loop('r', R, (r) => {
            const [declareV, v] = L.declare('v', L.load(X, p, r, q))
            const better = L.op('or', L.lt(at, 0), L.op(largest ? 'gt' : 'lt', v, best))
            const free = L.op('eq', L.load(taken, r), 0)
            return [declareV, L.when(L.and(free, better), [L.set(best, v), L.set(at, r)])]
          }),
          L.store(taken, [at], 1),
          L.store(Y, [p, k, q], best),
          L.store(I, [p, k, q], dtype === 'i64' ? L.op('extend', at) : at),
        ]
      }),
    ]),
  )
  return {
    kernel: L.kernel('top_k', [X, taken, Y, I], body),
    args: [{ value: x }, { scratch: true }, { value: values }, { value: places }],
  }
}

/**
 * The `k` greatest elements (without `largest`: least) along `axis`, in order, and their positions (i32 or i64,
 * `dtype`); of equal ones the first comes first. f32, f64, i8, u8, i16, i32, i64. TFLite TOPK_V2, ONNX TopK.
 */
export const topK: Op<TopK> = {
  name: 'top_k',

  spelled: {
    tflite: [
      {
        name: 'TOPK_V2',
        code: 48,
        options: { id: 34, fields: {} },
        read(build, node) {
          const where = reading('top_k', node)
          const rank = operand(node, 0, 'input', where).type.shape.length
          const [k] = constantNumbers(node, 1, 'k', where)
          const dtype = node.result.types[1]?.dtype ?? 'i32'
          return build.add(topK, [node.inputs[0]], { axis: rank - 1, k, largest: true, dtype }, node.result)
        },
        write({ inputs, outputs, attrs }) {
          if (!attrs.largest || attrs.axis !== inputs[0]!.type.shape.length - 1) return undefined
          return { inputs: [inputs[0], int32Constant(`${outputs[0].name}/k`, [attrs.k], [])], options: {} }
        },
      },
    ],
    onnx: [
      {
        name: 'TopK',
        read(build, node) {
          const where = reading('top_k', node)
          const { length } = operand(node, 0, 'X', where).type.shape
          const k = node.inputs[1] ? listOf(node, 'k', 1, where)?.[0] : numberAttr(node, 'k', 0)
          const attrs: TopK = {
            axis: axisOf(numberAttr(node, 'axis', -1), length, where),
            k: k ?? 0,
            largest: numberAttr(node, 'largest', 1) !== 0,
            dtype: 'i64',
          }
          return build.add(topK, [node.inputs[0]], attrs, node.result)
        },
      },
    ],
  },

  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    const { axis, k, dtype } = node.attrs
    expectDtype(x, DTYPES, 'input', where)
    if (!Number.isInteger(axis) || axis < 0 || axis >= x.shape.length)
      throw new ModelError(where, `axis is ${axis}, input has ${x.shape.length} dimensions`)
    if (!Number.isInteger(k) || k < 1 || k > x.shape[axis])
      throw new ModelError(where, `takes ${k} elements of axis ${axis}, which has ${x.shape[axis]}`)
    if (dtype !== 'i32' && dtype !== 'i64')
      throw new ModelError(where, `positions are ${dtype}, supported are i32, i64`)
    expectOutputs(node, infer([x], node.attrs))
    expectMoved(node)
  },

  eval(node, [x]) {
    const { P, R, Q } = sizes(node)
    const { k: K, largest } = node.attrs
    const Y = newData(elemOfValue(node.outputs[0]), P * K * Q)
    const I = newData(elemOfValue(node.outputs[1]), P * K * Q)
    for (let p = 0; p < P; p++)
      for (let q = 0; q < Q; q++) {
        const of = (r: number) => x![(p * R + r) * Q + q]
        const order = Array.from({ length: R }, (_, r) => r).sort((a, b) => {
          if (of(a) === of(b)) return a - b
          return of(a) > of(b) === largest ? -1 : 1
        })
        for (let k = 0; k < K; k++) {
          const to = (p * K + k) * Q + q
          Y[to] = of(order[k])
          I[to] = I instanceof BigInt64Array ? BigInt(order[k]) : order[k]
        }
      }
    return [Y, I]
  },

  lower,
  cost: (node) => costOf(node, 0),
}
