import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileKernel } from '../../src/emit/wasm/kernel.ts'
import { runsRelaxed } from '../../src/emit/wasm/relaxed.ts'
import {
  add,
  and,
  buffer,
  clamp,
  declare,
  expr,
  float,
  ge,
  int,
  kernel,
  load,
  loadLanes,
  long,
  loop,
  lt,
  max,
  mul,
  op,
  part,
  ref,
  requant,
  select,
  set,
  splat,
  store,
  sub,
  when,
} from '../../src/loops/build.ts'
import { interpret } from '../../src/loops/interpret.ts'
import {
  count,
  type Data,
  type Elem,
  type Expr,
  F32X4,
  I8X4,
  I8X16,
  I16X8,
  I32X4,
  type Kernel,
  newData,
  type OpName,
  registerOf,
  type Stmt,
  type Type,
} from '../../src/loops/ir.ts'
import { runKernelWasm } from '../../src/run/wasm.ts'

const I64X2: Type = { num: 'i64', lanes: 2 }

/** Runs the kernel both ways on copies of `args` (arrays for buffers that are not given are zero) and expects the same bits. */
function agree(k: Kernel, ...args: Data[]): Data[] {
  const make = () => k.bufs.map((b, i) => args[i]?.slice() ?? newData(b.elem, count(b.shape)))
  const [wasm, meaning] = [make(), make()]
  runKernelWasm(k, wasm)
  interpret(k, meaning)
  for (const [i, buf] of k.bufs.entries()) {
    const bits = (d: Data) => new Uint8Array(d.buffer, d.byteOffset, d.byteLength)
    if (wasm[i] instanceof Float32Array) expect(wasm[i], buf.name).toEqual(meaning[i])
    expect(bits(wasm[i]), buf.name).toEqual(bits(meaning[i]))
  }
  return wasm
}

function noise(elem: Elem, n: number, seed = 1): Data {
  const out = newData(elem, n)
  let s = seed
  for (let i = 0; i < n; i++) {
    s ^= s << 13
    s ^= s >>> 17
    s ^= s << 5
    if (out instanceof BigInt64Array) out[i] = BigInt(s)
    else out[i] = elem === 'f32' ? s / 2 ** 28 : s
  }
  return out
}

const MIN = -(2 ** 31)
const MAX = 2 ** 31 - 1
const EDGES = [
  0,
  1,
  -1,
  2,
  -2,
  3,
  127,
  -128,
  255,
  32767,
  -32768,
  65536,
  1 << 30,
  -(1 << 30),
  MAX,
  MIN,
  MAX - 1,
  MIN + 1,
]
const SMALL = [0, 1, -1, 2, -2, 3, 127, -128, 181, -181]
const COUNTS = [0, 1, 2, 7, 15, 16, 30, 31, 32, 33, 63, -1]
const EXPONENTS = [0, 1, 2, 3, 7, 15, 16, 29, 30, 31]
const SHIFTS = EXPONENTS.flatMap((e) => [e, -e])
const FLOATS = [0, -0, 1, -1, 0.5, -0.5, 1e-40, 3e38, -3e38, 2147483520, 2147483648, -2147483648, -3e9, 1 / 3, Infinity]
const LONGS = [0n, 1n, -1n, 5n, -7n, 1n << 31n, -(1n << 31n), 0x1234567n << 8n, -(1n << 62n), (1n << 62n) - 1n]
const LONG_SMALL = [0n, 1n, -1n, 77n, -(1n << 30n), 1n << 30n]

type Values = readonly (number | bigint)[]

/** All tuples of the lists, as columns, repeated to a multiple of 8. */
function tuples(lists: readonly Values[]): Values[] {
  const rows = lists.reduce<(number | bigint)[][]>((all, l) => all.flatMap((r) => l.map((v) => [...r, v])), [[]])
  while (rows.length % 8) rows.push(rows[0])
  return lists.map((_, i) => rows.map((r) => r[i]))
}

function dataOf(elem: Elem, values: Values): Data {
  if (elem === 'i64') return BigInt64Array.from(values as bigint[])
  const out = newData(elem, values.length) as Int32Array
  out.set(values as number[])
  return out
}

/** out[i] = op(a[i], b[i], …), `lanes` at a time. */
function mapKernel(
  name: OpName,
  elems: readonly Elem[],
  out: Elem,
  n: number,
  lanes: number,
  make = (...x: Expr[]) => op(name, ...x),
): Kernel {
  const bufs = elems.map((e, i) => buffer(`x${i}`, e, [n]))
  const y = buffer('y', out, [n], 'write')
  const body = loop('i', n / lanes, (i) => {
    const at = mul(i, lanes)
    const args = bufs.map((b) => loadLanes(b, { num: registerOf(b.elem).num, lanes }, at))
    return store(y, [at], make(...args))
  })
  return kernel(name, [...bufs, y], body)
}

describe('wasm kernels compute each operation', () => {
  const cases: [OpName, Elem[], Elem, Values[], boolean][] = [
    ['add', ['i32', 'i32'], 'i32', [SMALL, SMALL], true],
    ['sub', ['i32', 'i32'], 'i32', [SMALL, SMALL], true],
    ['mul', ['i32', 'i32'], 'i32', [SMALL, SMALL], true],
    ['neg', ['i32'], 'i32', [[...SMALL, MAX]], true],
    ['wadd', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['wsub', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['wmul', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['div', ['i32', 'i32'], 'i32', [EDGES, [1, 2, -3, 127, MAX, MIN]], true],
    ['rem', ['i32', 'i32'], 'i32', [EDGES, [1, 2, -3, 127, MAX, MIN]], true],
    ['min', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['max', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['and', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['or', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['xor', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['shl', ['i32', 'i32'], 'i32', [EDGES, COUNTS], true],
    ['shr', ['i32', 'i32'], 'i32', [EDGES, COUNTS], true],
    ['ushr', ['i32', 'i32'], 'i32', [EDGES, COUNTS], true],
    ['eq', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['ne', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['lt', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['le', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['gt', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['ge', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['clz', ['i32'], 'i32', [EDGES], true],
    [
      'select',
      ['i32', 'i32', 'i32'],
      'i32',
      [
        [0, 1, -1, 2],
        [5, MIN],
        [6, MAX],
      ],
      true,
    ],
    ['toF32', ['i32'], 'f32', [[...EDGES, 16777217, 33554435]], true],
    ['fromBits', ['i32'], 'f32', [[0, 1, 0x3f800000, MIN, 0x7f800000]], true],
    ['srdhm', ['i32', 'i32'], 'i32', [EDGES, EDGES], true],
    ['rdivpot', ['i32', 'i32'], 'i32', [EDGES, EXPONENTS], true],
    ['requant', ['i32', 'i32', 'i32'], 'i32', [EDGES, [1 << 30, MAX, 1518500250, MIN, -7], SHIFTS], true],
    ['add', ['i64', 'i64'], 'i64', [LONG_SMALL, LONG_SMALL], true],
    ['sub', ['i64', 'i64'], 'i64', [LONG_SMALL, LONG_SMALL], true],
    ['mul', ['i64', 'i64'], 'i64', [LONG_SMALL, LONG_SMALL], true],
    ['neg', ['i64'], 'i64', [LONGS], true],
    ['and', ['i64', 'i64'], 'i64', [LONGS, LONGS], true],
    ['or', ['i64', 'i64'], 'i64', [LONGS, LONGS], true],
    ['xor', ['i64', 'i64'], 'i64', [LONGS, LONGS], true],
    ['shl', ['i64', 'i64'], 'i64', [LONGS, COUNTS.map(BigInt)], true],
    ['shr', ['i64', 'i64'], 'i64', [LONGS, COUNTS.map(BigInt)], true],
    ['ushr', ['i64', 'i64'], 'i64', [LONGS, COUNTS.map(BigInt)], true],
    ['eq', ['i64', 'i64'], 'i32', [LONGS, LONGS], false],
    ['lt', ['i64', 'i64'], 'i32', [LONGS, LONGS], false],
    ['ge', ['i64', 'i64'], 'i32', [LONGS, LONGS], false],
    ['extend', ['i32'], 'i64', [EDGES], false],
    ['wrap', ['i64'], 'i32', [LONGS], false],
    ['select', ['i32', 'i64', 'i64'], 'i64', [[0, 1], LONGS, [9n]], false],
    ['add', ['f32', 'f32'], 'f32', [FLOATS, FLOATS.slice(0, -1)], true],
    ['sub', ['f32', 'f32'], 'f32', [FLOATS, FLOATS.slice(0, -1)], true],
    ['mul', ['f32', 'f32'], 'f32', [FLOATS.slice(2), FLOATS.slice(2)], true],
    ['div', ['f32', 'f32'], 'f32', [FLOATS.slice(2), FLOATS.slice(2, -1)], true],
    ['neg', ['f32'], 'f32', [FLOATS], true],
    ['min', ['f32', 'f32'], 'f32', [[...FLOATS, NaN], FLOATS], true],
    ['max', ['f32', 'f32'], 'f32', [[...FLOATS, NaN], FLOATS], true],
    ['min', ['f32', 'f32'], 'f32', [FLOATS, [NaN]], true],
    ['max', ['f32', 'f32'], 'f32', [FLOATS, [NaN]], true],
    [
      'eq',
      ['f32', 'f32'],
      'i32',
      [
        [...FLOATS, NaN],
        [...FLOATS, NaN],
      ],
      true,
    ],
    [
      'ne',
      ['f32', 'f32'],
      'i32',
      [
        [...FLOATS, NaN],
        [...FLOATS, NaN],
      ],
      true,
    ],
    [
      'lt',
      ['f32', 'f32'],
      'i32',
      [
        [...FLOATS, NaN],
        [...FLOATS, NaN],
      ],
      true,
    ],
    [
      'le',
      ['f32', 'f32'],
      'i32',
      [
        [...FLOATS, NaN],
        [...FLOATS, NaN],
      ],
      true,
    ],
    [
      'gt',
      ['f32', 'f32'],
      'i32',
      [
        [...FLOATS, NaN],
        [...FLOATS, NaN],
      ],
      true,
    ],
    [
      'ge',
      ['f32', 'f32'],
      'i32',
      [
        [...FLOATS, NaN],
        [...FLOATS, NaN],
      ],
      true,
    ],
    ['toI32', ['f32'], 'i32', [[...FLOATS, -Infinity, NaN, 1.5, -1.5, 2147483647]], true],
    ['bits', ['f32'], 'i32', [FLOATS], true],
    ['select', ['i32', 'f32', 'f32'], 'f32', [[0, 1], FLOATS, [NaN, 2]], true],
  ]
  test.each(cases)('%s on %s', (name, elems, out, values, lanes) => {
    const columns = tuples(values)
    const n = columns[0].length
    const args = elems.map((e, i) => dataOf(e, columns[i]))
    agree(mapKernel(name, elems, out, n, 1), ...args)
    if (lanes) agree(mapKernel(name, elems, out, n, elems.includes('i64') ? 2 : 4), ...args)
  })

  test('requant, with expected values from big integers', () => {
    const columns = tuples([[...EDGES, 1234567, -7654321], [1 << 30, MAX, 1518500250], SHIFTS])
    const big = columns.map((c) => c.map(BigInt))
    const expected = big[0].map((x0, i) => {
      const s = big[2][i]
      const x = BigInt.asIntN(32, x0 << (s > 0n ? s : 0n))
      const high = (x * big[1][i] + (1n << 30n)) >> 31n
      const e = s < 0n ? -s : 0n
      const magnitude = ((high < 0n ? -high : high) + ((1n << e) >> 1n)) >> e
      return Number(high < 0n ? -magnitude : magnitude)
    })
    const args = columns.map((c) => dataOf('i32', c))
    const n = expected.length
    for (const lanes of [1, 4]) {
      const out = agree(mapKernel('requant', ['i32', 'i32', 'i32'], 'i32', n, lanes), ...args)
      expect([...out[3]]).toEqual(expected)
    }
  })

  test('fixed point with one shift for all lanes', () => {
    const columns = tuples([EDGES, [1 << 30, MAX, MIN]])
    const n = columns[0].length
    const s = buffer('s', 'i32', [1])
    for (const shift of SHIFTS) {
      const k = mapKernel('requant', ['i32', 'i32'], 'i32', n, 4, (x, m) => op('requant', x, m, splat(load(s, 0), 4)))
      agree(
        { ...k, bufs: [...k.bufs, s] },
        ...columns.map((c) => dataOf('i32', c)),
        newData('i32', n),
        Int32Array.of(shift),
      )
      if (shift < 0) continue
      const d = mapKernel('rdivpot', ['i32'], 'i32', n, 4, (x) => op('rdivpot', x, splat(shift, 4)))
      agree(d, dataOf('i32', columns[0]))
    }
  })

  test.each(['shl', 'shr', 'ushr'] as const)('%s of lanes by one count', (name) => {
    for (const c of COUNTS) {
      agree(
        mapKernel(name, ['i32'], 'i32', 24, 4, (x) => op(name, x, splat(c, 4))),
        noise('i32', 24),
      )
      agree(
        mapKernel(name, ['i64'], 'i64', 24, 2, (x) => op(name, x, splat(long(c), 2))),
        noise('i64', 24),
      )
    }
  })

  test('select on a comparison of lanes', () => {
    const k = mapKernel('select', ['f32', 'f32'], 'f32', 16, 4, (a, b) => select(lt(a, b), op('neg', a), b))
    agree(k, noise('f32', 16, 5), noise('f32', 16, 9))
  })

  test('dot and sum, wrapping', () => {
    const a = buffer('a', 'i16', [32])
    const b = buffer('b', 'i16', [32])
    const y = buffer('y', 'i32', [5], 'write')
    const values = (i: number) => loadLanes(a, I16X8, i)
    const k = kernel(
      'dot',
      [a, b, y],
      store(y, [0], op('dot', values(0), loadLanes(b, I16X8, 0))),
      store(y, [4], op('sum', op('wadd', op('dot', values(8), loadLanes(b, I16X8, 8)), splat(MAX, 4)))),
    )
    const [x, w] = [noise('i16', 32, 3), noise('i16', 32, 4)]
    for (const d of [x, w]) (d as Int16Array).fill(-32768, 0, 2)
    agree(k, x, w)
  })

  test('lanes that are rearranged, narrowed, and stored with their limits', () => {
    const a = buffer('a', 'i16', [32])
    const b = buffer('b', 'i32', [16])
    const y = buffer('y', 'i16', [48], 'write')
    const z = buffer('z', 'i8', [48], 'write')
    const eight = (value: number): Expr => ({ k: 'op', op: 'splat', args: [int(value)], type: I16X8 })
    const [p, q] = [loadLanes(a, I16X8, 0), loadLanes(a, I16X8, 8)]
    const [r, s] = [loadLanes(b, I32X4, 0), loadLanes(b, I32X4, 4)]
    const limited = (e: Expr, low: Expr, high: Expr) => op('min', op('max', e, low), high)
    const k = kernel(
      'rearranged',
      [a, b, y, z],
      store(y, [0], op('zipLow', p, q)),
      store(y, [8], op('zipHigh', p, q)),
      store(y, [16], op('narrow', r, s)),
      store(y, [24], op('halves', op('wadd', op('bits', p), r))),
      store(y, [32], limited(p, eight(-100), q)),
      store(y, [40], op('halves', splat(load(b, 9), 4))),
      store(z, [0], limited(p, eight(-128), eight(127))),
      store(z, [8], limited(p, eight(-128), eight(100))),
      store(z, [16], limited(r, splat(-128, 4), splat(127, 4))),
      store(z, [20], limited(op('shr', r, splat(20, 4)), splat(-128, 4), splat(127, 4))),
      store(z, [24], p),
      store(z, [32], limited(op('narrow', r, op('shr', s, splat(25, 4))), eight(-128), eight(127))),
    )
    agree(k, noise('i16', 32, 3), noise('i32', 16, 4))
    agree(
      k,
      Int16Array.from(noise('i16', 32, 3) as Int16Array, (v) => v >> 7),
      noise('i32', 16, 4),
    )
  })

  test('bytes that are zipped, narrowed, stored in parts and read at any place', () => {
    const a = buffer('a', 'i8', [64])
    const h = buffer('h', 'i16', [16])
    const y = buffer('y', 'i8', [128], 'write')
    const z = buffer('z', 'i32', [9], 'write')
    const [p, q] = [loadLanes(a, I8X16, 3), loadLanes(a, I8X16, 21)]
    const halves = (e: Expr) => op('halves', op('bits', e))
    const k = kernel(
      'bytes',
      [a, h, y, z],
      store(y, [1], op('zipLow', p, q)),
      store(y, [17], op('zipHigh', p, q)),
      store(y, [33], op('bytes', op('bits', op('zipLow', halves(p), halves(q))))),
      store(y, [49], op('narrowU', loadLanes(h, I16X8, 0), loadLanes(h, I16X8, 8))),
      ...[0, 1, 2, 3].map((i) => store(y, [66 + 5 * i], part(p, 4, i))),
      ...[0, 1].map((i) => store(y, [87 + 9 * i], part(q, 8, i))),
      store(y, [105], loadLanes(a, I8X4, 7)),
      store(z, [0], op('bits', q)),
      store(z, [4], splat(op('bits', loadLanes(a, I8X4, 5)), 4)),
      store(z, [8], op('bits', part(p, 4, 2))),
    )
    agree(
      k,
      noise('i8', 64, 5),
      Int16Array.from(noise('i16', 16, 6) as Int16Array, (v) => v >> 7),
    )
  })

  test('multiply-adds that round once, and truncation, where the engine has them', () => {
    if (!runsRelaxed()) return
    const a = buffer('a', 'f32', [96])
    const y = buffer('y', 'f32', [32], 'write')
    const w = buffer('w', 'i32', [32], 'write')
    const k = kernel(
      'fused',
      [a, y, w],
      loop('i', 8, (i) => {
        const at = (n: number) => loadLanes(a, F32X4, add(mul(i, 4), n))
        const sum = op('fma', at(0), at(32), at(64))
        return [store(y, [mul(i, 4)], sum), store(w, [mul(i, 4)], op('whole', sum))]
      }),
    )
    agree(k, noise('f32', 96, 8))
  })

  test('i16 lanes: splat, arithmetic', () => {
    const a = buffer('a', 'i8', [32])
    const z = buffer('z', 'i32', [1])
    const y = buffer('y', 'i16', [32], 'write')
    const zero: Expr = { k: 'op', op: 'splat', args: [load(z, 0)], type: I16X8 }
    const k = kernel(
      'centre',
      [a, z, y],
      loop('i', 4, (i) => {
        const x = loadLanes(a, I16X8, mul(i, 8))
        return store(y, [mul(i, 8)], op('neg', op('mul', op('sub', x, zero), op('add', x, zero))))
      }),
    )
    agree(k, noise('i8', 32), Int32Array.of(-128))
  })
})

describe('wasm kernels load and store', () => {
  const widths: [Elem, Type, Elem][] = [
    ['i8', I16X8, 'i8'],
    ['u8', I16X8, 'u8'],
    ['i16', I16X8, 'i8'],
    ['i8', I16X8, 'i16'],
    ['i8', I32X4, 'i32'],
    ['u8', I32X4, 'i32'],
    ['i16', I32X4, 'i32'],
    ['i32', I32X4, 'i8'],
    ['i32', I32X4, 'u8'],
    ['i32', I32X4, 'i16'],
    ['f32', F32X4, 'f32'],
    ['i64', I64X2, 'i64'],
    ['i8', { num: 'i32', lanes: 1 }, 'i32'],
    ['u8', { num: 'i32', lanes: 1 }, 'i32'],
    ['i16', { num: 'i32', lanes: 1 }, 'i32'],
    ['i32', { num: 'i32', lanes: 1 }, 'i8'],
    ['i32', { num: 'i32', lanes: 1 }, 'u8'],
    ['i32', { num: 'i32', lanes: 1 }, 'i16'],
  ]
  test.each(widths)('%s through %o into %s, one element past alignment', (from, type, to) => {
    const x = buffer('x', from, [25])
    const y = buffer('y', to, [25], 'write')
    const k = kernel(
      'copy',
      [x, y],
      loop('i', 24 / type.lanes, (i) =>
        store(y, [add(mul(i, type.lanes), 1)], loadLanes(x, type, add(mul(i, type.lanes), 1))),
      ),
    )
    agree(k, noise(from, 25))
  })

  test.each([
    ['i32', 4],
    ['f32', 4],
    ['i64', 2],
    ['i8', 4],
  ] as const)('a scalar of %s in every lane', (elem, lanes) => {
    const x = buffer('x', elem, [5])
    const y = buffer('y', elem === 'i8' ? 'i32' : elem, [5 * lanes], 'write')
    const k = kernel(
      'spread',
      [x, y],
      loop('i', 5, (i) => store(y, [mul(i, lanes)], splat(load(x, i), lanes))),
    )
    agree(k, noise(elem, 5))
  })
})

describe('wasm kernels address buffers', () => {
  test('a convolution with padding, stride and requantisation', () => {
    const [H, W, C, N, K] = [7, 6, 3, 5, 3]
    const [x, w] = [buffer('x', 'i8', [H, W, C]), buffer('w', 'i8', [N, K, K, C])]
    const [bias, mult, shift] = ['bias', 'mult', 'shift'].map((n) => buffer(n, 'i32', [N]))
    const q = buffer('q', 'i32', [2])
    const y = buffer('y', 'i8', [4, 3, N], 'write')
    const k = kernel(
      'conv2d',
      [x, w, bias, mult, shift, q, y],
      loop('oh', 4, (oh) =>
        loop('ow', 3, (ow) =>
          loop('n', N, (n) => {
            const [start, acc] = declare('acc', load(bias, n))
            return [
              start,
              loop('kh', K, (kh) => {
                const [row, ih] = declare('ih', sub(add(mul(oh, 2), kh), 1))
                return [
                  row,
                  when(
                    and(ge(ih, 0), lt(ih, H)),
                    loop('kw', K, (kw) => {
                      const [column, iw] = declare('iw', sub(add(mul(ow, 2), kw), 1))
                      const inside = and(ge(iw, 0), lt(iw, W))
                      const tap = loop('c', C, (c) =>
                        set(acc, add(acc, mul(sub(load(x, ih, iw, c), load(q, 0)), load(w, n, kh, kw, c)))),
                      )
                      return [column, when(inside, tap)]
                    }),
                  ),
                ]
              }),
              store(y, [oh, ow, n], clamp(add(requant(acc, load(mult, n), load(shift, n)), load(q, 1)), -128, 127)),
            ]
          }),
        ),
      ),
    )
    const out = agree(
      k,
      noise('i8', H * W * C),
      noise('i8', N * K * K * C, 7),
      new Int32Array(N).fill(99),
      new Int32Array(N).fill(1518500250),
      Int32Array.of(-5, -6, -7, -8, 1),
      Int32Array.of(-3, 4),
    )
    expect(new Set(out[6] as Int8Array).size).toBeGreaterThan(20)
  })

  test('constants before a buffer never wrap around the address space', () => {
    const x = buffer('x', 'i32', [4, 1])
    const y = buffer('y', 'i32', [4], 'write')
    const k = kernel(
      'shifted',
      [x, y],
      loop('i', 4, (i) => {
        const [start, acc] = declare('acc', 0)
        const taps = [-2, -1, 0, 1].map((d) =>
          when(and(ge(i, -d), lt(i, 4 - d)), set(acc, add(acc, load(x, add(i, d), 0)))),
        )
        return [start, ...taps, store(y, [i], acc)]
      }),
    )
    agree(k, Int32Array.of(1, 10, 100, 1000))
    const memory = new WebAssembly.Memory({ initial: 1 })
    new Int32Array(memory.buffer).set([1, 10, 100, 1000])
    const instance = new WebAssembly.Instance(new WebAssembly.Module(compileKernel(k) as BufferSource), {
      env: { memory },
    })
    ;(instance.exports.kernel as (x: number, y: number) => void)(0, 16)
    expect([...new Int32Array(memory.buffer, 16, 4)]).toEqual([11, 111, 1111, 1110])
  })

  test('indices out of a table, and registers that change', () => {
    const table = buffer('table', 'i32', [4])
    const x = buffer('x', 'f32', [5, 3])
    const y = buffer('y', 'f32', [4, 3], 'write')
    const k = kernel(
      'gather',
      [table, x, y],
      declare('at', 0)[0],
      declare('unread', 0)[0],
      set(ref('unread'), 1),
      loop('i', 4, (i) => {
        const [row, r] = declare('r', load(table, i))
        return [
          row,
          loop('j', 3, (j) =>
            store(y, [ref('at'), j], op('add', load(x, r, j), load(x, load(table, ref('at')), sub(2, j)))),
          ),
          set(ref('at'), add(ref('at'), 1)),
        ]
      }),
    )
    agree(k, Int32Array.of(4, 0, 3, 3), noise('f32', 15))
  })

  test('loops of extent 0 do nothing and of extent 1 run once', () => {
    const y = buffer('y', 'i32', [6], 'write')
    const k = kernel(
      'few',
      [y],
      loop('a', 0, (a) => store(y, [a], 7)),
      loop('b', 1, (b) => loop('c', 3, (c) => store(y, [add(mul(c, 2), b)], add(mul(b, 5), add(c, 1))))),
    )
    expect([...agree(k)[0]]).toEqual([1, 0, 2, 0, 3, 0])
  })

  test('any nest of loops touches the elements that the interpreter touches', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2 ** 30), { minLength: 400, maxLength: 400 }), (numbers) => {
        const k = nest(numbers)
        agree(k, ...k.bufs.slice(0, -1).map((b, i) => noise(b.elem, count(b.shape), i + 3)))
      }),
      { numRuns: 150, seed: 7 },
    )
  })
})

/** A random kernel: loops, sibling loops, guards and registers, whose accesses are sums of what is in scope. */
function nest(numbers: readonly number[]): Kernel {
  let next = 0
  const pick = (n: number) => (next < numbers.length ? numbers[next++] : 0) % n
  const bufs = (['i8', 'i32', 'i16'] as const).map((e, i) => ({ elem: e, name: `x${i}`, low: 0, high: 0 }))
  const y = { elem: 'i32' as const, name: 'y', low: 0, high: 0 }
  let names = 0
  /** What may be in an index, with its bounds. */
  type Term = { e: Expr; low: number; high: number }
  /** A sum of terms, and the condition that it is not negative where its bounds do not show that. */
  const index = (to: typeof y | (typeof bufs)[number], terms: readonly Term[]): [Expr, Expr[]] => {
    const constant = pick(9) - 4
    let e = int(constant)
    let [low, high] = [constant, constant]
    for (const t of terms) {
      const c = [0, 0, 1, 1, 2, 3, 6, -1, -2][pick(9)]
      e = add(e, mul(t.e, c))
      low += Math.min(c * t.low, c * t.high)
      high += Math.max(c * t.low, c * t.high)
    }
    const guarded = low < 0 && pick(2) === 1
    to.low = Math.min(to.low, guarded ? 0 : low)
    to.high = Math.max(to.high, high)
    return [e, guarded ? [ge(e, 0)] : []]
  }
  const access = (to: typeof y | (typeof bufs)[number], e: Expr): Expr => ({
    k: 'load',
    buf: to.name,
    at: [e],
    type: registerOf(to.elem),
  })
  const statements = (terms: readonly Term[], depth: number): Stmt[] =>
    Array.from({ length: 1 + pick(3) }, (): Stmt[] => {
      const kind = pick(depth < 4 ? 8 : 4)
      if (kind < 4) {
        const from = bufs[pick(3)]
        const [at, inside] = index(y, terms)
        const [source, known] = index(from, terms)
        const value = op('wadd', op('wmul', access(y, at), 3), access(from, source))
        const guards = [...inside, ...known]
        const write: Stmt = { s: 'store', buf: 'y', at: [at], value }
        return [
          guards.length > 0
            ? when(
                guards.reduce((a, b) => and(a, b)),
                write,
              )
            : write,
        ]
      }
      if (kind === 4 && terms.length > 0) {
        const [a, b] = [terms[pick(terms.length)], terms[pick(terms.length)]]
        const cond = lt(op('and', op('wadd', a.e, b.e), 3), 1 + pick(3))
        return [when(cond, statements(terms, depth + 1), pick(2) ? statements(terms, depth + 1) : undefined)]
      }
      if (kind === 5 && terms.length > 0) {
        const a = terms[pick(terms.length)]
        const name = `r${names++}`
        const made: Term[] = [
          { e: add(mul(a.e, 2), 3), low: 2 * a.low + 3, high: 2 * a.high + 3 },
          { e: max(sub(a.e, 1), 0), low: 0, high: Math.max(a.high - 1, 0) },
          { e: op('and', a.e, 1), low: 0, high: 1 },
        ]
        const t = made[pick(3)]
        if (pick(2)) return statements([...terms, t], depth + 1)
        const declared = declare(name, t.e)[0]
        return [declared, ...statements([...terms, { ...t, e: ref(name) }], depth + 1)]
      }
      const v = `v${names++}`
      const extent = [1, 2, 3, 5][pick(4)]
      return [loop(v, extent, (e) => statements([...terms, { e, low: 0, high: extent - 1 }], depth + 1))]
    }).flat()
  const body = statements([], 0)
  const all = [...bufs, y]
  const shift = new Map(all.map((b) => [b.name, b.low]))
  const move = (e: Expr): Expr => {
    if (e.k === 'load') return { ...e, at: [sub(move(e.at[0]), expr(shift.get(e.buf) ?? 0))] }
    return e.k === 'op' ? { ...e, args: e.args.map(move) } : e
  }
  const moved = (s: Stmt): Stmt => {
    switch (s.s) {
      case 'block':
        return { ...s, body: s.body.map(moved) }
      case 'for':
        return { ...s, body: moved(s.body) }
      case 'store':
        return { ...s, at: [sub(s.at[0], shift.get(s.buf) ?? 0)], value: move(s.value) }
      case 'if':
        return { ...s, body: moved(s.body), ...(s.else && { else: moved(s.else) }) }
      default:
        return s
    }
  }
  return kernel(
    'nest',
    all.map((b) => buffer(b.name, b.elem, [b.high - b.low + 1], b.name === 'y' ? 'write' : 'read')),
    ...body.map(moved),
  )
}

test('a float constant keeps its bits', () => {
  const y = buffer('y', 'f32', [3], 'write')
  const values = [-0, 1e-45, 0.1]
  agree(kernel('constants', [y], ...values.map((v, i) => store(y, [i], float(v)))))
})
