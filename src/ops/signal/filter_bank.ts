// Sums a spectrum into channels: a bin's energy enters one channel by its weight and the channel before by its "unweight",
// which is what the first leaves (triangular filters that overlap by half). TensorFlow Lite Micro's SignalFilterBank,
// uint32 to uint64. Band k of C + 1 ends channel k - 1's triangle and begins channel k's: channel c is the unweights of
// band c and the weights of band c + 1.

import { bug, ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, Value } from '../../ir/graph.ts'
import type { Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Expr } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { unsigned, unsignedNumbers } from '../unsigned.ts'
import { custom, vectorOf } from './custom.ts'

export type FilterBank = Record<string, never>

/** Each band's first bin, first weight and width. */
interface Bands {
  readonly bins: readonly number[]
  readonly weights: readonly number[]
  readonly widths: readonly number[]
}

function bandsOf(node: Node<FilterBank>): Bands {
  const of = (i: number) => [...numbers(node.inputs[i]!.data ?? bug(`${layer(node)}: input ${i} has no data`))]
  return { bins: of(3), weights: of(4), widths: of(5) }
}

/**
 * Weighted sums of the bins u32[n] into channels u64[C]. Inputs: spectrum, weights i16, unweights i16, and for each of
 * C + 1 bands its first bin, first weight and width (constants, i16). TFLite custom SignalFilterBank.
 */
export const filterBank: Op<FilterBank> = {
  name: 'filter_bank',
  spelled: {
    tflite: [
      custom(
        'SignalFilterBank',
        () => filterBank,
        {},
        {
          num_channels: (_, outputs) => outputs[0].type.shape[0],
        },
      ),
    ],
  },
  infer: ([, , , bins]) => [{ dtype: 'u64', shape: [bins!.shape[0] - 1] }],

  check(node) {
    const where = layer(node)
    expectInputs(node, 6)
    const inputs = node.inputs as Value[]
    const types = inputs.map((v) => v.type)
    const [x, weights, unweights] = types
    const bins = vectorOf(x, 'u32', 'input', where)
    const all = vectorOf(weights, 'i16', 'weights', where)
    if (vectorOf(unweights, 'i16', 'unweights', where) !== all)
      throw new ModelError(where, `has ${all} weights and ${unweights.shape[0]} unweights`)
    inputs.slice(3).forEach((v) => {
      if (vectorOf(v.type, 'i16', `"${v.name}"`, where) !== types[3].shape[0])
        throw new ModelError(
          where,
          `"${v.name}" has ${v.type.shape[0]} bands, "${inputs[3].name}" ${types[3].shape[0]}`,
        )
      if (v.storage !== 'const' || !v.data)
        throw new ModelError(where, `"${v.name}" is computed while the model runs, this operator needs a constant`)
    })
    const bands = bandsOf(node)
    bands.widths.forEach((width, k) => {
      if (width < 0) throw new ModelError(where, `band ${k} has a width of ${width}`)
      if (width > 0 && (bands.bins[k] < 0 || bands.bins[k] + width > bins))
        throw new ModelError(where, `band ${k} has ${width} bins from ${bands.bins[k]}, the input ${bins}`)
      if (width > 0 && (bands.weights[k] < 0 || bands.weights[k] + width > all))
        throw new ModelError(where, `band ${k} has ${width} weights from ${bands.weights[k]}, there are ${all}`)
    })
    expectOutputs(node, filterBank.infer(types, node.attrs))
  },

  eval(node, [x, w, u]) {
    const { bins, weights, widths } = bandsOf(node)
    const energy = unsignedNumbers(x as Int32Array)
    const sum = (k: number, by: ArrayLike<number>) => {
      let acc = 0n
      for (let j = 0; j < widths[k]; j++) acc += BigInt(by[weights[k] + j]) * energy[bins[k] + j]
      return acc
    }
    const channels = node.outputs[0].type.shape[0]
    return [
      BigInt64Array.from({ length: channels }, (_, c) =>
        BigInt.asIntN(64, sum(c, numbers(u)) + sum(c + 1, numbers(w))),
      ),
    ]
  },

  lower(node) {
    const [x, w, u] = node.inputs as Value[]
    const y = node.outputs[0]
    const { bins, weights, widths } = bandsOf(node)
    const n = y.type.shape[0]
    const widest = Math.max(1, ...widths)
    const X = L.buffer('x', 'i32', x.type.shape)
    const W = L.buffer('w', 'i16', w.type.shape)
    const U = L.buffer('u', 'i16', u.type.shape)
    const BANDS = L.buffer('bands', 'i16', [n + 1, 3])
    const Y = L.buffer('y', 'i64', [n], 'write')
    const bands = Int16Array.from(bins.flatMap((bin, k) => [bin, weights[k], widths[k]]))
    const body = L.parallel('c', n, (c) => {
      const [declare, acc] = L.declare('acc', L.long(0))
      const sum = (name: string, k: Expr, by: typeof W) =>
        L.loop(name, widest, (j) => {
          const [bin, weight] = [0, 1].map((field) => L.add(L.load(BANDS, k, field), j))
          const product = L.op('wmul', L.op('extend', L.load(by, weight)), unsigned(L.load(X, bin)))
          return L.when(L.lt(j, L.load(BANDS, k, 2)), L.set(acc, L.op('wadd', acc, product)))
        })
      return [declare, sum('j', c, U), sum('k', L.add(c, 1), W), L.store(Y, [c], acc)]
    })
    return {
      kernel: L.kernel('filter_bank', [X, W, U, BANDS, Y], body),
      args: [{ value: x }, { value: w }, { value: u }, { data: bands }, { value: y }],
    }
  },

  cost: (node) => costOf(node, 2 * bandsOf(node).widths.reduce((n, width) => n + Math.max(0, width), 0)),
}
