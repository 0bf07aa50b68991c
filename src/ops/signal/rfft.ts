// The Fourier transform of real numbers along the last axis, filled up with zeros to `fft_length`: the spectrum's
// fft_length / 2 + 1 complex numbers, real and imaginary parts in turn. Fixed-point spectra are divided by fft_length.
// TensorFlow Lite Micro's SignalRfft, bit for bit: KISS FFT on int16, int32 and float32.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { DType, Node } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import { count, newData } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { expectDtype } from '../quant.ts'
import { custom, expectWhole } from './custom.ts'
import { ONE, partingTwiddles, type RfftElem, radicesOf, twiddles } from './kiss_fft.ts'
import { lower } from './rfft_lower.ts'

export type Rfft = Attrs & { readonly fft_length: number }

const LONGEST = 65536
/** Numbers of the element types in the option `T`. */
const CODES: Readonly<Record<RfftElem, number>> = { i16: 7, i32: 2, f32: 0 }

type Complex = readonly [number, number]

/** One element type's numbers: `stored` is what storing leaves, `times` and `scale` round as KISS FFT does. */
function arithmeticOf(elem: RfftElem) {
  const stored = (v: number) => (elem === 'i16' ? (v << 16) >> 16 : elem === 'i32' ? v | 0 : Math.fround(v))
  const fixed = (v: bigint, bits: bigint) =>
    stored(Number(BigInt.asIntN(32, (BigInt.asIntN(64, v) + (1n << (bits - 1n))) >> bits)))
  const bits = elem === 'i16' ? 15n : 31n
  const sumOfProducts = (a: number, b: number, c: number, d: number) =>
    elem === 'f32'
      ? Math.fround(Math.fround(a * b) + Math.fround(c * d))
      : fixed(BigInt(a) * BigInt(b) + BigInt(c) * BigInt(d), bits)
  const scale = (v: number, by: number) => (elem === 'f32' ? Math.fround(v * by) : fixed(BigInt(v) * BigInt(by), bits))
  return {
    stored,
    times: ([a, b]: Complex, [c, d]: Complex): Complex => [sumOfProducts(a, c, -b, d), sumOfProducts(a, d, b, c)],
    scale,
    /** v / k, for fixed-point numbers only. */
    part: (v: Complex, k: number): Complex =>
      elem === 'f32' ? v : [scale(v[0], Math.trunc(ONE[elem] / k)), scale(v[1], Math.trunc(ONE[elem] / k))],
    half: (v: number) => (elem === 'f32' ? Math.fround(v * 0.5) : (v | 0) >> 1),
    add: (a: Complex, b: Complex): Complex => [plus(a[0], b[0]), plus(a[1], b[1])],
    /** a + b i. */
    turned: (a: Complex, b: Complex): Complex => [plus(a[0], -b[1]), plus(a[1], b[0])],
    minus: (a: Complex, b: Complex): Complex => [plus(a[0], -b[0]), plus(a[1], -b[1])],
    plus,
  }
  function plus(a: number, b: number): number {
    return elem === 'f32' ? Math.fround(a + b) : a + b
  }
}

/** The complex transform by recursion: each radix splits into as many transforms of every p-th element. */
function transform(
  x: readonly Complex[],
  radices: readonly number[],
  roots: readonly Complex[],
  elem: RfftElem,
): Complex[] {
  const [p, ...rest] = radices
  const m = x.length / p
  const stride = roots.length / x.length
  const parts = Array.from({ length: p }, (_, q) => {
    const own = x.filter((_, i) => i % p === q)
    return rest.length ? transform(own, rest, roots, elem) : own
  })
  const { part, times, stored, half, add, turned, minus, plus, scale } = arithmeticOf(elem)
  const out: Complex[] = new Array(x.length)
  for (let u = 0; u < m; u++) {
    const [a, ...others] = parts.map((values, q) => {
      const v = part(values[u], p)
      return q === 0 ? v : times(v, roots[q * u * stride])
    })
    const [b, c, d, e] = others
    const results = ((): Complex[] => {
      switch (p) {
        case 2:
          return [add(a, b), minus(a, b)]
        case 3: {
          const sum = add(b, c)
          const difference = minus(b, c)
          const sine = roots[stride * m][1]
          const turn: Complex = [scale(difference[0], sine), scale(difference[1], sine)]
          const middle: Complex = [plus(a[0], -half(sum[0])), plus(a[1], -half(sum[1]))]
          return [add(a, sum), turned(middle, turn), [plus(middle[0], turn[1]), plus(middle[1], -turn[0])]]
        }
        case 4: {
          const [even, odd] = [add(b, d), minus(b, d)]
          const [low, high] = [add(a, c), minus(a, c)]
          return [add(low, even), [plus(high[0], odd[1]), plus(high[1], -odd[0])], minus(low, even), turned(high, odd)]
        }
        default: {
          const [ya, yb] = [roots[stride * m], roots[2 * stride * m]]
          const [s7, s10, s8, s9] = [add(b, e), minus(b, e), add(c, d), minus(c, d)]
          const by = (v: Complex, k: number): Complex => [scale(v[0], k), scale(v[1], k)]
          const real = (near: Complex, far: Complex) => add(add(a, by(s7, near[0])), by(s8, far[0]))
          const [p1, p2] = [real(ya, yb), real(yb, ya)]
          const [m10, m9] = [by(s10, ya[1]), by(s9, yb[1])]
          const [n10, n9] = [by(s10, yb[1]), by(s9, ya[1])]
          const s6: Complex = [plus(m10[1], m9[1]), plus(-m10[0], -m9[0])]
          const s12: Complex = [plus(-n10[1], n9[1]), plus(n10[0], -n9[0])]
          return [add(a, add(s7, s8)), minus(p1, s6), add(p2, s12), minus(p2, s12), add(p1, s6)]
        }
      }
    })()
    results.forEach(([re, im], q) => {
      out[u + q * m] = [stored(re), stored(im)]
    })
  }
  return out
}

const pairs = (values: readonly number[]): Complex[] =>
  Array.from({ length: values.length / 2 }, (_, i) => [values[2 * i], values[2 * i + 1]])

function spectrum(samples: readonly number[], elem: RfftElem): number[] {
  const M = samples.length / 2
  const { part, stored, add, minus, times, half, plus } = arithmeticOf(elem)
  const z = transform(pairs(samples), radicesOf(M)!, pairs(twiddles(M, elem)), elem)
  const out: Complex[] = new Array(M + 1)
  const [re, im] = part(z[0], 2)
  out[0] = [plus(re, im), 0]
  out[M] = [plus(re, -im), 0]
  pairs(partingTwiddles(M, elem)).forEach((root, i) => {
    const k = i + 1
    const a = part(z[k], 2)
    const b = part([z[M - k][0], stored(-z[M - k][1])], 2)
    const f1 = add(a, b)
    const odd = times(minus(a, b), root)
    out[k] = [half(plus(f1[0], odd[0])), half(plus(f1[1], odd[1]))]
    out[M - k] = [half(plus(f1[0], -odd[0])), half(plus(odd[1], -f1[1]))]
  })
  return out.flat().map(stored)
}

/** Transforms, samples that are given of each, and the type of one. */
export function sizes(node: Node<Rfft>) {
  const { shape, dtype } = node.inputs[0]!.type
  const n = shape[shape.length - 1]
  return { rows: count(shape) / n, n, elem: dtype as RfftElem }
}

/**
 * Fourier transform of real samples along the last axis, filled up with zeros to `fft_length` (even, a product of 2, 3
 * and 5, up to 65536): fft_length + 2 numbers, real and imaginary parts in turn. i16, i32 (divided by fft_length), f32.
 * TFLite custom SignalRfft.
 */
export const rfft: Op<Rfft> = {
  name: 'rfft',
  spelled: {
    tflite: [
      custom(
        'SignalRfft',
        () => rfft,
        { fft_length: 'i32' },
        {
          T: ([x]) => CODES[x!.type.dtype as RfftElem],
        },
      ),
    ],
  },
  infer: ([x], { fft_length }) => [{ dtype: x!.dtype, shape: [...x!.shape.slice(0, -1), fft_length + 2] }],

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    expectDtype(x, ['i16', 'i32', 'f32'] satisfies DType[], 'input', where)
    const length = node.attrs.fft_length
    expectWhole(length, 4, LONGEST, 'fft_length', where)
    if (length % 2 !== 0 || !radicesOf(length / 2))
      throw new ModelError(where, `fft_length is ${length}, supported are even products of 2, 3 and 5`)
    const n = x.shape.at(-1) ?? 0
    if (n < 1 || n > length)
      throw new ModelError(
        where,
        `input is [${x.shape}], expected 1 to ${length} samples (fft_length) along the last axis`,
      )
    expectOutputs(node, rfft.infer([x], node.attrs))
  },

  eval(node, [x]) {
    const { rows, n, elem } = sizes(node)
    const { fft_length } = node.attrs
    const given = numbers(x)
    const y = numbers(newData(elem, rows * (fft_length + 2)))
    for (let r = 0; r < rows; r++) {
      const samples = Array.from({ length: fft_length }, (_, i) => (i < n ? given[r * n + i] : 0))
      y.set(spectrum(samples, elem), r * (fft_length + 2))
    }
    return [y]
  },

  lower,

  cost(node) {
    const { rows } = sizes(node)
    const M = node.attrs.fft_length / 2
    return costOf(node, rows * M * (4 * radicesOf(M)!.length + 2))
  },
}
