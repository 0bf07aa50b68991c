// Audio shifted left as far as its largest magnitude allows, and by how much: TensorFlow Lite Micro's SignalFftAutoScale
// on int16, before a Fourier transform of fixed-point numbers. -32768 has no magnitude in int16 and counts as it is.

import { layer } from '../../ir/build.ts'
import type { Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { custom, vectorOf } from './custom.ts'

export type AutoScale = Record<string, never>

/**
 * i16[n] shifted left as far as its largest magnitude allows, and that shift as i32[]. TFLite custom
 * SignalFftAutoScale.
 */
export const fftAutoScale: Op<AutoScale> = {
  name: 'fft_auto_scale',
  spelled: { tflite: [custom('SignalFftAutoScale', () => fftAutoScale, {})] },
  infer: ([x]) => [
    { dtype: 'i16', shape: x!.shape },
    { dtype: 'i32', shape: [] },
  ],

  check(node) {
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    vectorOf(x, 'i16', 'input', layer(node))
    expectOutputs(node, fftAutoScale.infer([x], node.attrs))
  },

  eval(_, [x]) {
    const audio = numbers(x)
    let most = 0
    for (const v of audio) if (v > most || -v > most) most = v > most ? v : (-v << 16) >> 16
    let bits = 0
    while (most > 0 && most << (bits + 1) <= 32767) bits++
    return [Int16Array.from(audio, (v) => v << bits), Int32Array.of(bits)]
  },

  lower(node) {
    const x = node.inputs[0]!
    const [y, b] = node.outputs
    const n = x.type.shape[0]
    const X = L.buffer('x', 'i16', [n])
    const Y = L.buffer('y', 'i16', [n], 'write')
    const B = L.buffer('bits', 'i32', [1], 'write')
    const [start, most] = L.declare('most', 0)
    const [declareV, v] = L.declare('v', L.load(X, L.ref('i')))
    const [declareNegative, negative] = L.declare('negative', L.sub(0, v))
    const [declareBits, bits] = L.declare('shift', L.select(L.op('gt', most, 0), L.sub(L.op('clz', most), 17), 0))
    const folded = L.op('shr', L.op('shl', negative, 16), 16)
    const greater = L.select(L.op('gt', v, most), v, L.select(L.op('gt', negative, most), folded, most))
    return {
      kernel: L.kernel(
        'fft_auto_scale',
        [X, Y, B],
        start,
        L.loop('i', n, () => [declareV, declareNegative, L.set(most, greater)]),
        declareBits,
        L.store(B, [0], bits),
        L.parallel('j', n, (j) => L.store(Y, [j], L.op('shl', L.load(X, j), bits))),
      ),
      args: [{ value: x }, { value: y }, { value: b }],
    }
  },

  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
}
