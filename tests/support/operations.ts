// Every operation on f64, f16 and i64 and every rounding of floats, as small kernels over columns of edge values.

import * as L from '../../src/loops/build.ts'
import { type Data, type Elem, type Expr, type Kernel, newData, type OpName, type Stmt } from '../../src/loops/ir.ts'
import * as M from '../../src/loops/math.ts'

export interface Run {
  readonly kernel: Kernel
  readonly args: readonly Data[]
}

type Values = readonly (number | bigint)[]

const LEAST = -(2n ** 63n)
const MOST = 2n ** 63n - 1n
export const LONGS = [
  ...[0n, 1n, -1n, 2n, 5n, -7n, 1000n, 2n ** 31n, -(2n ** 31n), -(2n ** 33n) - 5n, 2n ** 53n + 1n, 2n ** 62n],
  ...[-(2n ** 62n) - 3n, MOST - 1n, MOST, LEAST + 1n, LEAST, 0x4000004000000000n, 0x4000004000000001n, 16777217n],
]
const INTS = [0, 1, -1, 7, -8, 16777217, 16777219, -33554435, 2 ** 31 - 1, -(2 ** 31)]
const BOTH_SIGNS = (xs: readonly number[]) => xs.flatMap((x) => [x, -x])
export const FLOATS = BOTH_SIGNS([
  ...[0, 2 ** -149, 1e-40, 2 ** -126, 1e-20, 0.1, 0.49999997, 0.5, 0.50000006, 1, 1.5, 2, 2.5, 3.5, 7.25, 100.5],
  ...[4194303.5, 8388607.5, 8388608, 8388609, 16777217, 2147483520, 2147483648, 4e9, 9.2e18, 2 ** 63, 1e19, 3.4e38],
  Number.POSITIVE_INFINITY,
])
  .map(Math.fround)
  .concat(Number.NaN)
export const DOUBLES = [
  ...FLOATS,
  ...BOTH_SIGNS([5e-324, 1e-310, 2 ** -1022, 1e-200, 0.49999999999999994, 0.1, 2147483647.5, 2147483646.999, 2 ** 52]),
  ...BOTH_SIGNS([4503599627370495.5, 2 ** 53 - 1, 1e15 + 0.5, 2 ** 63 - 1024, 1e200, 1.7976931348623157e308]),
]
const HALVES = [
  0, 0x8000, 1, 0x8001, 0x3ff, 0x400, 0x3555, 0x3c00, 0xbc00, 0x4248, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00,
]

/** 32 pseudo-random bits at a time. */
function bits(n: number, seed: number): Uint32Array {
  let s = seed
  return Uint32Array.from({ length: n }, () => {
    s ^= s << 13
    s ^= s >>> 17
    s ^= s << 5
    return s
  })
}

/** Random bits as numbers of every size; NaNs all alike. */
export function randomFloats(n: number): Float32Array {
  return new Float32Array(bits(n, 9).buffer).map((x) => (Number.isNaN(x) ? Number.NaN : x))
}

export function randomDoubles(n: number): Float64Array {
  return new Float64Array(bits(2 * n, 5).buffer).map((x) => (Number.isNaN(x) ? Number.NaN : x))
}

export function dataOf(elem: Elem, values: Values): Data {
  if (elem === 'i64') return BigInt64Array.from(values.map(BigInt))
  const data = newData(elem, values.length) as Int32Array
  data.set(values.map(Number))
  return data
}

/** y[i] = f(columns[0][i], …); the elements of each column are those of `from`. */
export function elementwise(
  name: string,
  from: readonly Elem[],
  to: Elem,
  columns: readonly Data[],
  f: (...args: Expr[]) => Expr,
): Run {
  const n = columns[0].length
  const bufs = columns.map((_, k) => L.buffer(`x${k}`, from[k], [n]))
  const y = L.buffer('y', to, [n], 'write')
  const body = L.parallel('i', n, (i) => L.store(y, [i], f(...bufs.map((b) => L.load(b, i)))))
  return { kernel: L.kernel(name, [...bufs, y], body), args: [...columns, newData(to, n)] }
}

const fits = (r: bigint) => BigInt.asIntN(64, r) === r
const EXACT: Partial<Record<OpName, (a: bigint, b: bigint) => boolean>> = {
  add: (a, b) => fits(a + b),
  sub: (a, b) => fits(a - b),
  mul: (a, b) => fits(a * b),
  div: (a, b) => b !== 0n && fits(a / b),
  rem: (a, b) => b !== 0n && fits(a / b),
}

function pairs(xs: Values, keep: (a: bigint, b: bigint) => boolean = () => true): [Values, Values] {
  const all = xs.flatMap((a) => xs.map((b) => [a, b] as const)).filter(([a, b]) => keep(a as bigint, b as bigint))
  return [all.map(([a]) => a), all.map(([, b]) => b)]
}

const BINARY = ['add', 'sub', 'mul', 'div', 'min', 'max'] as const
const COMPARE = ['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const
export const ROUNDINGS = ['sqrt', 'floor', 'ceil', 'trunc', 'nearest', 'abs'] as const

/** All of them. */
export function everyOperation(): Run[] {
  const runs: Run[] = []
  const each = (op: OpName, from: Elem, to: Elem, columns: readonly Values[]) =>
    runs.push(
      elementwise(
        `${op}_${from}`,
        columns.map(() => from),
        to,
        columns.map((c) => dataOf(from, c)),
        (...args) => L.op(op, ...args),
      ),
    )
  for (const op of BINARY) {
    each(op, 'f64', 'f64', pairs(DOUBLES))
    each(op, 'i64', 'i64', pairs(LONGS, EXACT[op]))
    each(op, 'f16', 'f16', pairs(HALVES))
  }
  each('rem', 'i64', 'i64', pairs(LONGS, EXACT.rem))
  for (const op of ['wadd', 'wsub', 'wmul'] as const) each(op, 'i64', 'i64', pairs(LONGS))
  for (const op of COMPARE) {
    each(op, 'f64', 'i32', pairs(DOUBLES))
    each(op, 'i64', 'i32', pairs(LONGS))
  }
  for (const [elem, values] of [
    ['f64', DOUBLES],
    ['i64', LONGS],
    ['f16', HALVES],
  ] as const)
    runs.push(
      elementwise(
        `select_${elem}`,
        [elem, elem],
        elem,
        pairs(values).map((c) => dataOf(elem, c)),
        (a, b) => L.select(L.lt(a, b), b, a),
      ),
    )
  for (const op of [...ROUNDINGS, 'neg'] as const) {
    each(op, 'f32', 'f32', [[...FLOATS, ...randomFloats(3000)]])
    each(op, 'f64', 'f64', [[...DOUBLES, ...randomDoubles(3000)]])
    each(op, 'f16', 'f16', [HALVES])
  }
  each('abs', 'i32', 'i32', [INTS])
  each('abs', 'i64', 'i64', [LONGS])
  each('neg', 'i64', 'i64', [LONGS.filter((x) => x !== LEAST)])
  each('toF32', 'i64', 'f32', [LONGS])
  each('toF32', 'f64', 'f32', [
    [...DOUBLES, 1 + 2 ** -24, 1 + 3 * 2 ** -24, 1 + 2 ** -24 + 2 ** -50, 2 ** -150, 2 ** -149.5],
  ])
  each('toF64', 'i32', 'f64', [INTS])
  each('toF64', 'i64', 'f64', [LONGS])
  each('toF64', 'f32', 'f64', [FLOATS])
  each('toI32', 'f64', 'i32', [DOUBLES])
  each('toI64', 'f32', 'i64', [FLOATS])
  each('toI64', 'f64', 'i64', [DOUBLES])
  each('bits', 'f64', 'i64', [DOUBLES.filter((x) => !Number.isNaN(x))])
  each('fromBits', 'i64', 'f64', [LONGS.filter((x) => x >= 0n && x < 0x7ff0000000000000n)])
  return [...runs, ...halves(), ...constants()]
}

/** Every f16 to f32 and back, and floats around every place where rounding to f16 turns. */
export function halves(): Run[] {
  const every = Uint16Array.from({ length: 65536 }, (_, i) => i)
  const around = new Float32Array(4 * 65536)
  const word = new DataView(new ArrayBuffer(4))
  for (let i = 0; i < 65536; i++)
    for (let k = 0; k < 4; k++) {
      word.setInt32(0, (i << 16) | [0, 0x0fff, 0x1000, 0xf001][k])
      const x = word.getFloat32(0)
      around[4 * i + k] = Number.isNaN(x) ? Number.NaN : x
    }
  return [
    elementwise('from_f16', ['f16'], 'f32', [every], (x) => x),
    elementwise('through_f32', ['f16'], 'f16', [every], (x) => x),
    elementwise('to_f16', ['f32'], 'f16', [around], (x) => x),
  ]
}

const NUMBERS = [0, -0, 1, -1.5, 0.1, 5e-324, -1e-310, 2 ** 53 - 1, 2 ** 53, 1.7976931348623157e308, Number.NaN]

function constants(): Run[] {
  const i64 = (value: number) =>
    elementwise('long', ['i64'], 'i64', [BigInt64Array.of(3n)], (x) => L.op('xor', x, L.long(value)))
  return [
    ...[...NUMBERS, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((c) =>
      elementwise('double', ['f64'], 'f64', [Float64Array.of(1)], (x) =>
        L.select(L.op('eq', x, L.double(1)), L.double(c), L.op('neg', x)),
      ),
    ),
    ...[-(2 ** 63), 2 ** 62, -(2 ** 53), 7].map(i64),
    elementwise(
      'sums',
      ['f64', 'f64'],
      'f64',
      pairs(DOUBLES).map((c) => dataOf('f64', c)),
      (a, b) => L.add(L.op('sub', a, L.double(-2.5)), L.op('neg', L.mul(L.add(a, b), L.double(-0.1)))),
    ),
  ]
}

/** Elementary functions of one argument. */
export const FUNCTIONS = {
  f32: {
    expf: M.expf,
    logisticf: M.logisticf,
    tanhf: M.tanhf,
    logf: M.logf,
    log1pf: M.log1pf,
    sinf: M.sinf,
    cosf: M.cosf,
    erff: M.erff,
    rsqrtf: M.rsqrtf,
  },
  f64: { exp: M.exp, log: M.log },
} as const

/** y[i] = f(x[i], …), where `f` wants registers. */
export function computed(name: string, elem: 'f32' | 'f64', xs: readonly Data[], f: (...x: Expr[]) => M.Steps): Run {
  const n = xs[0].length
  const bufs = xs.map((_, k) => L.buffer(`x${k}`, elem, [n]))
  const y = L.buffer('y', elem, [n], 'write')
  const body = L.parallel('i', n, (i): Stmt[] => {
    const [stmts, value] = f(...bufs.map((b) => L.load(b, i)))
    return [...stmts, L.store(y, [i], value)]
  })
  return { kernel: L.kernel(name, [...bufs, y], body), args: [...xs, newData(elem, n)] }
}

/** Every elementary function over edge values and random numbers of every size. */
export function everyFunction(): Run[] {
  const xs = Float32Array.of(...FLOATS, ...randomFloats(2000))
  const ds = Float64Array.of(...DOUBLES, ...randomDoubles(2000))
  const powers = pairs([...FLOATS, 3, -3, 9, 0.9999999, 1.0000001])
  return [
    ...Object.entries(FUNCTIONS.f32).map(([name, f]) => computed(name, 'f32', [xs], (x) => f(x, 'f'))),
    ...Object.entries(FUNCTIONS.f64).map(([name, f]) => computed(name, 'f64', [ds], (x) => f(x, 'f'))),
    computed(
      'powf',
      'f32',
      powers.map((c) => dataOf('f32', c)),
      (x, y) => M.powf(x, y, 'f'),
    ),
  ]
}
