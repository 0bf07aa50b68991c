// Takes the noise out of a spectrum: a running mean of each channel is the estimate of its noise, and what is above it
// remains, at least a given part of the signal. TensorFlow Lite Micro's SignalFilterBankSpectralSubtraction on uint32.
// Input 0 is the estimate, which lives between runs; output 1 is the new one.

import { layer } from '../../ir/build.ts'
import type { Attrs, Op, TfliteSpelling } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { newData } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { parameters } from '../parameters.ts'
import { operand, reading } from '../tflite.ts'
import { low, unsigned, unsignedNumbers } from '../unsigned.ts'
import { custom, expectSame, expectWhole, vectorOf } from './custom.ts'

/**
 * Weights of the signal and of the old estimate, of even channels and (`alternate_`) odd ones, and the part of the signal
 * that remains, all with `spectral_subtraction_bits` fractional bits; the estimate has `smoothing_bits` more bits than the
 * signal. `clamping`: an estimate above the signal falls to it.
 */
export type SpectralSubtraction = Attrs & {
  readonly smoothing: number
  readonly one_minus_smoothing: number
  readonly alternate_smoothing: number
  readonly alternate_one_minus_smoothing: number
  readonly min_signal_remaining: number
  readonly smoothing_bits: number
  readonly spectral_subtraction_bits: number
  readonly clamping: boolean
}

const WEIGHTS = [
  'smoothing',
  'one_minus_smoothing',
  'alternate_smoothing',
  'alternate_one_minus_smoothing',
  'min_signal_remaining',
] as const

const OPTIONS = {
  smoothing: 'i32',
  one_minus_smoothing: 'i32',
  alternate_smoothing: 'i32',
  alternate_one_minus_smoothing: 'i32',
  min_signal_remaining: 'i32',
  smoothing_bits: 'i32',
  spectral_subtraction_bits: 'i32',
  clamping: 'bool',
} as const

/** In a file the estimate is no tensor: it starts from zero, as many as there are channels. */
function spelling(): TfliteSpelling<SpectralSubtraction> {
  const own = custom('SignalFilterBankSpectralSubtraction', () => spectralSubtraction, OPTIONS, {
    num_channels: (_, outputs) => outputs[0].type.shape[0],
  })
  return {
    ...own,
    read(build, node) {
      const { type } = operand(node, 0, 'input', reading(own.name, node))
      const noise = build.state(`${node.result.names?.[1] ?? own.name}/state`, type, newData('i32', type.shape[0]))
      return own.read(build, { ...node, inputs: [noise, ...node.inputs] })
    },
    write(node) {
      const record = own.write(node)
      const fromZero = numbers(node.inputs[0]!.data).every((v) => v === 0)
      return fromZero ? { ...record, inputs: record.inputs.slice(1) } : undefined
    },
  }
}

/**
 * u32[n] less a running mean of each channel, at least `min_signal_remaining` of it. Input 0 is the mean, a state that
 * it writes; outputs: the signal and the new mean. Weights have `spectral_subtraction_bits` fractional bits. TFLite
 * custom SignalFilterBankSpectralSubtraction.
 */
export const spectralSubtraction: Op<SpectralSubtraction> = {
  name: 'spectral_subtraction',
  spelled: { tflite: [spelling()] },
  infer: ([, x]) => [x!, x!],

  check(node) {
    const where = layer(node)
    expectInputs(node, 2)
    const [noise, x] = node.inputs.map((v) => v!.type)
    vectorOf(x, 'u32', 'input', where)
    vectorOf(noise, 'u32', 'estimate', where)
    expectSame(x, noise, 'estimate', where)
    const { attrs } = node
    for (const weight of WEIGHTS) expectWhole(attrs[weight], 0, 2 ** 31 - 1, weight, where)
    for (const bits of ['smoothing_bits', 'spectral_subtraction_bits'] as const)
      expectWhole(attrs[bits], 0, 31, bits, where)
    expectOutputs(node, spectralSubtraction.infer([noise, x], attrs))
  },

  eval({ attrs }, [state, x]) {
    const noise = numbers(state)
    const of = (k: keyof typeof OPTIONS) => BigInt(attrs[k])
    const [up, bits] = [of('smoothing_bits'), of('spectral_subtraction_bits')]
    const y = unsignedNumbers(x as Int32Array).map((signal, i) => {
      const [mine, old] = i % 2 === 0 ? (['smoothing', 'one_minus_smoothing'] as const) : ALTERNATE
      const scaled = BigInt.asUintN(32, signal << up)
      const mean = BigInt.asUintN(64, scaled * of(mine) + BigInt(noise[i] >>> 0) * of(old))
      const estimate = BigInt.asUintN(32, mean >> bits)
      const taken = estimate < scaled ? estimate : scaled
      noise[i] = Number(BigInt.asIntN(32, attrs.clamping ? taken : estimate))
      const floor = BigInt.asUintN(32, (signal * of('min_signal_remaining')) >> bits)
      const left = (scaled - taken) >> up
      return Number(BigInt.asIntN(32, left > floor ? left : floor))
    })
    return [Int32Array.from(y), Int32Array.from(noise)]
  },

  lower(node) {
    const [state, x] = node.inputs.map((v) => v!)
    const [y, estimate] = node.outputs
    const n = x.type.shape[0]
    const { attrs } = node
    const S = L.buffer('s', 'i32', [n], 'write')
    const X = L.buffer('x', 'i32', [n])
    const W = L.buffer('w', 'i32', [2, 2])
    const Y = L.buffer('y', 'i32', [n], 'write')
    const E = L.buffer('e', 'i32', [n], 'write')
    const weights = Int32Array.from(
      [...(['smoothing', 'one_minus_smoothing'] as const), ...ALTERNATE].map((k) => attrs[k]),
    )
    const p = parameters('q', 'i32', {
      up: attrs.smoothing_bits,
      bits: attrs.spectral_subtraction_bits,
      least: attrs.min_signal_remaining,
      clamping: Number(attrs.clamping),
    })
    const [up, bits] = [L.op('extend', p.of.up), L.op('extend', p.of.bits)]
    const body = L.parallel('i', n, (i) => {
      const odd = L.and(i, 1)
      const [declareSignal, signal] = L.declare('signal', unsigned(L.load(X, i)))
      const [declareScaled, scaled] = L.declare('scaled', low(L.op('shl', signal, up)))
      const times = (v: typeof signal, weight: typeof odd) => L.op('wmul', v, L.op('extend', weight))
      const mean = L.op('wadd', times(scaled, L.load(W, odd, 0)), times(unsigned(L.load(S, i)), L.load(W, odd, 1)))
      const [declareEstimate, noise] = L.declare('estimate', low(L.op('ushr', mean, bits)))
      const [declareTaken, taken] = L.declare('taken', L.min(noise, scaled))
      const [declareKept, kept] = L.declare('kept', L.op('wrap', L.select(p.of.clamping, taken, noise)))
      const floor = low(L.op('ushr', times(signal, p.of.least), bits))
      const left = L.op('ushr', L.op('sub', scaled, taken), up)
      return [
        declareSignal,
        declareScaled,
        declareEstimate,
        declareTaken,
        declareKept,
        L.store(S, [i], kept),
        L.store(E, [i], kept),
        L.store(Y, [i], L.op('wrap', L.max(left, floor))),
      ]
    })
    return {
      kernel: L.kernel('spectral_subtraction', [X, W, ...p.bufs, S, Y, E], ...p.head, body),
      args: [{ value: x }, { data: weights }, ...p.args, { value: state }, { value: y }, { value: estimate }],
    }
  },

  cost: (node) => costOf(node, 3 * node.outputs[0].type.shape[0]),
  writesState: true,
}

const ALTERNATE = ['alternate_smoothing', 'alternate_one_minus_smoothing'] as const
