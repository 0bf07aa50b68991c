// Small loop nests of the forms that operators have, with random sizes, and random data for them.

import fc from 'fast-check'
import {
  add,
  and,
  buffer,
  clamp,
  declare,
  float,
  ge,
  kernel,
  load,
  loop,
  loops,
  lt,
  mul,
  op,
  parallel,
  requant,
  set,
  store,
  sub,
  when,
} from '../../src/loops/build.ts'
import { count, type Data, type Expr, type Kernel, newData } from '../../src/loops/ir.ts'

function random(seed: number): () => number {
  let s = seed | 1
  return () => {
    s ^= s << 13
    s ^= s >>> 17
    s ^= s << 5
    return s >>> 0
  }
}

/** One array for each buffer that is not scratch. Buffers named m, s and z hold multipliers, shifts and zero points. */
export function dataFor(kernel: Kernel, seed: number): Data[] {
  const next = random(seed)
  const value: Record<string, () => number> = {
    m: () => 2 ** 30 + (next() % 2 ** 30),
    s: () => -(next() % 12),
    z: () => (next() % 256) - 128,
  }
  return kernel.bufs
    .filter((b) => b.access !== 'scratch')
    .map((b) => {
      const data = newData(b.elem, count(b.shape))
      const draw =
        value[b.name] ??
        (b.elem === 'f32'
          ? () => Math.fround((next() % 2001) / 1000 - 1)
          : b.elem === 'i32'
            ? () => (next() % 2001) - 1000
            : () => (next() % 256) - 128)
      for (let i = 0; i < data.length; i++) data[i] = draw()
      return data
    })
}

export interface ConvSize {
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly outputs: number
  readonly window: number
  readonly stride: number
  readonly pad: number
  readonly elem: 'i8' | 'f32'
  readonly wraps: boolean
}

const outSize = (n: number, s: ConvSize) => Math.floor((n + 2 * s.pad - s.window) / s.stride) + 1

function inWindow(
  s: ConvSize,
  oh: Expr,
  ow: Expr,
  tap: (ih: Expr, iw: Expr, kh: Expr, kw: Expr) => ReturnType<typeof set>,
) {
  return loop('kh', s.window, (kh) => {
    const [letH, ih] = declare('ih', add(add(mul(oh, s.stride), kh), -s.pad))
    return [
      letH,
      when(
        and(ge(ih, 0), lt(ih, s.height)),
        loop('kw', s.window, (kw) => {
          const iw = add(add(mul(ow, s.stride), kw), -s.pad)
          return when(and(ge(iw, 0), lt(iw, s.width)), tap(ih, iw, kh, kw))
        }),
      ),
    ]
  })
}

/** x (H, W, C) * w (O, KH, KW, C) + b (O): int8 with zero point and requantise, or float32. */
export function conv(s: ConvSize): Kernel {
  const shape = [outSize(s.height, s), outSize(s.width, s), s.outputs]
  const x = buffer('x', s.elem, [s.height, s.width, s.channels])
  const w = buffer('w', s.elem, [s.outputs, s.window, s.window, s.channels])
  const y = buffer('y', s.elem, shape, 'write')
  const b = buffer('b', s.elem === 'i8' ? 'i32' : 'f32', [s.outputs])
  const m = buffer('m', 'i32', [s.outputs])
  const sh = buffer('s', 'i32', [s.outputs])
  const z = buffer('z', 'i32', [1])
  const plus = s.wraps && s.elem === 'i8' ? 'wadd' : 'add'
  const [letZ, zero] = declare('zero', load(z, 0))
  const body = loops(['oh', 'ow', 'n'], shape, (oh, ow, n) => {
    const [start, acc] = declare('acc', load(b, n))
    const step = (ih: Expr, iw: Expr, kh: Expr, kw: Expr) =>
      loop('c', s.channels, (c) => {
        const from = load(x, ih, iw, c)
        return set(acc, op(plus, acc, mul(s.elem === 'i8' ? sub(from, zero) : from, load(w, n, kh, kw, c))))
      })
    const result = s.elem === 'i8' ? clamp(add(requant(acc, load(m, n), load(sh, n)), -3), -128, 127) : acc
    return [start, inWindow(s, oh, ow, step), store(y, [oh, ow, n], result)]
  })
  return s.elem === 'i8' ? kernel('conv', [x, w, b, m, sh, z, y], letZ, body) : kernel('conv', [x, w, b, y], body)
}

/** x (H, W, C), w (KH, KW, C): one sum for each channel. */
export function depthwise(s: ConvSize): Kernel {
  const shape = [outSize(s.height, s), outSize(s.width, s), s.channels]
  const x = buffer('x', s.elem, [s.height, s.width, s.channels])
  const w = buffer('w', s.elem, [s.window, s.window, s.channels])
  const y = buffer('y', s.elem, shape, 'write')
  const m = buffer('m', 'i32', [s.channels])
  const sh = buffer('s', 'i32', [s.channels])
  const body = loops(['oh', 'ow', 'c'], shape, (oh, ow, c) => {
    const [start, acc] = declare('acc', s.elem === 'i8' ? 0 : float(0))
    const step = (ih: Expr, iw: Expr, kh: Expr, kw: Expr) =>
      set(acc, add(acc, mul(load(x, ih, iw, c), load(w, kh, kw, c))))
    const result = s.elem === 'i8' ? clamp(requant(acc, load(m, c), load(sh, c)), -128, 127) : acc
    return [start, inWindow(s, oh, ow, step), store(y, [oh, ow, c], result)]
  })
  return kernel('depthwise', s.elem === 'i8' ? [x, w, m, sh, y] : [x, w, y], body)
}

export interface MatmulSize {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  readonly elem: 'i8' | 'u8' | 'i16'
  readonly offset: 'none' | 'constant' | 'register' | 'both'
}

/** a (M, K) * w (N, K), requantised to int8. */
export function matmul(s: MatmulSize): Kernel {
  const a = buffer('a', s.elem, [s.rows, s.depth])
  const w = buffer('w', s.elem === 'u8' ? 'u8' : 'i8', [s.columns, s.depth])
  const m = buffer('m', 'i32', [s.columns])
  const sh = buffer('s', 'i32', [s.columns])
  const z = buffer('z', 'i32', [2])
  const y = buffer('y', 'i8', [s.rows, s.columns], 'write')
  const [letZ, zero] = declare('zero', load(z, 0))
  const body = loops(['m_', 'n'], [s.rows, s.columns], (i, n) => {
    const [start, acc] = declare('acc', 5)
    const step = loop('k', s.depth, (k) => {
      const [letA, from] = declare('av', load(a, i, k))
      const moved = { none: from, constant: sub(from, 17), register: sub(from, zero), both: sub(from, zero) }[s.offset]
      const by = s.offset === 'both' ? add(load(w, n, k), load(z, 1)) : load(w, n, k)
      return [letA, set(acc, add(mul(moved, by), acc))]
    })
    return [start, step, store(y, [i, n], clamp(requant(acc, load(m, n), load(sh, n)), -128, 127))]
  })
  return kernel('matmul', [a, w, m, sh, z, y], letZ, body)
}

/** y = max(x * g + h, 0) over rows of n elements, with a sum of each row whose g is negative. */
export function elementwise(rows: number, n: number): Kernel {
  const x = buffer('x', 'f32', [rows, n])
  const g = buffer('g', 'f32', [rows])
  const h = buffer('h', 'f32', [n])
  const y = buffer('y', 'f32', [rows, n + 1], 'write')
  const total = buffer('t', 'f32', [rows], 'write')
  return kernel(
    'elementwise',
    [x, g, h, y, total],
    parallel('r', rows, (r) => {
      const [start, sum] = declare('sum', float(0))
      return [
        start,
        parallel('i', n, (i) => {
          const [letI, to] = declare('to', add(i, 1))
          const [letV, v] = declare('val', add(mul(load(x, r, i), load(g, r)), load(h, i)))
          const positive = op('select', lt(v, float(0)), float(0), v)
          return [letI, letV, store(y, [r, to], positive)]
        }),
        loop('j', n, (j) => when(lt(load(g, r), float(0)), set(sum, add(sum, load(x, r, j))))),
        store(y, [r, 0], float(1)),
        store(total, [r], sum),
      ]
    }),
  )
}

/** Sums along rows that are added to an output in place, at a place that a register counts. */
export function running(rows: number, n: number): Kernel {
  const x = buffer('x', 'i8', [rows, n])
  const w = buffer('w', 'i32', [n])
  const y = buffer('y', 'i32', [rows, n], 'write')
  return kernel(
    'running',
    [x, w, y],
    parallel('r', rows, (r) => {
      const [startSum, sum] = declare('sum', 0)
      const [startNext, next] = declare('next', 0)
      const step = loop('j', n, (j) => {
        const [letAt, at] = declare('at', next)
        const [letBefore, before] = declare('before', mul(sum, 2))
        return [
          letAt,
          letBefore,
          set(next, add(next, 1)),
          set(sum, add(sum, mul(load(x, r, at), load(w, j)))),
          when(
            lt(load(y, r, at), 0),
            store(y, [r, at], add(load(y, r, at), before)),
            store(y, [r, at], op('xor', sum, load(y, r, at))),
          ),
        ]
      })
      return [startSum, startNext, step, store(y, [r, 0], sub(load(y, r, n - 1), sum))]
    }),
  )
}

const size = (max: number, min = 1) => fc.integer({ min, max })

export const convSize: fc.Arbitrary<ConvSize> = fc
  .record({
    height: size(5),
    width: size(6),
    channels: size(19),
    outputs: size(9),
    window: size(3),
    stride: size(2),
    pad: size(1, 0),
    elem: fc.constantFrom('i8' as const, 'f32' as const),
    wraps: fc.boolean(),
  })
  .filter((s) => s.height + 2 * s.pad >= s.window && s.width + 2 * s.pad >= s.window)

export const matmulSize: fc.Arbitrary<MatmulSize> = fc
  .record({
    rows: size(5),
    columns: size(9),
    depth: size(35),
    elem: fc.constantFrom('i8' as const, 'u8' as const, 'i16' as const),
    offset: fc.constantFrom('none' as const, 'constant' as const, 'register' as const, 'both' as const),
  })
  .map((s) => (s.elem === 'i16' ? { ...s, offset: 'none' as const } : s))

export const anyKernel: fc.Arbitrary<Kernel> = fc.oneof(
  convSize.map(conv),
  convSize.map(depthwise),
  matmulSize.map(matmul),
  fc.tuple(size(4), size(13)).map(([rows, n]) => elementwise(rows, n)),
  fc.tuple(size(4), size(11)).map(([rows, n]) => running(rows, n)),
)
