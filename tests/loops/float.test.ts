import { describe, expect, test } from 'vitest'
import * as F from '../../src/loops/float.ts'
import { interpret } from '../../src/loops/interpret.ts'
import { powf as powSteps } from '../../src/loops/math.ts'
import { computed, DOUBLES, dataOf, FLOATS, FUNCTIONS, randomDoubles, randomFloats } from '../support/operations.ts'

const cell = new Float32Array(1)
const word = new Uint32Array(cell.buffer)

function float32(bits: number): number {
  word[0] = bits
  return cell[0]
}

/** The spacing of float32 numbers around a real one. */
function ulp(y: number): number {
  const a = Math.abs(y)
  return a < 2 ** -126 ? 2 ** -149 : 2 ** (Math.floor(Math.log2(a)) - 23)
}

describe('fma', () => {
  /** A float32 number in units of 2^-149. */
  const units = (x: number) => BigInt(x * 2 ** 149)
  const distance = (a: bigint, b: bigint) => (a < b ? b - a : a - b)

  test('is the float32 nearest to the exact sum, halves to even', () => {
    let s = 7
    const random = () => {
      s ^= s << 13
      s ^= s >>> 17
      s ^= s << 5
      return float32((s & 0x807fffff) | ((100 + ((s >>> 23) % 54)) << 23))
    }
    for (let i = 0; i < 20_000; i++) {
      const [a, b] = [random(), random()]
      // sums that cancel, that are halfway, and others
      const c = i % 3 === 0 ? Math.fround(-a * b) : i % 3 === 1 ? Math.fround(a * b * 2 ** ((i % 50) - 25)) : random()
      const got = F.fma(a, b, c)
      const exact = units(a) * units(b) + (units(c) << 149n)
      const off = (x: number) => distance(exact, units(x) << 149n)
      cell[0] = got
      const bits = word[0]
      const [below, above] = [float32(bits - 1), float32(bits + 1)]
      for (const other of got === 0 ? [2 ** -149, -(2 ** -149)] : [below, above])
        if (off(other) < off(got) || (off(other) === off(got) && bits % 2 === 1))
          expect.fail(`${a} * ${b} + ${c}: ${got}, ${other} is nearer`)
    }
    expect(F.fma(1 + 2 ** -12, 1 + 2 ** -12, -1 - 2 ** -11)).toBe(2 ** -24)
    expect(F.fma(3e38, 3e38, 0)).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('binary16', () => {
  /** The numbers of 0 to 0x7bff, by the definition of the format. */
  const FINITE = Array.from({ length: 0x7c00 }, (_, h) => {
    const [exponent, fraction] = [h >> 10, h % 1024]
    return exponent === 0 ? (fraction / 1024) * 2 ** -14 : (1 + fraction / 1024) * 2 ** (exponent - 15)
  })

  test('each of the 65,536 stands for the number that the format says', () => {
    for (let h = 0; h < 0x7c00; h++) {
      if (F.f16ToF32(h) !== FINITE[h]) throw new Error(`0x${h.toString(16)} is ${F.f16ToF32(h)}`)
      if (!Object.is(F.f16ToF32(h | 0x8000), -FINITE[h])) throw new Error(`-0x${h.toString(16)}`)
    }
    expect([F.f16ToF32(0x7c00), F.f16ToF32(0xfc00)]).toEqual([Infinity, -Infinity])
    for (let h = 0x7c01; h < 0x8000; h++)
      if (!Number.isNaN(F.f16ToF32(h)) || !Number.isNaN(F.f16ToF32(h | 0x8000))) throw new Error(`${h} is a number`)
  })

  test('of every number that binary16 holds the bits come back, and 0x7e00 of every NaN', () => {
    for (let h = 0; h < 65536; h++) {
      const x = F.f16ToF32(h)
      const back = F.f32ToF16(x)
      if (back !== (Number.isNaN(x) ? 0x7e00 : h)) throw new Error(`0x${h.toString(16)} comes back as ${back}`)
    }
  })

  test('a float becomes the nearest one, of two the even one, and infinity from 65520 on', () => {
    const nearest = (x: number): number => {
      if (x >= 65520) return 0x7c00
      let [low, high] = [0, 0x7bff]
      while (high - low > 1) {
        const middle = (low + high) >> 1
        if (FINITE[middle] <= x) low = middle
        else high = middle
      }
      const [below, above] = [x - FINITE[low], FINITE[high] - x]
      return below < above || (below === above && low % 2 === 0) ? low : high
    }
    const check = (x: number): void => {
      const want = nearest(x)
      if (F.f32ToF16(x) !== want || F.f32ToF16(-x) !== want + 0x8000)
        throw new Error(`of ${x} is ${F.f32ToF16(x)}, nearest is ${want}`)
    }
    for (let h = 0; h + 1 < 0x7c00; h++) {
      const middle = (FINITE[h] + FINITE[h + 1]) / 2
      for (const x of [middle, middle * (1 + 2 ** -23), middle * (1 - 2 ** -24)]) check(Math.fround(x))
    }
    for (let bits = 0; bits < 0x7f800000; bits += 6151) check(float32(bits))
    check(Infinity)
    check(65519.99)
  })
})

test('halves round to the even whole number', () => {
  const pairs = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999999999999994, 4503599627370495.5, -0].map((x) => [
    x,
    F.roundEven(x),
  ])
  expect(pairs).toEqual([
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [-0.5, -0],
    [-1.5, -2],
    [-2.5, -2],
    [0.49999999999999994, 0],
    [4503599627370495.5, 4503599627370496],
    [-0, -0],
  ])
})

/** 2/sqrt(pi) e^(-x^2) (x + 2 x^3/3 + 4 x^5/(3*5) + ...): all terms have one sign. */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x)
  let term = x
  let sum = x
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 2 ** -54; n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

/** Float32 numbers of every size, and many more where the functions bend. */
function* sample(): Generator<number> {
  for (let bits = 0; bits < 0x7f800000; bits += 9973) yield* [float32(bits), -float32(bits)]
  for (let x = -8; x < 8; x += 0.000093) yield Math.fround(x)
  for (let x = -0.5; x < 0.5; x += 0.0000071) yield* [Math.fround(x), Math.fround(1 + x)]
  for (let k = 1; k < 40000; k += 1) yield Math.fround((k * Math.PI) / 2)
}

const ACCURATE = [
  { name: 'logf', f: F.logf, exact: Math.log },
  { name: 'log1pf', f: F.log1pf, exact: Math.log1p },
  { name: 'sinf', f: F.sinf, exact: Math.sin },
  { name: 'cosf', f: F.cosf, exact: Math.cos },
  { name: 'erff', f: F.erff, exact: erf },
  { name: 'rsqrtf', f: F.rsqrtf, exact: (x: number) => 1 / Math.sqrt(x) },
] as const

describe.each(ACCURATE)('$name', ({ name, f, exact }) => {
  test('is within 2 ulp of the real value', () => {
    let worst = 0
    let at = 0
    for (const x of sample()) {
      const [got, want] = [f(x), exact(x)]
      if (Object.is(got, want) || (Number.isNaN(got) && Number.isNaN(want))) continue
      const error = Math.abs(got - want) / ulp(want)
      if (!(error <= worst)) [worst, at] = [error, x]
    }
    expect(worst, `at ${at}: ${f(at)} instead of ${exact(at)}`).toBeLessThanOrEqual(2)
  })

  test('has the exact value where that is a special one', () => {
    for (const x of [0, -0, Infinity, -Infinity, NaN, -1, 1]) {
      const want = exact(x)
      if (want === 0 || !Number.isFinite(want)) expect(f(x), `${name}(${x})`).toBe(want)
    }
  })
})

test('sine and cosine of the largest numbers are as accurate as of the small ones', () => {
  for (const x of [1e10, 1e22, 3.4e38, 16367173 * 2 ** 72, 5.9294e36].map(Math.fround)) {
    expect(Math.abs(F.sinf(x) - Math.sin(x))).toBeLessThanOrEqual(2 * ulp(Math.sin(x)))
    expect(Math.abs(F.cosf(x) - Math.cos(x))).toBeLessThanOrEqual(2 * ulp(Math.cos(x)))
  }
})

describe('powf', () => {
  const BASES = [...FLOATS, 3, -3, 0.3, 0.9999999, 1.0000001, 1.1, 10, 1e-3]
  const EXPONENTS = [...FLOATS, 3, -3, 0.25, 1 / 3, -0.7, 11, 88.5, 1e7].map(Math.fround)
  /** JavaScript has NaN where C has 1. */
  const inC = (x: number, y: number) => (x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y)

  test('is within 2 ulp of the real value and has the special cases of C', () => {
    for (const x of BASES.map(Math.fround))
      for (const y of EXPONENTS) {
        const [got, want] = [F.powf(x, y), inC(x, y)]
        const rounded = Math.fround(want)
        const good =
          Number.isFinite(rounded) && rounded !== 0
            ? Math.abs(got - want) <= 2 * ulp(want)
            : Object.is(got, rounded) || Math.abs(got - want) <= 2 ** -149
        if (!good) throw new Error(`powf(${x}, ${y}) is ${got}, expected ${want}`)
      }
  })

  test('is within 2 ulp for random arguments', () => {
    const [xs, ys] = [randomFloats(40000), randomFloats(80000).subarray(40000)]
    for (let i = 0; i < xs.length; i++) {
      const x = Math.abs(xs[i])
      const y = Math.fround(((ys[i] % 1) * 127) / Math.max(1, Math.abs(Math.log2(x))))
      const want = x ** y
      if (!Number.isFinite(x) || !Number.isFinite(y)) continue
      if (!(Math.abs(F.powf(x, y) - want) <= 2 * ulp(want))) throw new Error(`powf(${x}, ${y}) is not ${want}`)
    }
  })
})

test('exp and log in float64 are within 2 units of the last place', () => {
  const spacing = (y: number) => Math.max(2 ** -1074, 2 ** (Math.floor(Math.log2(Math.abs(y))) - 52))
  const close = (got: number, want: number) =>
    Object.is(got, want) || Math.abs(got - want) <= 2 * spacing(want) || (got === want && want === 0)
  for (let x = -745; x < 709.7; x += 0.0137)
    if (!close(F.exp(x), Math.exp(x))) throw new Error(`exp(${x}) is ${F.exp(x)}, not ${Math.exp(x)}`)
  for (const x of [...DOUBLES, ...randomDoubles(20000)]) {
    if (!close(F.log(x), Math.log(x))) throw new Error(`log(${x}) is ${F.log(x)}, not ${Math.log(x)}`)
    if (!close(F.exp(x), Math.exp(x))) throw new Error(`exp(${x}) is ${F.exp(x)}, not ${Math.exp(x)}`)
  }
  for (let x = 0.5; x < 2; x += 0.000031)
    if (!close(F.log(x), Math.log(x))) throw new Error(`log(${x}) is ${F.log(x)}, not ${Math.log(x)}`)
})

describe('in the loop language', () => {
  const same = (
    name: string,
    xs: readonly (readonly number[])[],
    elem: 'f32' | 'f64',
    run: ReturnType<typeof computed>,
  ) => {
    interpret(run.kernel, run.args)
    const f = (Object.entries(F).find(([n]) => n === name) ?? [])[1] as (...x: number[]) => number
    const got = run.args.at(-1) as Float32Array
    const rounded = (x: number) => (elem === 'f32' ? Math.fround(x) : x)
    const wrong = got.findIndex((y, i) => !Object.is(y, rounded(f(...xs.map((c) => c[i])))))
    expect(wrong, `${name}(${xs.map((c) => c[wrong])}) is ${got[wrong]}`).toBe(-1)
  }
  const floats = [...FLOATS, ...randomFloats(8000), ...Array.from({ length: 8000 }, (_, i) => (i - 4000) / 93)].map(
    Math.fround,
  )
  const doubles = [...DOUBLES, ...randomDoubles(8000), ...Array.from({ length: 8000 }, (_, i) => (i - 4000) / 9.3)]

  test.each(Object.entries(FUNCTIONS.f32))('%s has the bits of the function', (name, steps) => {
    same(
      name,
      [floats],
      'f32',
      computed(name, 'f32', [Float32Array.from(floats)], (x) => steps(x, 'f')),
    )
  })
  test.each(Object.entries(FUNCTIONS.f64))('%s has the bits of the function', (name, steps) => {
    same(
      name,
      [doubles],
      'f64',
      computed(name, 'f64', [Float64Array.from(doubles)], (x) => steps(x, 'f')),
    )
  })
  test('powf has the bits of the function', () => {
    const ys = floats.map((_, i) => (i % 3 ? ((i * 7) % 40) - 20 + (i % 5) / 4 : floats[(i * 11) % floats.length]))
    const columns = [floats, ys.map(Math.fround)]
    same(
      'powf',
      columns,
      'f32',
      computed(
        'powf',
        'f32',
        columns.map((c) => dataOf('f32', c)),
        (x, y) => powSteps(x, y, 'f'),
      ),
    )
  })
})
