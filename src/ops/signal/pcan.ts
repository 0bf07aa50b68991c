// Per-channel amplitude normalisation (PCAN): each channel times a gain that falls with its noise, then a curve that is
// a square near zero and a line above. The gain is a table of parabolas, one for each power of two of the noise.
// TensorFlow Lite Micro's SignalPCAN on uint32; Wang et al. 2017 has the idea.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { parameters } from '../parameters.ts'
import { low, unsigned, unsignedNumbers } from '../unsigned.ts'
import { custom, expectSame, expectWhole, vectorOf } from './custom.ts'

/** `snr_shift`: the bits that the product of signal and gain has too many, of which 12 remain fractional. */
export type Pcan = Attrs & { readonly snr_shift: number }

/** Entries for a noise of 0 to 2, one unused entry, then value, slope, curvature and one unused for each power of two. */
const TABLE = 125

/**
 * Per-channel amplitude normalisation of u32[n] by a noise estimate u32[n], with a gain table i16 of at least 125
 * entries; `snr_shift` 0 to 63. TFLite custom SignalPCAN; Wang et al. 2017.
 */
export const pcan: Op<Pcan> = {
  name: 'pcan',
  spelled: { tflite: [custom('SignalPCAN', () => pcan, { snr_shift: 'i32' })] },
  infer: ([x]) => [x!],

  check(node) {
    const where = layer(node)
    expectInputs(node, 3)
    const [x, noise, table] = node.inputs.map((v) => v!.type)
    vectorOf(x, 'u32', 'input', where)
    vectorOf(noise, 'u32', 'noise', where)
    expectSame(x, noise, 'noise', where)
    const entries = vectorOf(table, 'i16', 'gains', where)
    if (entries < TABLE) throw new ModelError(where, `has ${entries} gains, expected at least ${TABLE}`)
    expectWhole(node.attrs.snr_shift, 0, 63, 'snr_shift', where)
    expectOutputs(node, pcan.infer([x], node.attrs))
  },

  eval({ attrs }, [x, estimate, table]) {
    const gains = numbers(table)
    const noise = numbers(estimate)
    const gainAt = (v: number): number => {
      if (v <= 2) return gains[v]
      const bits = v.toString(2).length
      const [value, slope, curvature] = gains.slice(4 * bits - 6)
      const fraction = Math.floor(v * 2 ** (11 - bits)) % 1024
      const rise = (Math.floor((curvature * fraction) / 32) + slope * 32) * fraction
      return ((Math.floor((rise + 2 ** 14) / 2 ** 15) + value) << 16) >> 16
    }
    const y = unsignedNumbers(x as Int32Array).map((signal, i) => {
      const gain = BigInt.asUintN(32, BigInt(gainAt(noise[i] >>> 0)))
      const snr = Number(BigInt.asUintN(32, (signal * gain) >> BigInt(attrs.snr_shift)))
      return snr < 8192 ? (snr * snr) >> 20 : (snr >>> 6) - 64
    })
    return [Int32Array.from(y)]
  },

  lower(node) {
    const [x, estimate, table] = node.inputs.map((v) => v!)
    const y = node.outputs[0]
    const n = x.type.shape[0]
    const X = L.buffer('x', 'i32', [n])
    const N = L.buffer('noise', 'i32', [n])
    const T = L.buffer('table', 'i16', table.type.shape)
    const Y = L.buffer('y', 'i32', [n], 'write')
    const p = parameters('q', 'i32', { shift: node.attrs.snr_shift })
    const body = L.parallel('i', n, (i) => {
      const [declareNoise, v] = L.declare('v', L.load(N, i))
      const [declareSmall, small] = L.declare('small', L.and(L.ge(v, 0), L.lt(v, 3)))
      const [declareBits, bits] = L.declare('bits', L.max(L.sub(32, L.op('clz', v)), 2))
      const [declareAt, at] = L.declare('at', L.select(small, v, L.sub(L.mul(bits, 4), 6)))
      const [declareValue, value] = L.declare('value', L.load(T, at))
      const aligned = L.select(L.lt(bits, 11), L.op('shl', v, L.sub(11, bits)), L.op('ushr', v, L.sub(bits, 11)))
      const [declareFraction, fraction] = L.declare('fraction', L.and(aligned, 1023))
      const bend = L.op('shr', L.mul(L.load(T, L.add(at, 2)), fraction), 5)
      const rise = L.mul(L.add(bend, L.mul(L.load(T, L.add(at, 1)), 32)), fraction)
      const [declareCurve, curve] = L.declare('curve', L.add(L.op('shr', L.add(rise, 2 ** 14), 15), value))
      const gain = L.select(small, value, L.op('shr', L.op('shl', curve, 16), 16))
      const product = L.op('wmul', unsigned(L.load(X, i)), unsigned(gain))
      const [declareSnr, snr] = L.declare('snr', low(L.op('ushr', product, L.op('extend', p.of.shift))))
      const [declareWord, word] = L.declare('word', L.op('wrap', snr))
      const line = L.op('wsub', L.op('ushr', word, 6), 64)
      return [
        declareNoise,
        declareSmall,
        declareBits,
        declareAt,
        declareValue,
        declareFraction,
        declareCurve,
        declareSnr,
        declareWord,
        L.store(Y, [i], L.select(L.lt(snr, L.long(8192)), L.op('ushr', L.op('wmul', word, word), 20), line)),
      ]
    })
    return {
      kernel: L.kernel('pcan', [X, N, T, ...p.bufs, Y], ...p.head, body),
      args: [{ value: x }, { value: estimate }, { value: table }, ...p.args, { value: y }],
    }
  },

  cost: (node) => costOf(node, 4 * node.outputs[0].type.shape[0]),
  inPlace: () => [0],
}
