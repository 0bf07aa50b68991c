import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { kernelText } from '../../src/emit/c/kernel.ts'
import { floatConstant } from '../../src/emit/c/number.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import * as L from '../../src/loops/build.ts'
import { interpret } from '../../src/loops/interpret.ts'
import type { Data, Elem, Expr, Kernel, OpName } from '../../src/loops/ir.ts'
import {
  type HostOptions,
  hostCompiler,
  type KernelRun,
  runKernelsHostC,
  SANITIZED,
  STRICT,
} from '../../src/run/host_c.ts'
import { isInstalled } from '../../src/run/host_tool.ts'

const compiler = hostCompiler()
const MIN = -(2 ** 31)
const MAX = 2 ** 31 - 1
const INTS = [
  0,
  1,
  -1,
  2,
  -2,
  3,
  7,
  -7,
  127,
  -128,
  255,
  4096,
  -65536,
  2 ** 30,
  -(2 ** 30),
  MAX,
  MIN,
  MIN + 1,
  123456789,
  -987654321,
]
const LONGS = [0n, 1n, -1n, 5n, -7n, 2n ** 31n, -(2n ** 33n) - 5n, 2n ** 62n, 2n ** 63n - 1n, -(2n ** 63n)]
const SMALLEST = 2 ** -149
const FLOATS = [
  0,
  -0,
  1,
  -1,
  0.1,
  -2.5,
  1e-40,
  SMALLEST,
  -SMALLEST,
  3.4e38,
  -3.4e38,
  2147483520,
  2147483648,
  -2147483648,
  4294967296,
  Infinity,
  -Infinity,
  NaN,
  16777217,
  0.3333333,
].map(Math.fround)

function pairs<T>(a: readonly T[], b: readonly T[], keep: (a: T, b: T) => boolean = () => true): [T[], T[]] {
  const all = a.flatMap((x) => b.map((y): [T, T] => [x, y])).filter(([x, y]) => keep(x, y))
  return [all.map(([x]) => x), all.map(([, y]) => y)]
}

function dataOf(elem: Elem, values: readonly (number | bigint)[]): Data {
  if (elem === 'i64') return BigInt64Array.from(values.map(BigInt))
  const numbers = values.map(Number)
  switch (elem) {
    case 'f32':
      return Float32Array.from(numbers)
    case 'i8':
      return Int8Array.from(numbers)
    case 'u8':
      return Uint8Array.from(numbers)
    case 'i16':
      return Int16Array.from(numbers)
    default:
      return Int32Array.from(numbers)
  }
}

/** y[i] = f(columns[0][i], columns[1][i], …) */
function elementwise(
  name: string,
  from: Elem,
  to: Elem,
  columns: readonly (readonly (number | bigint)[])[],
  f: (...args: Expr[]) => Expr,
): KernelRun {
  const n = columns[0].length
  const bufs = columns.map((_, k) => L.buffer(`x${k}`, from, [n]))
  const y = L.buffer('y', to, [n], 'write')
  const body = L.parallel('i', n, (i) => L.store(y, [i], f(...bufs.map((b) => L.load(b, i)))))
  return {
    kernel: L.kernel(name, [...bufs, y], body),
    args: [...columns.map((c) => dataOf(from, c)), dataOf(to, new Array(n).fill(0))],
  }
}

const fits = (bits: number, v: bigint) => BigInt.asIntN(bits, v) === v
const exact: Partial<Record<OpName, (a: bigint, b: bigint) => bigint>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
}

function everyOperation(): KernelRun[] {
  const runs: KernelRun[] = []
  const counts = Array.from({ length: 32 }, (_, i) => i)
  const [i0, i1] = pairs(INTS, INTS)
  const [f0, f1] = pairs(FLOATS, FLOATS)
  const [l0, l1] = pairs(LONGS, LONGS)
  const binary = (op: OpName, from: Elem, to: Elem, columns: readonly (readonly (number | bigint)[])[]) =>
    runs.push(elementwise(`${op}_${from}`, from, to, columns, (...args) => L.op(op, ...args)))
  for (const [op, f] of Object.entries(exact) as [OpName, (a: bigint, b: bigint) => bigint][]) {
    binary(
      op,
      'i32',
      'i32',
      pairs(INTS, INTS, (a, b) => fits(32, f(BigInt(a), BigInt(b)))),
    )
    binary(
      op,
      'i64',
      'i64',
      pairs(LONGS, LONGS, (a, b) => fits(64, f(a, b))),
    )
    binary(op, 'f32', 'f32', [f0, f1])
  }
  binary('neg', 'i32', 'i32', [INTS.filter((v) => v !== MIN)])
  binary('neg', 'i64', 'i64', [LONGS.filter((v) => v !== -(2n ** 63n))])
  binary('neg', 'f32', 'f32', [FLOATS])
  for (const op of ['wadd', 'wsub', 'wmul', 'srdhm'] as const) binary(op, 'i32', 'i32', [i0, i1])
  for (const op of ['div', 'rem'] as const)
    binary(
      op,
      'i32',
      'i32',
      pairs(INTS, INTS, (a, b) => b !== 0 && !(a === MIN && b === -1)),
    )
  binary('div', 'f32', 'f32', [f0, f1])
  for (const op of ['min', 'max'] as const) {
    binary(op, 'i32', 'i32', [i0, i1])
    binary(op, 'f32', 'f32', [f0, f1])
  }
  for (const op of ['and', 'or', 'xor'] as const) {
    binary(op, 'i32', 'i32', [i0, i1])
    binary(op, 'i64', 'i64', [l0, l1])
  }
  for (const op of ['shl', 'shr', 'ushr'] as const) {
    binary(op, 'i32', 'i32', pairs(INTS, [...counts, 32, 33, -1]))
    binary(op, 'i64', 'i64', pairs(LONGS, [0n, 1n, 31n, 32n, 33n, 63n, 64n, 70n, -1n]))
    for (const n of [0, 1, 31, 32, -1])
      runs.push(elementwise(`${op}_by_${n}`, 'i32', 'i32', [INTS], (x) => L.op(op, x, n)))
  }
  for (const op of ['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const) {
    binary(op, 'i32', 'i32', [i0, i1])
    binary(op, 'i64', 'i32', [l0, l1])
    binary(op, 'f32', 'i32', [f0, f1])
  }
  binary('rdivpot', 'i32', 'i32', pairs(INTS, counts))
  for (const multiplier of [0, 1, 2 ** 30, 1518500250, MAX, MIN, -5])
    runs.push(
      elementwise(`requant_${multiplier}`, 'i32', 'i32', pairs(INTS, [-31, -30, -9, -1, 0, 1, 8, 31]), (x, s) =>
        L.requant(x, multiplier, s),
      ),
    )
  binary('clz', 'i32', 'i32', [INTS])
  binary('toF32', 'i32', 'f32', [[...INTS, 16777217, 16777219, -33554435]])
  binary('toI32', 'f32', 'i32', [[...FLOATS, 1.9, -1.9, 0.5, 2147483583]])
  binary('extend', 'i32', 'i64', [INTS])
  binary('wrap', 'i64', 'i32', [LONGS])
  binary('bits', 'f32', 'i32', [FLOATS])
  binary('fromBits', 'i32', 'f32', [[0, MIN, 1, 0x3f800000, 0x7f800000, -8388608]])
  for (const [from, c0, c1] of [
    ['i32', i0, i1],
    ['i64', l0, l1],
    ['f32', f0, f1],
  ] as const)
    runs.push(elementwise(`select_${from}`, from, from, [c0, c1], (a, b) => L.select(L.lt(a, b), b, a)))
  for (const elem of ['i8', 'u8', 'i16'] as const)
    runs.push(
      elementwise(`widen_${elem}`, elem, 'i32', [[0, 1, 127, 128, 255, -1, -128, 32767]], (x) => L.add(x, 1)),
      elementwise(`narrow_${elem}`, 'i32', elem, [INTS], (x) => x),
    )
  return runs
}

/** Constants, precedence, conditions: where printing could go wrong. */
function expressions(): KernelRun[] {
  const constants = [
    0,
    -0,
    0.1,
    -1.5,
    SMALLEST,
    3.4028234663852886e38,
    1e-39,
    Infinity,
    -Infinity,
    NaN,
    16777216,
    2 ** 31,
  ]
  const mixed: [string, (a: Expr, b: Expr) => Expr][] = [
    ['minus_sum', (a, b) => L.op('wsub', a, L.op('wadd', b, a))],
    ['minus_minus', (a, b) => L.sub(L.op('and', a, 255), L.sub(L.op('and', b, 255), L.op('neg', L.op('and', a, 15))))],
    ['product_of_sum', (a, b) => L.mul(L.add(L.op('and', a, 63), -3), L.sub(L.op('and', b, 63), MIN + MAX))],
    ['quotients', (a, b) => L.op('div', a, L.op('div', MAX, L.op('or', L.op('and', b, 7), 1)))],
    ['least', (a, b) => L.op('wadd', L.op('xor', a, MIN), b)],
    ['both', (a, b) => L.and(L.lt(a, b), L.op('or', L.ge(a, 0), L.op('eq', b, -1)))],
    ['bitwise', (a, b) => L.op('or', L.and(a, L.lt(a, b)), L.op('xor', b, 12))],
    ['compare_compare', (a, b) => L.lt(L.lt(a, b), L.op('eq', a, b))],
    ['nested_select', (a, b) => L.select(L.select(L.lt(a, 0), b, a), L.select(b, 1, 2), L.select(L.lt(a, b), 3, a))],
  ]
  return [
    ...constants.map((c, k) =>
      elementwise(`constant_${k}`, 'f32', 'i32', [[1]], (x) =>
        L.op('bits', L.select(L.op('eq', x, L.float(1)), L.float(c), x)),
      ),
    ),
    ...mixed.map(([name, f]) => elementwise(name, 'i32', 'i32', pairs(INTS, INTS), f)),
    elementwise('sums', 'f32', 'f32', pairs([1e8, -1e8, 0.5, 3], [1, -1e8, 7e-8]), (a, b) =>
      L.add(a, L.add(b, L.op('sub', a, L.add(b, L.float(1))))),
    ),
    elementwise('mul_add', 'f32', 'f32', pairs(FLOATS, FLOATS), (a, b) => L.add(L.mul(a, b), L.mul(b, L.float(0.1)))),
    elementwise('long', 'i64', 'i64', [LONGS], (x) => L.op('and', x, L.long(-(2 ** 53 - 1)))),
  ]
}

/** Addresses that only some iterations may compute: a divisor of 0, an index that overflows when multiplied. */
function guarded(): KernelRun[] {
  const x = L.buffer('x', 'i32', [4, 3])
  const pick = L.buffer('pick', 'i32', [4])
  const y = L.buffer('y', 'i32', [4, 3], 'write')
  const body = L.loop('i', 4, (i) => {
    const [declared, r] = L.declare('r', L.load(pick, i))
    return [
      declared,
      L.loop('j', 3, (j) => [
        L.store(y, [i, j], -1),
        L.when(L.op('ne', r, 0), L.store(y, [i, j], L.load(x, L.op('rem', i, r), j))),
        L.when(L.and(L.ge(r, 0), L.lt(r, 4)), L.store(y, [i, j], L.add(L.load(y, i, j), L.load(x, r, j)))),
      ]),
    ]
  })
  const data = Int32Array.from({ length: 12 }, (_, i) => i * i)
  return [
    {
      kernel: L.kernel('guarded', [x, pick, y], body),
      args: [data, Int32Array.of(2, 0, MAX, MIN), new Int32Array(12)],
    },
  ]
}

/** A window with borders, three loops deep, registers as indices, rows under a condition, a name that C reserves. */
function addresses(): KernelRun[] {
  const x = L.buffer('x', 'i8', [5, 6, 3])
  const pick = L.buffer('register', 'i32', [4])
  const y = L.buffer('y', 'i32', [5, 6], 'write')
  const t = L.buffer('int', 'i16', [4, 3], 'scratch')
  const inside = (v: Expr, n: number) => L.and(L.ge(v, 0), L.lt(v, n))
  const window = L.kernel(
    'window',
    [x, y],
    L.loops(['oh', 'ow'], [5, 6], (oh, ow) => {
      const [start, acc] = L.declare('acc', 0)
      return [
        start,
        L.loop('kh', 3, (kh) => {
          const ih = L.add(L.add(oh, kh), -1)
          return L.loop('kw', 3, (kw) => {
            const iw = L.add(L.sub(ow, L.mul(kw, 2)), 1)
            return L.when(
              L.and(inside(ih, 5), inside(iw, 6)),
              L.loop('c', 3, (c) => L.set(acc, L.add(acc, L.mul(L.load(x, ih, iw, L.sub(2, c)), L.add(c, 1))))),
              L.set(acc, L.sub(acc, 1)),
            )
          })
        }),
        L.store(y, [L.sub(4, oh), ow], acc),
      ]
    }),
  )
  const [first, row] = L.declare('for', L.load(pick, 1))
  const [second, col] = L.declare('while', L.op('rem', row, 3))
  const gather = L.kernel(
    'gather',
    [x, pick, t, y],
    first,
    second,
    L.loop('a', 4, (a) => L.loop('b', 3, (b) => L.store(t, [a, b], L.add(L.load(x, row, a, b), L.load(pick, a))))),
    L.loop('p', 5, (p) =>
      L.loop('q', 6, (q) => {
        const [at, r] = L.declare('r', L.op('rem', L.add(p, q), 4))
        return [at, L.store(y, [p, q], L.add(L.load(t, r, col), L.load(x, p, L.load(pick, r), 1)))]
      }),
    ),
    L.loop('e', 0, (e) => L.store(y, [e, e], 1)),
  )
  const image = Int8Array.from({ length: 90 }, (_, i) => (i * 37) % 251)
  return [
    { kernel: window, args: [image, new Int32Array(30)] },
    { kernel: gather, args: [image, Int32Array.of(3, 4, 1, 2), new Int16Array(12), new Int32Array(30)] },
  ]
}

const copy = ({ kernel, args }: KernelRun): KernelRun => ({ kernel, args: args.map((a) => a.slice()) })

function agree(runs: readonly KernelRun[], options: HostOptions): void {
  const expected = runs.map(copy)
  const got = runs.map(copy)
  for (const { kernel, args } of expected) interpret(kernel, args)
  runKernelsHostC(got, options)
  runs.forEach(({ kernel }, i) => {
    kernel.bufs.forEach((buf, k) => {
      if (buf.access === 'scratch') return
      const [want, have] = [expected[i].args[k], got[i].args[k]]
      // bits of a NaN that arithmetic made are the machine's own
      if (want instanceof Float32Array) expect(have, `${kernel.name}/${buf.name}`).toEqual(want)
      else expect(fingerprint(have), `${kernel.name}/${buf.name}: ${have} instead of ${want}`).toBe(fingerprint(want))
    })
  })
}

const all = [...everyOperation(), ...expressions(), ...guarded(), ...addresses()]

describe.skipIf(!compiler)('C kernels (skipped where no C compiler is installed)', () => {
  test('every operation gives the bits that the interpreter gives, and compiles without a warning', () => {
    agree(all, { flags: STRICT })
  })

  test('no operation has undefined behaviour', () => {
    agree(all, { flags: SANITIZED })
  })

  test('optimisation does not change a bit, nor do flags that ask for fused multiply-add', () => {
    agree(all, {
      flags: ['-std=gnu99', '-O3', ...(process.arch === 'x64' ? ['-mfma', '-ffp-contract=fast'] : [])],
      compiler: isInstalled('gcc') ? 'gcc' : compiler,
    })
  })

  test('random affine addresses and guards reach the elements that the interpreter reaches', () => {
    const runs = fc.sample(affineKernel, { numRuns: 60, seed: 7 })
    agree(runs, { flags: SANITIZED })
  })
})

for (const [name, flags] of [
  ['clang', STRICT],
  ['g++', ['-x', 'c++', '-O1', '-Wall', '-Wextra', '-Wconversion', '-Wpedantic', '-Werror']],
] as const)
  test.skipIf(!isInstalled(name))(
    `kernels compile without a warning under ${name} (skipped where it is missing)`,
    () => {
      agree(all, { compiler: name, flags })
    },
  )

/** y[i, j] += x[affine in i, j, k] where that is inside, over random extents and coefficients. */
const affineKernel: fc.Arbitrary<KernelRun> = fc
  .record({
    extents: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
    coefs: fc.array(fc.integer({ min: -2, max: 3 }), { minLength: 8, maxLength: 8 }),
    guardInside: fc.boolean(),
  })
  .map(({ extents: [I, J, K], coefs, guardInside }) => {
    const [H, W] = [5, 7]
    const x = L.buffer('x', 'i16', [H, W])
    const y = L.buffer('y', 'i32', [I, J], 'write')
    const affine = (c: readonly number[], v: readonly Expr[]) =>
      v.reduce((sum, e, k) => L.add(sum, L.mul(e, c[k])), L.int(c[3]))
    const body = L.loops(['i', 'j'], [I, J], (i, j) => {
      const [start, acc] = L.declare('acc', L.add(L.mul(i, 10), j))
      const read = (k: Expr) => {
        const r = affine(coefs.slice(0, 4), [i, j, k])
        const c = affine(coefs.slice(4), [i, j, k])
        const ok = L.and(L.and(L.ge(r, 0), L.lt(r, H)), L.and(L.ge(c, 0), L.lt(c, W)))
        if (guardInside) return L.when(ok, L.set(acc, L.add(acc, L.load(x, r, c))))
        const held = (e: Expr, n: number) => L.clamp(e, 0, n - 1)
        return L.set(acc, L.add(acc, L.load(x, held(r, H), held(c, W))))
      }
      return [start, L.loop('k', K, read), L.store(y, [i, j], acc)]
    })
    const kernel: Kernel = L.kernel('affine', [x, y], body)
    return { kernel, args: [Int16Array.from({ length: H * W }, (_, n) => n * n * 7 - 500), new Int32Array(I * J)] }
  })

test('a float constant reads back as the same float', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (v) => {
      const text = floatConstant(v)
      const hex = /^(-?)0x([01])(?:\.([0-9a-f]+))?p([+-]\d+)f$/.exec(text)
      const back = hex
        ? (hex[1] ? -1 : 1) *
          (Number(hex[2]) + Number.parseInt(hex[3] ?? '0', 16) / 16 ** (hex[3] ?? '').length) *
          2 ** Number(hex[4])
        : Number(text.slice(0, -1))
      return Object.is(back, v)
    }),
    { numRuns: 2000 },
  )
})

test('a kernel with lanes is refused', () => {
  const x = L.buffer('x', 'i32', [4])
  const y = L.buffer('y', 'i32', [4], 'write')
  const wide = L.kernel('wide', [x, y], L.store(y, [0], L.loadLanes(x, { num: 'i32', lanes: 4 }, 0)))
  expect(() => kernelText(wide, 'wide')).toThrow(/internal error.*4 lanes/)
})
