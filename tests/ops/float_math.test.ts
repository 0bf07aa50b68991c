import { describe, expect, test } from 'vitest'
import * as L from '../../src/loops/build.ts'
import { expf, logisticf, tanhf } from '../../src/loops/float.ts'
import { interpret } from '../../src/loops/interpret.ts'
import type { Expr } from '../../src/loops/ir.ts'
import * as expressions from '../../src/loops/math.ts'

const word = new DataView(new ArrayBuffer(4))

function fromBits(bits: number): number {
  word.setUint32(0, bits >>> 0)
  return word.getFloat32(0)
}

/** The spacing of float32 numbers around a real one. */
function ulp(y: number): number {
  const a = Math.abs(y)
  return a < 2 ** -126 ? 2 ** -149 : 2 ** (Math.floor(Math.log2(a)) - 23)
}

const logisticOf = (x: number) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))

const FUNCTIONS = [
  { name: 'exp', f: expf, exact: Math.exp, steps: expressions.expf },
  { name: 'logistic', f: logisticf, exact: logisticOf, steps: expressions.logisticf },
  { name: 'tanh', f: tanhf, exact: Math.tanh, steps: expressions.tanhf },
] as const

/** Float32 numbers of every size up to 128, and many more where the functions bend. */
function* sample(): Generator<number> {
  for (let bits = 0; bits < 2 ** 31; bits += 6151) {
    const x = fromBits(bits)
    if (x < 128) yield* [x, -x]
  }
  for (let x = -105; x < 90; x += 0.00037) yield Math.fround(x)
  for (let x = -1; x < 1; x += 0.0000071) yield Math.fround(x)
}

const SPECIAL = [
  0,
  1e-45,
  1.5e-39,
  88.7228,
  88.7229,
  88.73,
  89,
  103.97,
  104,
  150,
  3e38,
  Number.POSITIVE_INFINITY,
].flatMap((x) => [x, -x])

describe.each(FUNCTIONS)('$name', ({ f, exact, steps }) => {
  test('is within 2 ulp of the real value', () => {
    let worst = 0
    let at = 0
    for (const x of sample()) {
      const want = exact(x)
      const got = f(x)
      if (want >= 2 ** 128 * (1 - 2 ** -25)) {
        if (got !== Number.POSITIVE_INFINITY) throw new Error(`of ${x} is ${got}, expected infinity`)
        continue
      }
      const error = Math.abs(got - want) / ulp(want)
      if (!(error <= worst)) {
        worst = error
        at = x
      }
    }
    expect(worst, `at ${at}`).toBeLessThanOrEqual(2)
  })

  test('in the loop language has the bits of the function', () => {
    const xs = Float32Array.from([
      ...SPECIAL,
      Number.NaN,
      ...Array.from({ length: 20000 }, (_, i) => fromBits(Math.imul(i, 214783) >>> 0)),
      ...Array.from({ length: 20000 }, (_, i) => (i - 10000) / 93),
    ])
    const X = L.buffer('x', 'f32', [xs.length])
    const Y = L.buffer('y', 'f32', [xs.length], 'write')
    const kernel = L.kernel(
      'f',
      [X, Y],
      L.parallel('i', xs.length, (i: Expr) => {
        const [stmts, value] = steps(L.load(X, i), 'f')
        return [...stmts, L.store(Y, [i], value)]
      }),
    )
    const got = new Float32Array(xs.length)
    interpret(kernel, [xs, got])
    const wrong = xs.findIndex((x, i) => !Object.is(Math.fround(f(x)), got[i]))
    expect(wrong, `f(${xs[wrong]}) = ${f(xs[wrong])}, in loops ${got[wrong]}`).toBe(-1)
  })
})

test('exp overflows to infinity and underflows to zero where the real value does', () => {
  expect(expf(Math.fround(88.72283))).toBeLessThan(Number.POSITIVE_INFINITY)
  expect(expf(Math.fround(88.72284))).toBe(Number.POSITIVE_INFINITY)
  expect(expf(-103.97)).toBe(2 ** -149)
  expect(expf(-103.98)).toBe(0)
  expect(expf(0)).toBe(1)
  expect(expf(Number.NEGATIVE_INFINITY)).toBe(0)
})

test('logistic and tanh are symmetric and saturate at 1', () => {
  for (const x of [0.1, 0.549, 0.55, 3, 9.7, 20, 1e30]) {
    expect(tanhf(-x)).toBe(-tanhf(x))
    expect(Math.abs(logisticf(-x) + logisticf(x) - 1)).toBeLessThanOrEqual(2 ** -24)
  }
  expect(tanhf(10)).toBe(1)
  expect(logisticf(18)).toBe(1)
})
