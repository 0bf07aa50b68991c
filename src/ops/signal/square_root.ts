// Square roots of uint64, rounded to nearest, then shifted right by a number of bits that is an input: TensorFlow Lite
// Micro's SignalFilterBankSquareRoot. Below 2^32 a root rounds to at most 65535, above to at most 2^32 - 1.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Expr } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { expectDtype } from '../quant.ts'
import { custom, vectorOf } from './custom.ts'

export type SquareRoot = Record<string, never>

/** The nearest root of x in [0, 2^64): floor of the root of 4x, halved and rounded up, by Newton's method. */
function rootOf(x: bigint): bigint {
  if (x < 2n) return x
  let root = 1n << BigInt((x.toString(2).length + 1) >> 1)
  for (let next = (root + x / root) >> 1n; next < root; next = (root + x / root) >> 1n) root = next
  const most = x >> 32n === 0n ? 0xffffn : 0xffffffffn
  return x - root * root > root && root !== most ? root + 1n : root
}

const SIGN = L.long(-(2 ** 63))

/** a >= b of u64 bits. */
function atLeast(a: Expr, b: Expr): Expr {
  return L.ge(L.op('xor', a, SIGN), L.op('xor', b, SIGN))
}

/**
 * Square roots of u64[n], rounded to nearest, shifted right by the bits that input 1 holds (one i32), as u32[n]. TFLite
 * custom SignalFilterBankSquareRoot.
 */
export const filterBankSquareRoot: Op<SquareRoot> = {
  name: 'filter_bank_square_root',
  spelled: { tflite: [custom('SignalFilterBankSquareRoot', () => filterBankSquareRoot, {})] },
  infer: ([x]) => [{ dtype: 'u32', shape: x!.shape }],

  check(node) {
    const where = layer(node)
    expectInputs(node, 2)
    const [x, bits] = node.inputs.map((v) => v!.type)
    vectorOf(x, 'u64', 'input', where)
    expectDtype(bits, ['i32'], 'scale bits', where)
    if (count(bits.shape) !== 1) throw new ModelError(where, `scale bits are [${bits.shape}], expected one number`)
    expectOutputs(node, filterBankSquareRoot.infer([x], node.attrs))
  },

  eval(_, [x, bits]) {
    const [shift] = numbers(bits)
    return [Int32Array.from(x as BigInt64Array, (v) => Number(rootOf(BigInt.asUintN(64, v))) >>> shift)]
  },

  lower(node) {
    const [x, bits] = node.inputs.map((v) => v!)
    const y = node.outputs[0]
    const n = x.type.shape[0]
    const X = L.buffer('x', 'i64', [n])
    const B = L.buffer('bits', 'i32', [1])
    const Y = L.buffer('y', 'i32', [n], 'write')
    const body = L.parallel('i', n, (i) => {
      const [declareRest, rest] = L.declare('rest', L.load(X, i))
      const [declareMost, most] = L.declare(
        'most',
        L.select(L.op('eq', L.op('ushr', rest, L.long(32)), L.long(0)), L.long(0xffff), L.long(0xffffffff)),
      )
      const [declareRoot, root] = L.declare('root', L.long(0))
      const [declareBit, bit] = L.declare('bit', L.long(2 ** 62))
      const [declareTry, trial] = L.declare('trial', L.op('wadd', root, bit))
      const half = L.op('ushr', root, L.long(1))
      const up = L.op('and', L.op('lt', root, rest), L.op('ne', root, most))
      return [
        declareRest,
        declareMost,
        declareRoot,
        declareBit,
        L.loop('digit', 32, () => [
          declareTry,
          L.set(root, half),
          L.when(atLeast(rest, trial), [L.set(rest, L.op('wsub', rest, trial)), L.set(root, L.op('wadd', root, bit))]),
          L.set(bit, L.op('ushr', bit, L.long(2))),
        ]),
        L.store(Y, [i], L.op('ushr', L.op('wrap', L.op('add', root, L.op('extend', up))), L.load(B, 0))),
      ]
    })
    return {
      kernel: L.kernel('filter_bank_square_root', [X, B, Y], body),
      args: [{ value: x }, { value: bits }, { value: y }],
    }
  },

  cost: (node) => costOf(node, 0),
}
