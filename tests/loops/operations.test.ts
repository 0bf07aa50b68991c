import { describe, expect, test } from 'vitest'
import { longToF32 } from '../../src/loops/arith.ts'
import * as L from '../../src/loops/build.ts'
import { interpret } from '../../src/loops/interpret.ts'
import { type Data, type Elem, type Expr, I32, newData, type OpName, type Type } from '../../src/loops/ir.ts'
import { vectorize } from '../../src/loops/lanes.ts'
import { runKernelWasm } from '../../src/run/wasm.ts'
import { dataOf, elementwise, FLOATS, LONGS, ROUNDINGS, randomDoubles, randomFloats } from '../support/operations.ts'

/** The interpreter's result of an operation on one element from each list. */
function meaning(op: OpName, from: Elem, to: Elem, ...args: (number | bigint)[]): number | bigint {
  const columns = args.map((a) => dataOf(from, [a]))
  const run = elementwise(
    op,
    args.map(() => from),
    to,
    columns,
    (...x) => L.op(op, ...x),
  )
  interpret(run.kernel, run.args)
  return run.args.at(-1)![0]
}

const LEAST = -(2n ** 63n)
const MOST = 2n ** 63n - 1n

describe('i64', () => {
  test('overflows of add, sub, mul, neg and div, and divisions by zero, are refused', () => {
    expect(() => meaning('add', 'i64', 'i64', MOST, 1n)).toThrow(/overflows i64/)
    expect(() => meaning('neg', 'i64', 'i64', LEAST)).toThrow(/overflows i64/)
    expect(() => meaning('div', 'i64', 'i64', LEAST, -1n)).toThrow(/overflows i64/)
    expect(() => meaning('rem', 'i64', 'i64', LEAST, -1n)).toThrow(/overflows i64/)
    expect(() => meaning('div', 'i64', 'i64', 5n, 0n)).toThrow(/divides by zero/)
    expect(() => meaning('rem', 'i64', 'i64', 5n, 0n)).toThrow(/divides by zero/)
  })

  test('division truncates toward zero, and wrapping operations keep the low bits', () => {
    expect([meaning('div', 'i64', 'i64', -7n, 2n), meaning('rem', 'i64', 'i64', -7n, 2n)]).toEqual([-3n, -1n])
    expect(meaning('wadd', 'i64', 'i64', MOST, 2n)).toBe(LEAST + 1n)
    expect(meaning('wsub', 'i64', 'i64', LEAST, 1n)).toBe(MOST)
    expect(meaning('wmul', 'i64', 'i64', MOST, MOST)).toBe(1n)
    expect([meaning('abs', 'i64', 'i64', -5n), meaning('abs', 'i64', 'i64', LEAST)]).toEqual([5n, LEAST])
    expect(meaning('abs', 'i32', 'i32', -(2 ** 31))).toBe(-(2 ** 31))
  })

  test('to f32 is rounded once, where two roundings would differ too', () => {
    expect(longToF32(0x4000004000000001n)).toBe(2 ** 62 + 2 ** 39)
    expect(Math.fround(Number(0x4000004000000001n))).toBe(2 ** 62)
    for (const a of LONGS) {
      const got = BigInt(longToF32(a))
      const size = a < 0n ? -a : a
      const spacing = 2n ** BigInt(Math.max(0, size.toString(2).length - 24))
      const error = got > a ? got - a : a - got
      expect(2n * error <= spacing, `${a}`).toBe(true)
      if (2n * error === spacing) expect((got / spacing) % 2n).toBe(0n)
    }
  })

  test('floats become the whole number toward zero, saturating, NaN becomes 0', () => {
    const to = (x: number) => meaning('toI64', 'f64', 'i64', x)
    expect([-1.9, 1e300, -1e300, Number.NaN, 2 ** 62 + 1024].map(to)).toEqual([-1n, MOST, LEAST, 0n, 2n ** 62n + 1024n])
    expect([1e300, -2147483648.9, 1.5].map((x) => meaning('toI32', 'f64', 'i32', x))).toEqual([
      2 ** 31 - 1,
      -(2 ** 31),
      1,
    ])
  })
})

/** A finite float as m * 2^e. */
function parts(x: number): { m: bigint; e: number } {
  let [m, e] = [x, 0]
  while (m !== Math.floor(m)) [m, e] = [m * 2, e - 1]
  return { m: BigInt(m), e }
}

test.each([
  ['f32', 24, [...randomFloats(400)]],
  ['f64', 53, [...randomDoubles(400)]],
] as const)('the square root in %s is the nearest number', (elem, digits, xs) => {
  for (const x of xs.map(Math.abs)) {
    if (!Number.isFinite(x) || x === 0) continue
    const root = Number(meaning('sqrt', elem, elem, x))
    const spacing = 2 ** (Math.floor(Math.log2(root)) - digits + 1)
    const [{ m, e }, r] = [parts(x), parts(root)]
    // (root -+ spacing / 2)^2 against x, in whole numbers
    const unit = Math.min(e, 2 * r.e, 2 * (Math.log2(spacing) - 1))
    const even = unit - (unit & 1)
    const at = (k: number) => {
      const y = r.m * 2n ** BigInt(r.e - even / 2) + BigInt(k) * 2n ** BigInt(Math.log2(spacing) - 1 - even / 2)
      return y * y
    }
    const exact = m * 2n ** BigInt(e - even)
    if (!(at(-1) <= exact && exact <= at(1))) throw new Error(`sqrt(${x}) is ${root}`)
  }
})

test('rounding to whole numbers keeps signs of zeros and what is not finite', () => {
  for (const elem of ['f32', 'f64'] as const) {
    for (const op of ['floor', 'ceil', 'trunc', 'nearest'] as const)
      for (const x of [0, -0, Infinity, -Infinity, Number.NaN, 8388609, -3]) expect(meaning(op, elem, elem, x)).toBe(x)
    expect(['floor', 'ceil', 'trunc', 'nearest'].map((op) => meaning(op as OpName, elem, elem, -0.5))).toEqual([
      -1, -0, -0, -0,
    ])
    expect([meaning('sqrt', elem, elem, -0), meaning('sqrt', elem, elem, -1)]).toEqual([-0, Number.NaN])
  }
})

test('a store to f16 rounds the sum once', () => {
  // 2048 + 1 has 12 digits: a tie, to even
  expect(meaning('add', 'f16', 'f16', 0x6800, 0x3c00)).toBe(0x6800)
  expect(meaning('add', 'f16', 'f16', 0x6801, 0x3c00)).toBe(0x6802)
  expect(meaning('mul', 'f16', 'f16', 0x7bff, 0x4000)).toBe(0x7c00)
})

describe('what has no form with lanes', () => {
  const loopOf = (from: Elem, to: Elem, f: (x: Expr) => Expr) => {
    const run = elementwise('k', [from], to, [newData(from, 8)], f)
    return vectorize(run.kernel, 'i', 4)
  }

  test('stays scalar: f64, i64 and f16', () => {
    expect(loopOf('f32', 'f32', (x) => x)).toBeDefined()
    expect(loopOf('f16', 'f32', (x) => x)).toBeUndefined()
    expect(loopOf('f32', 'f16', (x) => x)).toBeUndefined()
    expect(loopOf('f64', 'f64', (x) => x)).toBeUndefined()
    expect(loopOf('i64', 'i64', (x) => x)).toBeUndefined()
    expect(loopOf('i64', 'f32', (x) => L.op('toF32', x))).toBeUndefined()
    expect(loopOf('f32', 'f32', (x) => L.op('toF32', L.op('toF64', x)))).toBeUndefined()
    expect(loopOf('f32', 'i32', (x) => L.op('wrap', L.op('toI64', x)))).toBeUndefined()
  })

  test('is no kernel either', () => {
    const refused = (elem: Elem, type: Type) => () => {
      const x = L.buffer('x', elem, [8])
      const y = L.buffer('y', elem, [8], 'write')
      interpret(L.kernel('k', [x, y], L.store(y, [0], L.loadLanes(x, type, 0))), [newData(elem, 8), newData(elem, 8)])
    }
    expect(refused('f64', { num: 'f64', lanes: 2 })).toThrow(/no register type f64x2/)
    expect(refused('f16', { num: 'f32', lanes: 4 })).toThrow(/f32x4 with a buffer of f16/)
    expect(refused('f16', I32)).toThrow(/i32 with a buffer of f16/)
    expect(() => meaning('sqrt', 'i32', 'i32', 4)).toThrow(/sqrt does not take \(i32\)/)
    expect(() => meaning('toI64', 'i32', 'i64', 4)).toThrow(/toI64 does not take \(i32\)/)
  })
})

test.each(ROUNDINGS)(
  '%s of four lanes gives the numbers of the scalar one, in the interpreter and in WebAssembly',
  (op) => {
    const xs = Float32Array.of(...FLOATS, ...randomFloats(200 - FLOATS.length))
    const run = elementwise(op, ['f32'], 'f32', [xs], (x) => L.op(op, x))
    interpret(run.kernel, run.args)
    const want = run.args[1] as Float32Array
    const wide = vectorize(run.kernel, 'i', 4)!
    expect(wide).toBeDefined()
    for (const execute of [interpret, runKernelWasm]) {
      const args: Data[] = [xs, new Float32Array(xs.length)]
      execute(wide, args)
      expect([...(args[1] as Float32Array)]).toEqual([...want])
    }
  },
)

test('abs of four integers wraps as the scalar one does', () => {
  const xs = Int32Array.of(0, 1, -1, 7, -(2 ** 31), 2 ** 31 - 1, -5, 4)
  const run = elementwise('abs', ['i32'], 'i32', [xs], (x) => L.op('abs', x))
  const wide = vectorize(run.kernel, 'i', 4)!
  for (const execute of [interpret, runKernelWasm]) {
    const out = new Int32Array(8)
    execute(wide, [xs, out])
    expect([...out]).toEqual([0, 1, 1, 7, -(2 ** 31), 2 ** 31 - 1, 5, 4])
  }
})
