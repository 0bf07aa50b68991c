// The squared magnitude of complex numbers, real and imaginary parts in turn, in a range of bins; 0 outside. TensorFlow
// Lite Micro's SignalEnergy, int16 to uint32.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { custom, expectWhole, vectorOf } from './custom.ts'

/** Bins from `start_index` to before `end_index`. */
export type Energy = Attrs & { readonly start_index: number; readonly end_index: number }

/**
 * re^2 + im^2 as u32[n / 2] of i16[n], real and imaginary parts in turn, for bins from `start_index` to before
 * `end_index`; 0 for the others. TFLite custom SignalEnergy.
 */
export const energy: Op<Energy> = {
  name: 'energy',
  spelled: { tflite: [custom('SignalEnergy', () => energy, { start_index: 'i32', end_index: 'i32' })] },
  infer: ([x]) => [{ dtype: 'u32', shape: [x!.shape[0] / 2] }],

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    const n = vectorOf(x, 'i16', 'input', where)
    if (n % 2 !== 0) throw new ModelError(where, `input has ${n} elements, complex numbers are two each`)
    const { start_index, end_index } = node.attrs
    expectWhole(end_index, 0, n / 2, 'end_index', where)
    expectWhole(start_index, 0, end_index, 'start_index', where)
    expectOutputs(node, energy.infer([x], node.attrs))
  },

  eval({ attrs: { start_index, end_index } }, [x]) {
    const parts = numbers(x)
    const square = (v: number) => v * v
    const at = (i: number) => square(parts[2 * i]) + square(parts[2 * i + 1])
    return [Int32Array.from({ length: parts.length / 2 }, (_, i) => (i >= start_index && i < end_index ? at(i) : 0))]
  },

  lower(node) {
    const [x, y] = [node.inputs[0]!, node.outputs[0]]
    const n = y.type.shape[0]
    const { start_index, end_index } = node.attrs
    const X = L.buffer('x', 'i16', [n, 2])
    const Y = L.buffer('y', 'i32', [n], 'write')
    const square = (v: ReturnType<typeof L.load>) => L.op('mul', v, v)
    const zeros = (v: string, from: number, to: number) =>
      to > from ? [L.parallel(v, to - from, (i) => L.store(Y, [L.add(i, from)], 0))] : []
    const bins = end_index - start_index
    const body = L.parallel('i', bins, (v) => {
      const i = L.add(v, start_index)
      return L.store(Y, [i], L.op('wadd', square(L.load(X, i, 0)), square(L.load(X, i, 1))))
    })
    return {
      kernel: L.kernel(
        'energy',
        [X, Y],
        ...zeros('before', 0, start_index),
        ...(bins > 0 ? [body] : []),
        ...zeros('after', end_index, n),
      ),
      args: [{ value: x }, { value: y }],
    }
  },

  cost: (node) => costOf(node, 2 * (node.attrs.end_index - node.attrs.start_index)),
}
