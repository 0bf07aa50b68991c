// Scaled natural logarithms of uint32 as int16, saturated; 0 of 0 and 1. The binary logarithm is the place of the first
// bit and, between powers of two, the fraction plus a correction from a table of 128 steps (the slope within a step counts
// 1/128 of what it should: the library's own arithmetic). TensorFlow Lite Micro's SignalFilterBankLog.

import { layer } from '../../ir/build.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { parameters } from '../parameters.ts'
import { low } from '../unsigned.ts'
import { custom, expectWhole, vectorOf } from './custom.ts'

/** The input times 2^input_correction_bits is taken; `output_scale` is what the logarithm is multiplied by. */
export type FilterBankLog = Attrs & { readonly input_correction_bits: number; readonly output_scale: number }

/** log2(1 + i/128) - i/128 in units of 2^-16. */
const CORRECTION = Int16Array.from({ length: 129 }, (_, i) => Math.round(65536 * (Math.log2(1 + i / 128) - i / 128)))
/** ln 2 in units of 2^-16. */
const LN2 = 45426

/**
 * ln(x * 2^`input_correction_bits`) * `output_scale` of u32[n] as i16[n], saturated; 0 of 0 and 1. TFLite custom
 * SignalFilterBankLog.
 */
export const filterBankLog: Op<FilterBankLog> = {
  name: 'filter_bank_log',
  spelled: {
    tflite: [custom('SignalFilterBankLog', () => filterBankLog, { input_correction_bits: 'i32', output_scale: 'i32' })],
  },
  infer: ([x]) => [{ dtype: 'i16', shape: x!.shape }],

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    vectorOf(x, 'u32', 'input', where)
    expectWhole(node.attrs.input_correction_bits, 0, 31, 'input_correction_bits', where)
    expectWhole(node.attrs.output_scale, 0, 2 ** 31 - 1, 'output_scale', where)
    expectOutputs(node, filterBankLog.infer([x], node.attrs))
  },

  eval({ attrs: { input_correction_bits, output_scale } }, [x]) {
    const logarithm = (v: number): number => {
      if (v <= 1) return 0
      const whole = v.toString(2).length - 1
      const fraction = Math.floor((v / 2 ** whole - 1) * 65536)
      const step = Math.floor(fraction / 512)
      const slope = CORRECTION[step + 1] - CORRECTION[step]
      const binary = whole * 65536 + fraction + CORRECTION[step] + Math.floor((slope * (fraction % 512)) / 65536)
      const natural = Math.floor((LN2 * binary + 32768) / 65536)
      const scaled = BigInt.asUintN(32, BigInt(output_scale) * BigInt(natural) + 32768n)
      return Math.min(32767, Number(scaled >> 16n))
    }
    return [Int16Array.from(x as Int32Array, (v) => logarithm((v << input_correction_bits) >>> 0))]
  },

  lower(node) {
    const [x, y] = [node.inputs[0]!, node.outputs[0]]
    const n = x.type.shape[0]
    const X = L.buffer('x', 'i32', [n])
    const T = L.buffer('table', 'i16', [CORRECTION.length])
    const Y = L.buffer('y', 'i16', [n], 'write')
    const { input_correction_bits: bits, output_scale: scale } = node.attrs
    const p = parameters('q', 'i32', { bits, scale })
    const body = L.parallel('i', n, (i) => {
      const [declareV, v] = L.declare('v', L.op('shl', L.load(X, i), p.of.bits))
      // 0 has no first bit: 1 in its place, the result is not used.
      const [declareWhole, whole] = L.declare('whole', L.sub(31, L.op('clz', L.op('or', v, 1))))
      const rest = L.op('xor', v, L.op('shl', 1, whole))
      const aligned = L.select(
        L.lt(whole, 16),
        L.op('shl', rest, L.sub(16, whole)),
        L.op('ushr', rest, L.sub(whole, 16)),
      )
      const [declareFraction, fraction] = L.declare('fraction', L.and(aligned, 65535))
      const [declareStep, step] = L.declare('step', L.op('ushr', fraction, 9))
      const [declareFrom, from] = L.declare('from', L.load(T, step))
      const slope = L.op('sub', L.load(T, L.add(step, 1)), from)
      const between = L.op('shr', L.mul(slope, L.and(fraction, 511)), 16)
      const binary = L.add(L.add(L.op('shl', whole, 16), fraction), L.add(from, between))
      const rounded = L.op('add', L.op('mul', L.op('extend', binary), L.long(LN2)), L.long(32768))
      const natural = L.op('ushr', rounded, L.long(16))
      const scaled = low(L.op('wadd', L.op('wmul', natural, L.op('extend', p.of.scale)), L.long(32768)))
      const [declareLog, log] = L.declare('log', L.op('wrap', L.op('ushr', scaled, L.long(16))))
      const none = L.and(L.ge(v, 0), L.lt(v, 2))
      return [
        declareV,
        declareWhole,
        declareFraction,
        declareStep,
        declareFrom,
        declareLog,
        L.store(Y, [i], L.select(none, 0, L.min(log, 32767))),
      ]
    })
    return {
      kernel: L.kernel('filter_bank_log', [X, T, ...p.bufs, Y], ...p.head, body),
      args: [{ value: x }, { data: CORRECTION }, ...p.args, { value: y }],
    }
  },

  cost: (node) => costOf(node, 3 * node.outputs[0].type.shape[0]),
}
