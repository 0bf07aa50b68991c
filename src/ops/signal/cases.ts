import type { TensorType, Value } from '../../ir/graph.ts'
import { type CaseBuilder, type OpCase, opCase } from '../case.ts'
import { fftAutoScale } from './auto_scale.ts'
import { energy } from './energy.ts'
import { filterBank } from './filter_bank.ts'
import { filterBankLog } from './log.ts'
import { pcan } from './pcan.ts'
import { rfft } from './rfft.ts'
import { spectralSubtraction } from './spectral_subtraction.ts'
import { filterBankSquareRoot } from './square_root.ts'
import { window } from './window.ts'

const vector = (dtype: TensorType['dtype'], n: number): TensorType => ({ dtype, shape: [n] })

function shorts(b: CaseBuilder, name: string, values: readonly number[]): Value {
  return b.const(name, vector('i16', values.length), Int16Array.from(values))
}

/** u32 numbers: small ones, powers of two and their neighbours, the largest, and random ones of every size. */
function words(b: CaseBuilder, name: string, n: number): Value {
  const edges = [0, 1, 2, 3, 4, 5, 2 ** 10, 2 ** 11 - 1, 2 ** 16 - 1, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]
  const data = Int32Array.from({ length: n }, (_, i) => edges[i] ?? b.random.next() >>> (i % 32))
  return b.const(name, vector('u32', n), data)
}

function longs(b: CaseBuilder, name: string, values: readonly bigint[]): Value {
  return b.const(
    name,
    vector('u64', values.length),
    BigInt64Array.from(values, (v) => BigInt.asIntN(64, v)),
  )
}

const SQUARES = [0n, 1n, 2n, 3n, 0xffffn, 0x10000n, 0xffffffffn, 0xfffffffen, 2n ** 63n].flatMap((v) => [
  v,
  BigInt.asUintN(64, v * v - 1n),
  BigInt.asUintN(64, v * v),
  BigInt.asUintN(64, v * v + v),
  BigInt.asUintN(64, v * v + v + 1n),
])

const SUBTRACTION = {
  smoothing: 409,
  one_minus_smoothing: 15975,
  alternate_smoothing: 983,
  alternate_one_minus_smoothing: 15401,
  min_signal_remaining: 819,
  smoothing_bits: 10,
  spectral_subtraction_bits: 14,
}

/** Channels of a spectrum of 12 bins, one of them empty, and bands that begin and end anywhere. */
function bank(b: CaseBuilder, x: Value): Value {
  const weights = Array.from({ length: 14 }, () => b.random.between(-32768, 32767))
  return b.one(
    filterBank,
    [
      x,
      shorts(b, 'w', weights),
      shorts(
        b,
        'u',
        weights.map((w) => 4096 - (w >> 4)),
      ),
      shorts(b, 'bins', [1, 4, 0, 4, 8]),
      shorts(b, 'starts', [0, 3, 0, 5, 10]),
      shorts(b, 'widths', [3, 0, 1, 4, 4]),
    ],
    {},
  )
}

export const cases: readonly OpCase[] = [
  ...[0, 12, 15].map((shift) =>
    opCase(`window, ${shift} fractional bits`, (b) => {
      const weights = shorts(b, 'w', [-32768, 32767, 1, -1, 4096, 2000, 0])
      return b.one(window, [b.input('x', { dtype: 'i16', shape: [2, 7] }), weights], { shift })
    }),
  ),
  ...[
    [0, 0],
    [3, -4, 1],
    [100, -16384],
    [-32768, 5, 1],
    [5, -32768, -3],
    [32767, 1],
    [255, -256, 0],
  ].map((values) => opCase(`fft_auto_scale of ${values}`, (b) => b.add(fftAutoScale, [shorts(b, 'x', values)], {}))),
  opCase('fft_auto_scale of anything', (b) => b.add(fftAutoScale, [b.input('x', vector('i16', 9))], {})),
  ...(['i16', 'i32', 'f32'] as const).flatMap((dtype) =>
    [
      [4, 4],
      [6, 6],
      [8, 8],
      [10, 7],
      [16, 16],
      [60, 60],
      [128, 100],
      [512, 480],
    ].map(([fft_length, n]) =>
      opCase(`rfft ${dtype} of ${n} samples, length ${fft_length}`, (b) =>
        b.one(rfft, [b.input('x', { dtype, shape: fft_length > 100 ? [n] : [2, n] })], { fft_length }),
      ),
    ),
  ),
  opCase('rfft i32 of large numbers', (b) => {
    const data = Int32Array.from({ length: 32 }, (_, i) =>
      i < 8 ? (i % 2 ? 2 ** 31 - 1 : -(2 ** 31)) : b.random.next(),
    )
    return b.one(rfft, [b.const('x', vector('i32', 32), data)], { fft_length: 32 })
  }),
  ...[
    [0, 5],
    [2, 4],
    [3, 3],
  ].map(([start_index, end_index]) =>
    opCase(`energy from bin ${start_index} to ${end_index}`, (b) =>
      b.one(energy, [b.input('x', vector('i16', 10))], { start_index, end_index }),
    ),
  ),
  opCase('filter_bank', (b) => bank(b, b.input('x', vector('u32', 12)))),
  opCase('filter_bank of large numbers', (b) => bank(b, words(b, 'x', 12))),
  ...[0, 3, 15].map((shift) =>
    opCase(`filter_bank_square_root, ${shift} bits fewer`, (b) => {
      const bits = b.const('bits', { dtype: 'i32', shape: [] }, Int32Array.of(shift))
      return b.one(filterBankSquareRoot, [longs(b, 'x', SQUARES), bits], {})
    }),
  ),
  opCase('filter_bank_square_root by an input', (b) =>
    b.one(filterBankSquareRoot, [b.input('x', vector('u64', 5)), b.input('bits', { dtype: 'i32', shape: [] })], {}),
  ),
  ...[false, true].flatMap((clamping) => [
    opCase(`spectral_subtraction of anything${clamping ? ', clamping' : ''}`, (b) => {
      const noise = b.state(
        'spectral_subtraction:1/state',
        vector('u32', 7),
        Int32Array.of(0, 1, 5, -1, 2 ** 31 - 1, 4000, 1024),
      )
      return b.add(spectralSubtraction, [noise, b.input('x', vector('u32', 7))], { ...SUBTRACTION, clamping })
    }),
    opCase(`spectral_subtraction of large numbers${clamping ? ', clamping' : ''}`, (b) => {
      const noise = b.state('spectral_subtraction:1/state', vector('u32', 40), new Int32Array(40))
      return b.add(spectralSubtraction, [noise, words(b, 'x', 40)], { ...SUBTRACTION, clamping })
    }),
  ]),
  ...[0, 6, 40].map((snr_shift) =>
    opCase(`pcan, ${snr_shift} bits fewer`, (b) => {
      const gains = shorts(
        b,
        'gains',
        Array.from({ length: 125 }, (_, i) => (i % 9 ? b.random.between(-32768, 32767) : -32768)),
      )
      const signal = Int32Array.from({ length: 60 }, () => b.random.next() >>> b.random.between(0, 31))
      return b.one(pcan, [b.const('x', vector('u32', 60), signal), words(b, 'noise', 60), gains], { snr_shift })
    }),
  ),
  opCase('pcan of anything', (b) => {
    const gains = shorts(
      b,
      'gains',
      Array.from({ length: 125 }, () => b.random.between(0, 32767)),
    )
    return b.one(pcan, [b.input('x', vector('u32', 4)), b.input('noise', vector('u32', 4)), gains], { snr_shift: 6 })
  }),
  ...[
    [0, 1600],
    [3, 1600],
    [31, 2 ** 31 - 1],
  ].map(([input_correction_bits, output_scale]) =>
    opCase(`filter_bank_log, ${input_correction_bits} more bits, scale ${output_scale}`, (b) =>
      b.one(filterBankLog, [words(b, 'x', 60)], { input_correction_bits, output_scale }),
    ),
  ),
  opCase('filter_bank_log of anything', (b) =>
    b.one(filterBankLog, [b.input('x', vector('u32', 5))], { input_correction_bits: 1, output_scale: 1600 }),
  ),
]
