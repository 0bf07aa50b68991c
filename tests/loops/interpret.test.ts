import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  add,
  block,
  buffer,
  declare,
  type E,
  expr,
  float,
  int,
  kernel,
  load,
  loadLanes,
  long,
  loop,
  mul,
  op,
  parallel,
  part,
  ref,
  set,
  splat,
  store,
  when,
} from '../../src/loops/build.ts'
import { interpret, runKernel } from '../../src/loops/interpret.ts'
import {
  type Buf,
  type Data,
  type Elem,
  type Expr,
  elemOfData,
  F32X4,
  I8X16,
  I16X8,
  I32,
  I32X4,
  type Kernel,
  type OpName,
  type Type,
} from '../../src/loops/ir.ts'
import { printKernel } from '../../src/loops/print.ts'
import { validate } from '../../src/loops/validate.ts'

const MIN = -(2 ** 31)
const MAX = 2 ** 31 - 1
const i32 = fc.oneof(
  fc.constantFrom(MIN, MIN + 1, -65536, -2, -1, 0, 1, 2, 31, 32, 33, 65535, MAX - 1, MAX),
  fc.integer({ min: MIN, max: MAX }),
  fc.integer({ min: -1000, max: 1000 }),
)
const f32 = fc.oneof(
  fc.float({ noNaN: true }),
  fc.constantFrom(0, -0, 1, -1, Infinity, -Infinity, Math.fround(3e9), Math.fround(-3e9), 2 ** -149),
)
const f32OrNaN = fc.oneof({ weight: 9, arbitrary: f32 }, { weight: 1, arbitrary: fc.constant(Number.NaN) })

/** y[0] = f(loads of the inputs). */
function apply(f: (...args: Expr[]) => E, inputs: readonly Data[], elems: readonly Elem[], out: Elem): Data {
  const bufs = elems.map((elem, i) => buffer(`x${i}`, elem, [1]))
  const y = buffer('y', out, [1], 'write')
  const result = { i32: new Int32Array(1), f32: new Float32Array(1), i64: new BigInt64Array(1) }[
    out as 'i32' | 'f32' | 'i64'
  ]
  const k = kernel('one', [...bufs, y], store(y, [0], f(...bufs.map((b) => load(b, 0)))))
  interpret(k, [...inputs, result])
  return result
}

const ints = (name: OpName, ...args: number[]): number =>
  apply(
    (...x) => op(name, ...x),
    args.map((a) => Int32Array.of(a)),
    args.map(() => 'i32'),
    'i32',
  )[0] as number
const floats = (name: OpName, out: 'f32' | 'i32', ...args: number[]): number =>
  apply(
    (...x) => op(name, ...x),
    args.map((a) => Float32Array.of(a)),
    args.map(() => 'f32'),
    out,
  )[0] as number
const longs = (name: OpName, ...args: bigint[]): bigint =>
  apply(
    (...x) => op(name, ...x),
    args.map((a) => BigInt64Array.of(a)),
    args.map(() => 'i64'),
    'i64',
  )[0] as bigint

const wrap = (x: bigint) => Number(BigInt.asIntN(32, x))
const sat = (x: bigint) => Number(x > BigInt(MAX) ? BigInt(MAX) : x)
const shiftBy = (n: bigint) => n & 31n
function round(x: bigint, n: bigint): bigint {
  const d = 1n << n
  const m = ((x < 0n ? -x : x) * 2n + d) / (2n * d)
  return x < 0n ? -m : m
}

/** Every i32 operation of two arguments, in bigints; a result that does not fit must throw. */
const EXACT: Record<string, (a: bigint, b: bigint) => bigint> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  wadd: (a, b) => BigInt.asIntN(32, a + b),
  wsub: (a, b) => BigInt.asIntN(32, a - b),
  wmul: (a, b) => BigInt.asIntN(32, a * b),
  div: (a, b) => (b === 0n ? 1n << 40n : a / b),
  rem: (a, b) => (b === 0n || (b === -1n && a === BigInt(MIN)) ? 1n << 40n : a % b),
  min: (a, b) => (a < b ? a : b),
  max: (a, b) => (a > b ? a : b),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => BigInt.asIntN(32, a << shiftBy(b)),
  shr: (a, b) => a >> shiftBy(b),
  ushr: (a, b) => BigInt.asIntN(32, BigInt.asUintN(32, a) >> shiftBy(b)),
  eq: (a, b) => BigInt(a === b),
  ne: (a, b) => BigInt(a !== b),
  lt: (a, b) => BigInt(a < b),
  le: (a, b) => BigInt(a <= b),
  gt: (a, b) => BigInt(a > b),
  ge: (a, b) => BigInt(a >= b),
  srdhm: (a, b) => BigInt(sat((a * b + (1n << 30n)) >> 31n)),
  rdivpot: (a, b) => round(a, b & 31n),
}

describe('i32', () => {
  for (const [name, exact] of Object.entries(EXACT)) {
    test(`${name} is the exact result, or throws where that does not fit`, () => {
      fc.assert(
        fc.property(i32, i32, (a, b0) => {
          const b = name === 'rdivpot' ? b0 & 31 : b0
          const want = exact(BigInt(a), BigInt(b))
          if (want >= BigInt(MIN) && want <= BigInt(MAX)) expect(ints(name as OpName, a, b)).toBe(Number(want))
          else expect(() => ints(name as OpName, a, b)).toThrow(/overflows i32|divides by zero/)
        }),
        { numRuns: 400 },
      )
    })
  }

  test('neg and clz', () => {
    expect(ints('neg', MAX)).toBe(-MAX)
    expect(ints('neg', 0)).toBe(0)
    expect(() => ints('neg', MIN)).toThrow(/overflows i32/)
    expect([0, 1, -1, 255].map((x) => ints('clz', x))).toEqual([32, 31, 0, 24])
  })

  test('requant rounds twice', () => {
    fc.assert(
      fc.property(i32, i32, fc.integer({ min: -31, max: 30 }), (x, m, s) => {
        const left = BigInt(wrap(BigInt(x) << BigInt(Math.max(s, 0))))
        const high = BigInt(sat((left * BigInt(m) + (1n << 30n)) >> 31n))
        expect(ints('requant', x, m, s)).toBe(Number(round(high, BigInt(Math.max(-s, 0)))))
      }),
      { numRuns: 1000 },
    )
  })

  test('select evaluates both sides', () => {
    const x = buffer('x', 'i32', [2])
    const y = buffer('y', 'i32', [1], 'write')
    const choose = (cond: number, b: number) => {
      const out = new Int32Array(1)
      const k = kernel('choose', [x, y], store(y, [0], op('select', cond, load(x, 0), load(x, b))))
      interpret(k, [Int32Array.of(7, 8), out])
      return out[0]
    }
    expect(choose(1, 1)).toBe(7)
    expect(choose(0, 1)).toBe(8)
    expect(choose(-3, 1)).toBe(7)
    expect(() => choose(1, 2)).toThrow(/out of bounds/)
  })
})

describe('f32', () => {
  const arithmetic: Record<string, (a: number, b: number) => number> = {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    div: (a, b) => a / b,
    min: (a, b) => (b < a ? b : a),
    max: (a, b) => (a < b ? b : a),
  }
  for (const [name, exact] of Object.entries(arithmetic)) {
    test(`${name} rounds to float32 after the operation`, () => {
      fc.assert(
        fc.property(f32OrNaN, f32OrNaN, (a, b) => {
          expect(floats(name as OpName, 'f32', a, b)).toBe(Float32Array.of(exact(a, b))[0])
        }),
        { numRuns: 400 },
      )
    })
  }

  test('a chain rounds at each step', () => {
    const x = Math.fround(1.7)
    const cube = apply((e) => op('mul', op('mul', e, e), e), [Float32Array.of(x)], ['f32'], 'f32')[0]
    expect(cube).toBe(Math.fround(Math.fround(x * x) * x))
    expect(cube).not.toBe(Math.fround(x * x * x))
  })

  test('min and max keep the first argument where unordered, also between zeros', () => {
    expect(floats('min', 'f32', Number.NaN, 1)).toBeNaN()
    expect(floats('min', 'f32', 1, Number.NaN)).toBe(1)
    expect(floats('max', 'f32', -0, 0)).toBe(-0)
    expect(floats('max', 'f32', 0, -0)).toBe(0)
  })

  test('comparisons are false for NaN, except ne', () => {
    const all = ['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const
    expect(all.map((name) => floats(name, 'i32', Number.NaN, 1))).toEqual([0, 1, 0, 0, 0, 0])
    expect(all.map((name) => floats(name, 'i32', 1, 1))).toEqual([1, 0, 0, 1, 0, 1])
    expect(all.map((name) => floats(name, 'i32', -1, 1))).toEqual([0, 1, 1, 1, 0, 0])
  })

  test('conversions round, truncate and saturate; bits are the same both ways', () => {
    fc.assert(
      fc.property(i32, f32, (i, f) => {
        expect(apply((x) => op('toF32', x), [Int32Array.of(i)], ['i32'], 'f32')[0]).toBe(Float32Array.of(i)[0])
        const bits = new Int32Array(Float32Array.of(f).buffer)[0]
        expect(floats('bits', 'i32', f)).toBe(bits)
        expect(apply((x) => op('fromBits', x), [Int32Array.of(bits)], ['i32'], 'f32')[0]).toBe(f)
        const truncated = Math.trunc(f)
        const saturated = truncated > MAX ? MAX : truncated < MIN ? MIN : truncated
        expect(floats('toI32', 'i32', f)).toBe(saturated + 0)
      }),
      { numRuns: 500 },
    )
    expect(floats('toI32', 'i32', Number.NaN)).toBe(0)
    expect(floats('neg', 'f32', 0)).toBe(-0)
  })
})

describe('i64', () => {
  const i64 = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -100n, max: 100n }))
  const exact: Record<string, (a: bigint, b: bigint) => bigint> = {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    and: (a, b) => a & b,
    or: (a, b) => a | b,
    xor: (a, b) => a ^ b,
    shl: (a, b) => BigInt.asIntN(64, a << (b & 63n)),
    shr: (a, b) => a >> (b & 63n),
    ushr: (a, b) => BigInt.asIntN(64, BigInt.asUintN(64, a) >> (b & 63n)),
  }
  for (const [name, f] of Object.entries(exact)) {
    test(`${name} is exact, or throws where the result does not fit`, () => {
      fc.assert(
        fc.property(i64, i64, (a, b) => {
          const want = f(a, b)
          if (BigInt.asIntN(64, want) === want) expect(longs(name as OpName, a, b)).toBe(want)
          else expect(() => longs(name as OpName, a, b)).toThrow(/overflows i64/)
        }),
        { numRuns: 300 },
      )
    })
  }

  test('neg, extend, wrap, compare, select', () => {
    expect(longs('neg', 5n)).toBe(-5n)
    expect(() => longs('neg', -(2n ** 63n))).toThrow(/overflows i64/)
    expect(apply((x) => op('extend', x), [Int32Array.of(-7)], ['i32'], 'i64')[0]).toBe(-7n)
    expect(apply((x) => op('wrap', x), [BigInt64Array.of(2n ** 40n + 2n ** 31n)], ['i64'], 'i32')[0]).toBe(MIN)
    const compare = (name: OpName, a: bigint, b: bigint) =>
      apply((x, y) => op(name, x, y), [BigInt64Array.of(a), BigInt64Array.of(b)], ['i64', 'i64'], 'i32')[0]
    expect(
      (['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const).map((name) => compare(name, -(2n ** 62n), 2n ** 62n)),
    ).toEqual([0, 1, 1, 1, 0, 0])
    expect(apply((x) => op('select', 0, x, long(9)), [BigInt64Array.of(1n)], ['i64'], 'i64')[0]).toBe(9n)
  })

  test('a register accumulates beyond 2^53', () => {
    const x = buffer('x', 'i32', [3])
    const y = buffer('y', 'i64', [1], 'write')
    const [start, acc] = declare('acc', long(0))
    const out = new BigInt64Array(1)
    const square = (i: Expr) => op('mul', op('extend', load(x, i)), op('extend', load(x, i)))
    const body = loop('i', 3, (i) => set(acc, op('add', acc, square(i))))
    interpret(kernel('squares', [x, y], start, body, store(y, [0], acc)), [Int32Array.of(MAX, MIN, 1), out])
    expect(out[0]).toBe(BigInt(MAX) ** 2n + BigInt(MIN) ** 2n + 1n)
  })
})

describe('lanes', () => {
  const lanesOf = (type: Type, f: (...x: Expr[]) => Expr, inputs: readonly Data[], elem: Elem, out: Data): Data => {
    const bufs = inputs.map((_, i) => buffer(`x${i}`, elem, [type.lanes]))
    const y = buffer('y', elemOfData(out), [out.length], 'write')
    const k = kernel('lanes', [...bufs, y], store(y, [0], f(...bufs.map((b) => loadLanes(b, type, 0)))))
    interpret(k, [...inputs, out])
    return out
  }
  const four = fc.array(i32, { minLength: 4, maxLength: 4 })

  test('an i32x4 operation is the scalar one in every lane', () => {
    const names: OpName[] = ['wadd', 'wsub', 'wmul', 'min', 'max', 'and', 'shl', 'shr', 'ushr', 'lt', 'ge', 'srdhm']
    fc.assert(
      fc.property(four, four, fc.constantFrom(...names), (a, b, name) => {
        const got = lanesOf(
          I32X4,
          (x, y) => op(name, x, y),
          [Int32Array.from(a), Int32Array.from(b)],
          'i32',
          new Int32Array(4),
        )
        expect([...(got as Int32Array)]).toEqual(a.map((x, i) => ints(name, x, b[i])))
      }),
      { numRuns: 200 },
    )
  })

  test('requant and select work by lane', () => {
    const x = [MIN, -1000, 999, MAX]
    const m = [1 << 30, MAX, 1518500250, 1 << 30]
    const s = [-3, 1, 0, -31]
    const data = [x, m, s].map((v) => Int32Array.from(v))
    const got = lanesOf(I32X4, (a, b, c) => op('requant', a, b, c), data, 'i32', new Int32Array(4))
    expect([...(got as Int32Array)]).toEqual(x.map((v, i) => ints('requant', v, m[i], s[i])))
    const chosen = lanesOf(
      I32X4,
      (a, b, c) => op('select', op('lt', a, splat(0, 4)), b, c),
      data,
      'i32',
      new Int32Array(4),
    )
    expect([...(chosen as Int32Array)]).toEqual([m[0], m[1], s[2], s[3]])
  })

  test('f32x4 rounds each lane', () => {
    const a = Float32Array.of(0.1, 1e30, -0, 3)
    const b = Float32Array.of(0.2, 1e30, 0, 1 / 3)
    const got = lanesOf(F32X4, (x, y) => op('mul', x, y), [a, b], 'f32', new Float32Array(4))
    expect([...(got as Float32Array)]).toEqual([...a].map((v, i) => Math.fround(v * b[i])))
  })

  test('whole truncates what fits, fma rounds once', () => {
    const floats = (...x: number[]) => Float32Array.from(x)
    const whole = (x: Float32Array) => lanesOf(F32X4, (a) => op('whole', a), [x], 'f32', new Int32Array(4))
    expect([...whole(floats(1.9, -1.9, 0.5, -(2 ** 31)))]).toEqual([1, -1, 0, MIN])
    expect(() => whole(floats(0, 2 ** 31, 0, 0))).toThrow(/overflows/)
    expect(() => whole(floats(0, Number.NaN, 0, 0))).toThrow(/overflows/)
    const x = floats(1 + 2 ** -12, 3, 0.1, -2)
    const fused = lanesOf(
      F32X4,
      (a, b) => op('fma', a, a, b),
      [x, floats(-1 - 2 ** -11, 1, 0, 4)],
      'f32',
      floats(0, 0, 0, 0),
    )
    expect([...fused]).toEqual([2 ** -24, 10, Math.fround(x[2] * x[2]), 8])
  })

  test('dot multiplies neighbours and wraps, sum wraps', () => {
    const a = Int16Array.of(-32768, -32768, 1, 2, 3, 4, -5, 6)
    const b = Int16Array.of(-32768, -32768, 10, 20, 30, 40, 50, 60)
    const got = lanesOf(I16X8, (x, y) => op('dot', x, y), [a, b], 'i16', new Int32Array(4))
    expect([...(got as Int32Array)]).toEqual([MIN, 50, 250, 110])
    const total = lanesOf(I16X8, (x, y) => op('sum', op('dot', x, y)), [a, b], 'i16', new Int32Array(1))
    expect(total[0]).toBe((MIN + 410) | 0)
  })

  test('zips take lanes in turn, narrow saturates, bits and halves are the same 128 bits', () => {
    const [a, b] = [Int16Array.of(0, 1, 2, 3, 4, 5, 6, 7), Int16Array.of(10, 11, 12, 13, 14, 15, 16, 17)]
    const zipped = (name: 'zipLow' | 'zipHigh') =>
      lanesOf(I16X8, (x, y) => op(name, x, y), [a, b], 'i16', new Int16Array(8))
    expect([...zipped('zipLow')]).toEqual([0, 10, 1, 11, 2, 12, 3, 13])
    expect([...zipped('zipHigh')]).toEqual([4, 14, 5, 15, 6, 16, 7, 17])
    const [p, q] = [Int32Array.of(MIN, -32769, -32768, 7), Int32Array.of(32767, 32768, MAX, -1)]
    const narrowed = lanesOf(I32X4, (x, y) => op('narrow', x, y), [p, q], 'i32', new Int16Array(8))
    expect([...narrowed]).toEqual([-32768, -32768, -32768, 7, 32767, 32767, 32767, -1])
    const words = lanesOf(
      I16X8,
      (x) => op('bits', x),
      [Int16Array.of(-1, 0, 1, -1, 2, 3, 0, -32768)],
      'i16',
      new Int32Array(4),
    )
    expect([...words]).toEqual([65535, 1 - 65536, 2 + 3 * 65536, MIN])
    const bytes = Int8Array.from({ length: 16 }, (_, i) => i - 3)
    const other = Int8Array.from(bytes, (v) => v + 100)
    const zippedBytes = lanesOf(I8X16, (x, y) => op('zipHigh', x, y), [bytes, other], 'i8', new Int8Array(16))
    expect([...zippedBytes]).toEqual([5, 105, 6, 106, 7, 107, 8, 108, 9, 109, 10, 110, 11, 111, 12, 112])
    const asWords = lanesOf(I8X16, (x) => op('bits', x), [bytes], 'i8', new Int32Array(4))
    expect([...asWords]).toEqual([...new Int32Array(bytes.buffer)])
    expect([...lanesOf(I8X16, (x) => op('bytes', op('bits', x)), [bytes], 'i8', new Int8Array(16))]).toEqual([...bytes])
    const raised = lanesOf(I16X8, (x, y) => op('narrowU', x, op('neg', y)), [a, b], 'i16', new Int8Array(16))
    expect([...raised]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0])
    const last = lanesOf(I8X16, (x) => part(x, 4, 3), [bytes], 'i8', new Int8Array(4))
    expect([...last]).toEqual([9, 10, 11, 12])
    const high = lanesOf(I8X16, (x) => part(x, 8, 1), [bytes], 'i8', new Int8Array(8))
    expect([...high]).toEqual([5, 6, 7, 8, 9, 10, 11, 12])
    const halves = lanesOf(
      I32X4,
      (x) => op('halves', x),
      [Int32Array.from(words as Int32Array)],
      'i32',
      new Int16Array(8),
    )
    expect([...halves]).toEqual([-1, 0, 1, -1, 2, 3, 0, -32768])
    const limited = lanesOf(I16X8, (x, y) => op('max', x, op('min', y, x)), [a, b], 'i16', new Int16Array(8))
    expect([...limited]).toEqual([...a])
  })

  test('i16x8 arithmetic must fit 16 bits, and so must a splat', () => {
    const eight = (v: number) => new Int16Array(8).fill(v)
    const minus = (a: number, b: number) =>
      lanesOf(I16X8, (x, y) => op('sub', x, y), [eight(a), eight(b)], 'i16', new Int16Array(8))[7]
    expect(minus(-128, 127)).toBe(-255)
    expect(() => minus(-32768, 1)).toThrow(/overflows i16/)
    const spread = (v: number) =>
      lanesOf(
        I16X8,
        () => ({ k: 'op', op: 'splat', args: [int(v)], type: I16X8 }),
        [eight(0)],
        'i16',
        new Int16Array(8),
      )[3]
    expect(spread(-32768)).toBe(-32768)
    expect(() => spread(32768)).toThrow(/overflows i16/)
  })

  test('loads of lanes widen i8 and u8, and stores keep the low bits', () => {
    const x = buffer('x', 'u8', [8])
    const y = buffer('y', 'i8', [8], 'write')
    const out = new Int8Array(8)
    const k = kernel('copy', [x, y], store(y, [0], loadLanes(x, I16X8, 0)))
    interpret(k, [Uint8Array.of(0, 127, 128, 255, 1, 2, 3, 4), out])
    expect([...out]).toEqual([0, 127, -128, -1, 1, 2, 3, 4])
  })
})

describe('strictness', () => {
  const x = buffer('x', 'i8', [2, 3])
  const y = buffer('y', 'i32', [4], 'write')
  const run = (...body: Parameters<typeof block>) =>
    interpret(kernel('k', [x, y], ...body), [new Int8Array(6), new Int32Array(4)])

  test('every dimension is checked, not only the flat index', () => {
    expect(() => run(store(y, [0], load(x, 1, 2)))).not.toThrow()
    expect(() => run(store(y, [0], load(x, 0, 3)))).toThrow(/x\[0, 3\] is out of bounds: index 1 is 3.*\(2, 3\)/)
    expect(() => run(store(y, [0], load(x, 1, -1)))).toThrow(/index 1 is -1/)
    expect(() => run(store(y, [0], load(x, 2, 0)))).toThrow(/index 0 is 2/)
    expect(() => run(loop('i', 5, (i) => store(y, [i], 0)))).toThrow(/y\[i\] is out of bounds: index 0 is 4/)
  })

  test('bounds hold in every rank', () => {
    for (const rank of [1, 2, 3, 4, 5]) {
      const shape = Array.from({ length: rank }, (_, d) => d + 2)
      const b = buffer('b', 'i32', shape)
      const size = shape.reduce((n, d) => n * d, 1)
      const data = Int32Array.from({ length: size }, (_, i) => i)
      const at = (index: number[]) => {
        const out = new Int32Array(1)
        const o = buffer('o', 'i32', [], 'write')
        interpret(kernel('at', [b, o], store(o, [], load(b, ...index))), [data, out])
        return out[0]
      }
      expect(at(shape.map((d) => d - 1))).toBe(size - 1)
      for (let d = 0; d < rank; d++) {
        expect(() => at(shape.map((n, i) => (i === d ? n : 0)))).toThrow(`index ${d} is ${shape[d]}`)
        expect(() => at(shape.map((_, i) => (i === d ? -1 : 0)))).toThrow(`index ${d} is -1`)
      }
    }
  })

  test('lanes must lie inside the last dimension', () => {
    expect(() => run(store(y, [0], splat(1, 4)))).not.toThrow()
    expect(() => run(store(y, [1], splat(1, 4)))).toThrow(/index 0 is 1 with 4 lanes/)
  })

  test('what cannot be a program is refused before anything runs', () => {
    const bad: [RegExp, () => void][] = [
      [/x may only be read/, () => run(store(x, [0, 0], 1))],
      [/a is read where it is not declared/, () => run(store(y, [0], ref('a')))],
      [/a is set where it is not declared/, () => run(set(ref('a'), 1))],
      [/a is read where/, () => run(when(int(1), [declare('a', 1)[0]]), store(y, [0], ref('a')))],
      [
        /i is read where/,
        () =>
          run(
            loop('i', 1, () => block()),
            store(y, [0], ref('i')),
          ),
      ],
      [/name a is declared twice/, () => run(declare('a', 1)[0], declare('a', 2)[0])],
      [
        /name i is declared twice/,
        () =>
          run(
            loop('i', 1, () => block()),
            loop('i', 1, () => block()),
          ),
      ],
      [/loop variable i is set/, () => run(loop('i', 1, (i) => set(i, 3)))],
      [/1 indices, x has 2 dimensions/, () => run(store(y, [0], load(x, 0)))],
      [/no buffer z/, () => run(store({ ...y, name: 'z' }, [0], 1))],
      [/add does not take \(i32, f32\)/, () => run(store(y, [0], op('add', 1, float(1))))],
      [/f32 with a buffer of i32/, () => run(store(y, [0], float(1)))],
      [/index 1f is f32/, () => run(store(y, [float(1)], 1))],
      [/a is declared i32 and read as f32/, () => run(declare('a', 1)[0], store(y, [0], op('toI32', ref('a', F32X4))))],
      [/set to f32/, () => run(declare('a', 1)[0], set(ref('a'), float(2)))],
      [/condition is f32/, () => run(when(float(1), store(y, [0], 1)))],
      [/extent of i is 1.5/, () => run(loop('i', 1.5, () => block()))],
      [/no register type i32x3/, () => run(store(y, [0], splat(1, 3)))],
      [/sum does not take \(i32\)/, () => run(store(y, [0], op('sum', int(1))))],
      [/is no i32/, () => run(store(y, [0], int(2 ** 31)))],
      [
        /is no float32/,
        () => run(store(y, [0], op('toI32', { k: 'const', type: { num: 'f32', lanes: 1 }, value: 0.1 }))),
      ],
      [/marked i32/, () => run(store(y, [0], { k: 'op', op: 'toF32', args: [int(1)], type: I32 }))],
    ]
    for (const [message, f] of bad) expect(f, `${message}`).toThrow(message)
  })

  test('arguments must be of the buffers’ element types and sizes', () => {
    const k = kernel('k', [x, y], store(y, [0], 1))
    expect(() => interpret(k, [new Int8Array(6)])).toThrow(/1 arguments, it has 2 buffers/)
    expect(() => interpret(k, [new Uint8Array(6), new Int32Array(4)])).toThrow(/argument x is u8, the buffer i8/)
    expect(() => interpret(k, [new Int8Array(5), new Int32Array(4)])).toThrow(/5 elements, expects 6/)
  })

  test('runKernel allocates scratch and takes the rest in order', () => {
    const t: Buf = buffer('t', 'i32', [4], 'scratch')
    const k: Kernel = kernel(
      'k',
      [x, t, y],
      loop('i', 4, (i) => store(t, [i], mul(i, i))),
      loop('j', 4, (j) => store(y, [j], add(load(t, j), load(x, 1, 1)))),
    )
    const out = new Int32Array(4)
    runKernel(k, [Int8Array.of(0, 0, 0, 0, 5, 0), out])
    expect([...out]).toEqual([5, 6, 9, 14])
    expect(() => runKernel(k, [new Int8Array(6)])).toThrow(/no argument for y/)
    expect(() => runKernel(k, [new Int8Array(6), out, out])).toThrow(/1 arguments too many/)
  })

  test('a store keeps the low bits', () => {
    const b = buffer('b', 'i8', [1], 'write')
    const out = new Int8Array(1)
    interpret(kernel('k', [b], store(b, [0], 0x1ff)), [out])
    expect(out[0]).toBe(-1)
  })
})

test('the printed form of a matrix product with requantise', () => {
  const a = buffer('a', 'i8', [2, 8])
  const b = buffer('b', 'i8', [3, 8])
  const y = buffer('y', 'i8', [2, 3], 'write')
  const k = kernel(
    'matmul',
    [a, b, y],
    parallel('m', 2, (m) =>
      parallel('n', 3, (n) => {
        const [start, acc] = declare('acc', 0)
        const step = loop('k', 8, (i) => set(acc, add(acc, mul(load(a, m, i), load(b, n, i)))))
        return [start, step, store(y, [m, n], op('requant', acc, 1 << 30, -2))]
      }),
    ),
  )
  validate(k)
  expect(printKernel(k)).toMatchInlineSnapshot(`
    "kernel matmul(read a: i8[2, 8]; read b: i8[3, 8]; write y: i8[2, 3])
      parallel m in 2
        parallel n in 3
          let acc: i32 = 0
          for k in 8
            acc = (acc + (a[m, k] * b[n, k]))
          y[m, n] = requant(acc, 1073741824, -2)"
  `)
})

test('the printed form of lanes, conditions and floats', () => {
  const x = buffer('x', 'f32', [2, 8])
  const y = buffer('y', 'f32', [2, 8], 'write')
  const k = kernel(
    'relu',
    [x, y],
    parallel('c', 2, (c) => [
      when(
        op('lt', c, 1),
        store(y, [c, 0], op('max', loadLanes(x, F32X4, c, 0), splat(expr(float(-0)), 4))),
        store(y, [c, add(mul(c, 4), -4)], op('toF32', op('wadd', c, 3))),
      ),
    ]),
  )
  validate(k)
  expect(printKernel(k)).toMatchInlineSnapshot(`
    "kernel relu(read x: f32[2, 8]; write y: f32[2, 8])
      parallel c in 2
        if (c < 1)
          y[c, 0]:4 = max(x[c, 0]:f32x4, f32x4(-0f))
        else
          y[c, ((c * 4) + -4)] = toF32((c +% 3))"
  `)
})
