import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  add,
  buffer,
  declare,
  kernel,
  load,
  loop,
  lt,
  mul,
  op,
  parallel,
  type ref,
  set,
  store,
  sub,
  when,
} from '../../src/loops/build.ts'
import { runKernel } from '../../src/loops/interpret.ts'
import type { Data, Elem, Expr, Kernel } from '../../src/loops/ir.ts'
import { reduceLanes, vectorize } from '../../src/loops/lanes.ts'
import { type PackDim, pack, stage } from '../../src/loops/layout.ts'
import { printKernel } from '../../src/loops/print.ts'
import { interchange, split, unroll, unrollJam, unswitch } from '../../src/loops/schedule.ts'
import { validate } from '../../src/loops/validate.ts'
import { findLoop, loopNames, visit } from '../../src/loops/walk.ts'
import { anyKernel, conv, convSize, dataFor, depthwise, elementwise, matmul, matmulSize } from './nests.ts'

interface Program {
  readonly kernel: Kernel
  /** How the data of each buffer is laid out for this kernel. */
  readonly layout: ReadonlyMap<string, (data: Data) => Data>
}

const plain = (k: Kernel): Program => ({ kernel: k, layout: new Map() })

function outputs(program: Program, reference: Kernel, seed: number): string {
  const data = dataFor(reference, seed)
  const rest = reference.bufs.filter((b) => b.access !== 'scratch')
  const args = rest.map((b, i) => program.layout.get(b.name)?.(data[i]) ?? data[i])
  runKernel(program.kernel, args)
  return rest.map((b, i) => (b.access === 'write' ? bytes(args[i]) : '')).join(' ')
}

function bytes(data: Data): string {
  return [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)].join(',')
}

/** The scheduled kernel is well formed and computes the same bytes. */
function same(reference: Kernel, scheduled: Kernel | Program, seed = 7): void {
  const program = 'kernel' in scheduled ? scheduled : plain(scheduled)
  validate(program.kernel)
  const want = outputs(plain(reference), reference, seed)
  const got = outputs(program, reference, seed)
  if (got !== want) expect.fail(`another result than\n${printKernel(reference)}\n---\n${printKernel(program.kernel)}`)
}

/** The value, which a schedule that applies must have given. */
function given<T>(value: T | undefined, k: Kernel): T {
  if (value === undefined) throw new Error(`did not apply to\n${printKernel(k)}`)
  return value
}

function has(k: Kernel, test: (text: string) => boolean): boolean {
  return printKernel(k).split('\n').some(test)
}

const RUNS = { numRuns: 120 }
const small = fc.integer({ min: 1, max: 5 })

describe('each schedule computes the same bytes as the plain loops', () => {
  test('split, every loop, with and without a remainder', () => {
    fc.assert(
      fc.property(anyKernel, fc.nat(), small, (k, pick, factor) => {
        const names = loopNames(k)
        const v = names[pick % names.length]
        const done = split(k, v, factor)
        const { extent } = findLoop(k, v)!
        expect(done !== undefined).toBe(factor <= extent)
        if (!done) return
        expect(findLoop(done, `${v}_r`)?.extent ?? 0).toBe(extent % factor)
        same(k, done)
      }),
      RUNS,
    )
  })

  test('interchange', () => {
    fc.assert(
      fc.property(convSize.map(conv), fc.constantFrom('oh', 'ow'), (k, outer) => {
        const done = given(interchange(k, outer), k)
        expect(loopNames(done)).not.toEqual(loopNames(k))
        same(k, done)
      }),
      RUNS,
    )
  })

  test('unroll, every loop', () => {
    fc.assert(
      fc.property(anyKernel, fc.nat(), (k, pick) => {
        const names = loopNames(k)
        const v = names[pick % names.length]
        const done = given(unroll(k, v), k)
        expect(findLoop(done, v)).toBeUndefined()
        same(k, done)
      }),
      RUNS,
    )
  })

  test('unrollJam, every parallel loop', () => {
    fc.assert(
      fc.property(anyKernel, fc.nat(), small, (k, pick, factor) => {
        const names = loopNames(k).filter((v) => findLoop(k, v)!.parallel && findLoop(k, v)!.extent >= factor)
        fc.pre(names.length > 0)
        same(k, given(unrollJam(k, names[pick % names.length], factor), k))
      }),
      RUNS,
    )
  })

  test('unrollJam of two loops: a register tile', () => {
    fc.assert(
      fc.property(matmulSize.map(matmul), small, small, (k, rows, columns) => {
        const [M, N] = [findLoop(k, 'm_')!.extent, findLoop(k, 'n')!.extent]
        fc.pre(rows <= M && columns <= N)
        same(k, given(unrollJam(given(unrollJam(k, 'n', columns), k), 'm_', rows), k))
      }),
      RUNS,
    )
  })

  test('vectorize over channels of a depthwise convolution', () => {
    fc.assert(
      fc.property(convSize.filter((s) => s.channels >= 4).map(depthwise), (k) => {
        const done = given(vectorize(k, 'c', 4), k)
        expect(has(done, (line) => /acc = .*x4/.test(line))).toBe(true)
        same(k, done)
      }),
      RUNS,
    )
  })

  test('vectorize with comparisons, select and an index register', () => {
    fc.assert(
      fc.property(small, fc.integer({ min: 4, max: 13 }), (rows, n) => {
        const k = elementwise(rows, n)
        same(k, given(vectorize(k, 'i', 4), k))
      }),
      RUNS,
    )
  })

  test('packed weights, then vectorize over output channels, then jam pixels', () => {
    fc.assert(
      fc.property(
        convSize.filter((s) => s.outputs >= 4),
        fc.boolean(),
        (s, jam) => {
          const k = conv(s)
          const packed = given(pack(k, 'w', [1, 2, 3, 0]), k)
          const layout = new Map([['w', packed.pack]])
          const wide = given(vectorize(packed.kernel, 'n', 4), packed.kernel)
          expect(has(wide, (line) => /w\[kh, kw, c, .*x4/.test(line))).toBe(true)
          const width = findLoop(wide, 'ow')!.extent
          same(k, { kernel: jam && width > 1 ? given(unrollJam(wide, 'ow', 2), wide) : wide, layout })
        },
      ),
      RUNS,
    )
  })

  test('weights in blocks of four channels, channels split alike', () => {
    const dims: PackDim[] = [{ dim: 0, by: 4, part: 'outer' }, 1, 2, 3, { dim: 0, by: 4, part: 'inner' }]
    fc.assert(
      fc.property(
        convSize.filter((s) => s.outputs >= 4),
        (s) => {
          const k = conv(s)
          const cut = given(split(k, 'n', 4), k)
          const packed = given(pack(cut, 'w', dims), cut)
          expect(packed.kernel.bufs[1].shape).toEqual([Math.ceil(s.outputs / 4), s.window, s.window, s.channels, 4])
          const layout = new Map([['w', packed.pack]])
          same(k, { kernel: packed.kernel, layout })
          same(k, { kernel: given(vectorize(packed.kernel, 'n_i', 4), packed.kernel), layout })
        },
      ),
      RUNS,
    )
  })

  test('reduceLanes in a convolution, alone and as a register tile', () => {
    fc.assert(
      fc.property(
        convSize.filter((s) => s.channels >= 8 && s.elem === 'i8'),
        fc.integer({ min: 1, max: 3 }),
        (s, factor) => {
          const k = conv(s)
          const done = given(reduceLanes(k, 'c'), k)
          expect(has(done, (line) => /dot\(/.test(line))).toBe(true)
          expect(has(done, (line) => /^ {8}acc = \(acc \+% sum\(acc_v\)\)/.test(line))).toBe(true)
          same(k, done)
          if (factor > s.outputs) return
          same(k, given(unrollJam(done, 'n', factor), done))
        },
      ),
      RUNS,
    )
  })

  test('reduceLanes of i8, u8 and i16 with offsets on one side, both or none', () => {
    fc.assert(
      fc.property(
        matmulSize.filter((s) => s.depth >= 8),
        (s) => {
          const k = matmul(s)
          same(k, given(reduceLanes(k, 'k'), k))
        },
      ),
      RUNS,
    )
  })

  test('reduceLanes after a jam: several accumulators in one loop', () => {
    fc.assert(
      fc.property(
        matmulSize.filter((s) => s.depth >= 8 && s.columns >= 2),
        (s) => {
          const k = matmul(s)
          const tile = given(unrollJam(k, 'n', 2), k)
          const done = given(reduceLanes(tile, 'k'), tile)
          expect(has(done, (line) => /acc_1_v = /.test(line))).toBe(true)
          same(k, done)
        },
      ),
      RUNS,
    )
  })

  test('stage a window with padding, at every loop, widened or not', () => {
    const loopsOfConv = fc.constantFrom('oh', 'ow', 'n', 'kh', 'kw', 'c')
    fc.assert(
      fc.property(convSize, loopsOfConv, fc.boolean(), (s, v, widen) => {
        const k = conv(s)
        const elem: Elem = s.elem === 'f32' ? 'f32' : widen ? 'i16' : 'i8'
        const { kernel: done, scratch } = given(stage(k, v, 'x', elem), k)
        expect(scratch.shape.length).toBe(3)
        expect(has(done, (line) => /acc = /.test(line) && /x_s\[/.test(line))).toBe(true)
        same(k, done)
      }),
      RUNS,
    )
  })

  test('stage widened input, then reduce it in lanes', () => {
    fc.assert(
      fc.property(
        convSize.filter((s) => s.channels >= 8 && s.elem === 'i8'),
        (s) => {
          const k = depthless(s.channels, s.outputs)
          const { kernel: staged } = given(stage(k, 'n', 'x', 'i16'), k)
          const done = given(reduceLanes(staged, 'k'), staged)
          expect(has(done, (line) => /dot\(x_s\[0, .*i16x8/.test(line))).toBe(true)
          same(k, done)
        },
      ),
      RUNS,
    )
  })

  test('unswitch of every condition inside a loop', () => {
    fc.assert(
      fc.property(small, small, fc.boolean(), (n, bound, both) => {
        const x = buffer('x', 'i32', [4])
        const y = buffer('y', 'i32', [4, n], 'write')
        const k = kernel(
          'k',
          [x, y],
          loop('i', 4, (i) =>
            loop('j', n, (j) =>
              when(
                lt(load(x, i), bound * 100),
                store(y, [i, j], add(j, 1)),
                both ? store(y, [i, j], load(x, i)) : undefined,
              ),
            ),
          ),
        )
        const done = given(unswitch(k, 'j'), k)
        expect(loopNames(done)).toEqual(both ? ['i', 'j', 'j_2'] : ['i', 'j'])
        same(k, done, n + bound)
      }),
      RUNS,
    )
  })

  test('any chain of schedules', () => {
    const step = fc.record({
      kind: fc.constantFrom(
        'split',
        'interchange',
        'unroll',
        'jam',
        'vectorize',
        'reduce',
        'stage',
        'unswitch',
        'pack',
      ),
      loop: fc.nat(),
      buf: fc.nat(),
      factor: fc.integer({ min: 1, max: 4 }),
    })
    const applied = new Map<string, number>()
    fc.assert(
      fc.property(anyKernel, fc.array(step, { minLength: 2, maxLength: 6 }), fc.nat(), (reference, steps, seed) => {
        let k = reference
        const layout = new Map<string, (data: Data) => Data>()
        for (const s of steps) {
          const names = loopNames(k)
          if (names.length === 0) break
          const v = names[s.loop % names.length]
          const buf = k.bufs[s.buf % k.bufs.length]
          let next: Kernel | undefined
          if (s.kind === 'split') next = split(k, v, s.factor)
          if (s.kind === 'interchange') next = interchange(k, v)
          if (s.kind === 'unroll' && findLoop(k, v)!.extent <= 6) next = unroll(k, v)
          if (s.kind === 'jam') next = unrollJam(k, v, s.factor)
          if (s.kind === 'vectorize') next = vectorize(k, v, 4)
          if (s.kind === 'reduce') next = reduceLanes(k, v)
          if (s.kind === 'unswitch') next = unswitch(k, v)
          if (s.kind === 'stage')
            next = stage(k, v, buf.name, buf.elem === 'i8' && s.factor > 2 ? 'i16' : buf.elem)?.kernel
          if (s.kind === 'pack') {
            const packed = pack(k, buf.name, buf.shape.map((_, d) => d).reverse())
            if (packed) {
              const before = layout.get(buf.name)
              layout.set(buf.name, (data) => packed.pack(before ? before(data) : data))
              next = packed.kernel
            }
          }
          if (!next) continue
          applied.set(s.kind, (applied.get(s.kind) ?? 0) + 1)
          k = next
          if (printKernel(k).length > 20_000) break
        }
        same(reference, { kernel: k, layout }, seed)
      }),
      { numRuns: 1000 },
    )
    expect([...applied.keys()].sort()).toEqual(
      ['split', 'interchange', 'unroll', 'jam', 'vectorize', 'reduce', 'stage', 'unswitch', 'pack'].sort(),
    )
  })
})

/** x (1, K) * w (N, K) without a zero point. */
function depthless(depth: number, columns: number): Kernel {
  const x = buffer('x', 'i8', [1, depth])
  const w = buffer('w', 'i8', [columns, depth])
  const y = buffer('y', 'i32', [columns], 'write')
  return kernel(
    'product',
    [x, w, y],
    parallel('n', columns, (n) => {
      const [start, acc] = declare('acc', 0)
      return [start, loop('k', depth, (k) => set(acc, add(acc, mul(load(x, 0, k), load(w, n, k))))), store(y, [n], acc)]
    }),
  )
}

describe('a schedule that does not apply says so', () => {
  const x = buffer('x', 'i32', [8])
  const y = buffer('y', 'i32', [8], 'write')
  const t = buffer('t', 'i32', [8], 'scratch')

  test('loops that are not there, or not parallel', () => {
    const k = kernel(
      'k',
      [x, y],
      loop('i', 8, (i) => store(y, [i], load(x, i))),
    )
    expect(split(k, 'none', 2)).toBeUndefined()
    expect(unroll(k, 'none')).toBeUndefined()
    expect(unrollJam(k, 'i', 2)).toBeUndefined()
    expect(vectorize(k, 'i', 4)).toBeUndefined()
    expect(interchange(k, 'i')).toBeUndefined()
    const inner = kernel(
      'k',
      [x, y],
      loop('i', 7, (i) => parallel('j', 1, (j) => store(y, [add(add(i, j), 1)], load(y, i)))),
    )
    expect(interchange(inner, 'i')).toBeUndefined()
    expect(unswitch(k, 'i')).toBeUndefined()
  })

  test('iterations that share a register or scratch are not interleaved', () => {
    const [start, acc] = declare('acc', 0)
    const register = kernel(
      'k',
      [x, y],
      start,
      parallel('i', 8, (i) => set(acc, add(acc, load(x, i)))),
      store(y, [0], acc),
    )
    expect(unrollJam(register, 'i', 2)).toBeUndefined()
    const shared = kernel(
      'k',
      [x, t, y],
      parallel('i', 8, (i) => [store(t, [0], load(x, i)), store(y, [i], load(t, 0))]),
    )
    expect(unrollJam(shared, 'i', 2)).toBeUndefined()
    expect(vectorize(shared, 'i', 4)).toBeUndefined()
    const own = kernel(
      'k',
      [x, t, y],
      parallel('i', 8, (i) => [store(t, [i], load(x, i)), store(y, [i], load(t, i))]),
    )
    expect(unrollJam(own, 'i', 2)).toBeDefined()
    same(own, vectorize(own, 'i', 4)!)
  })

  test('loops around staged scratch are no longer parallel', () => {
    const k = conv({
      height: 3,
      width: 4,
      channels: 3,
      outputs: 2,
      window: 2,
      stride: 1,
      pad: 0,
      elem: 'f32',
      wraps: false,
    })
    const staged = stage(k, 'n', 'x', 'f32')!.kernel
    expect(findLoop(staged, 'oh')!.parallel ?? false).toBe(false)
    expect(findLoop(staged, 'n')!.parallel).toBe(true)
    expect(unrollJam(staged, 'ow', 2)).toBeUndefined()
  })

  test('lanes along a stride, on the loop variable as a number, or under a condition that differs by lane', () => {
    const wide = buffer('wide', 'i32', [16])
    const strided = kernel(
      'k',
      [wide, y],
      parallel('i', 8, (i) => store(y, [i], load(wide, mul(i, 2)))),
    )
    expect(vectorize(strided, 'i', 4)).toBeUndefined()
    expect(
      vectorize(
        kernel(
          'k',
          [y],
          parallel('i', 8, (i) => store(y, [i], i)),
        ),
        'i',
        4,
      ),
    ).toBeUndefined()
    const guarded = kernel(
      'k',
      [x, y],
      parallel('i', 8, (i) => when(lt(i, 5), store(y, [i], load(x, i)))),
    )
    expect(vectorize(guarded, 'i', 4)).toBeUndefined()
    const gathered = kernel(
      'k',
      [x, y],
      parallel('i', 8, (i) => store(y, [i], load(x, load(x, i)))),
    )
    expect(vectorize(gathered, 'i', 4)).toBeUndefined()
    const table = buffer('table', 'i32', [8, 8])
    const rows = kernel(
      'k',
      [x, table, y],
      parallel('i', 8, (i) => {
        const [letRow, row] = declare('row', load(x, i))
        return [letRow, store(y, [i], load(table, row, i))]
      }),
    )
    expect(vectorize(rows, 'i', 4)).toBeUndefined()
  })

  test('reductions that are short, of floats, offset in i16, or not sums of products', () => {
    const of = (elem: Elem, depth: number, square: boolean, offset: boolean) => {
      const a = buffer('a', elem, [depth])
      const out = buffer('o', elem === 'f32' ? 'f32' : 'i32', [1], 'write')
      const from = (k: ReturnType<typeof ref>) => (offset ? add(load(a, k), 1) : load(a, k))
      const [start, acc] = declare('acc', elem === 'f32' ? op('toF32', 0) : 0)
      const body = loop('k', depth, (k) => set(acc, add(acc, square ? mul(from(k), load(a, k)) : load(a, k))))
      return kernel('k', [a, out], start, body, store(out, [0], acc))
    }
    expect(reduceLanes(of('i8', 8, true, true), 'k')).toBeDefined()
    expect(reduceLanes(of('i16', 8, true, false), 'k')).toBeDefined()
    expect(reduceLanes(of('i16', 8, true, true), 'k')).toBeUndefined()
    expect(reduceLanes(of('i8', 7, true, false), 'k')).toBeUndefined()
    expect(reduceLanes(of('i8', 8, false, false), 'k')).toBeUndefined()
    expect(reduceLanes(of('i32', 8, true, false), 'k')).toBeUndefined()
    expect(reduceLanes(of('f32', 8, true, false), 'k')).toBeUndefined()
  })

  test('the sum of lanes waits no longer than the accumulator is used otherwise', () => {
    const a = buffer('a', 'i8', [2, 9])
    const out = buffer('o', 'i32', [2], 'write')
    const [start, acc] = declare('acc', 0)
    const k = kernel(
      'k',
      [a, out],
      start,
      loop('r', 2, (r) => [
        loop('c', 9, (c) => set(acc, add(acc, mul(load(a, r, c), load(a, r, c))))),
        store(out, [r], acc),
      ]),
    )
    const done = reduceLanes(k, 'c')!
    same(k, done)
    expect(printKernel(done)).toMatchInlineSnapshot(`
      "kernel k(read a: i8[2, 9]; write o: i32[2])
        let acc: i32 = 0
        for r in 2
          let acc_v: i32x4 = i32x4(0)
          for c_o in 1
            acc_v = (acc_v +% dot(a[r, (c_o * 8)]:i16x8, a[r, (c_o * 8)]:i16x8))
          for c_r in 1
            acc = (acc + (a[r, (c_r + 8)] * a[r, (c_r + 8)]))
          acc = (acc +% sum(acc_v))
          o[r] = acc"
    `)
  })

  test('an offset that is declared inside the reduction is splatted there', () => {
    const a = buffer('a', 'i8', [3, 9])
    const zeros = buffer('z', 'i32', [3])
    const out = buffer('o', 'i32', [1], 'write')
    const [start, acc] = declare('acc', 0)
    const k = kernel(
      'k',
      [a, zeros, out],
      start,
      loop('r', 3, (r) => {
        const [letZero, zero] = declare('zero', load(zeros, r))
        const product = (c: Expr) => mul(sub(load(a, r, c), zero), load(a, r, c))
        return [letZero, loop('c', 9, (c) => set(acc, add(acc, product(c))))]
      }),
      store(out, [0], acc),
    )
    same(k, given(reduceLanes(k, 'c'), k))
  })

  test('conditions that depend on the loop stay inside', () => {
    const k = (cond: 'v' | 'load' | 'free') =>
      kernel(
        'k',
        [x, y],
        loop('i', 8, (i) => when(lt({ v: i, load: load(y, 0), free: load(x, 0) }[cond], 3), store(y, [i], 5))),
      )
    expect(unswitch(k('v'), 'i')).toBeUndefined()
    expect(unswitch(k('load'), 'i')).toBeUndefined()
    expect(unswitch(k('free'), 'i')).toBeDefined()
  })

  test('blocks that an index crosses, and buffers that are written', () => {
    const k = kernel(
      'k',
      [x, y],
      loop('i', 8, (i) => store(y, [i], load(x, i))),
    )
    const blocks: PackDim[] = [
      { dim: 0, by: 4, part: 'outer' },
      { dim: 0, by: 4, part: 'inner' },
    ]
    expect(pack(k, 'x', blocks)).toBeUndefined()
    expect(pack(k, 'y', [0])).toBeUndefined()
    expect(pack(split(k, 'i', 4)!, 'x', blocks)).toBeDefined()
    expect(pack(split(k, 'i', 3)!, 'x', blocks)).toBeUndefined()
    expect(() => pack(k, 'x', [0, 0])).toThrow(/not placed once/)
    expect(() => pack(k, 'x', [0, 1])).toThrow(/beyond/)
  })

  test('a window that moves with a register that changes is not staged', () => {
    const [start, at] = declare('at', 0)
    const k = kernel(
      'k',
      [x, y],
      start,
      loop('i', 3, (i) => [store(y, [i], load(x, at)), set(at, add(at, 1))]),
    )
    expect(stage(k, 'i', 'x', 'i32')).toBeUndefined()
    expect(stage(k, 'i', 'y', 'i32')).toBeUndefined()
    const [letFrom, from] = declare('from', at)
    const before = kernel(
      'k',
      [x, y],
      start,
      letFrom,
      set(at, 7),
      loop('i', 3, (i) => store(y, [i], load(x, add(from, i)))),
    )
    same(before, given(stage(before, 'i', 'x', 'i32'), before).kernel)
  })

  test('loads that move apart have no common window', () => {
    const both = (stride: number) =>
      kernel(
        'k',
        [x, y],
        loop('i', 3, (i) => loop('j', 2, (j) => store(y, [i], op('xor', load(x, add(i, j)), load(x, mul(i, stride)))))),
      )
    expect(stage(both(2), 'j', 'x', 'i32')).toBeUndefined()
    same(both(1), given(stage(both(1), 'j', 'x', 'i32'), both(1)).kernel)
  })
})

test('pack transposes and fills the last block with zeros', () => {
  const x = buffer('x', 'i8', [3, 2])
  const y = buffer('y', 'i8', [1], 'write')
  const k = kernel('k', [x, y], store(y, [0], load(x, 2, 1)))
  const data = Int8Array.of(1, 2, 3, 4, 5, 6)
  expect([...(pack(k, 'x', [1, 0])!.pack(data) as Int8Array)]).toEqual([1, 3, 5, 2, 4, 6])
  const blocked = pack(k, 'x', [{ dim: 0, by: 2, part: 'outer' }, 1, { dim: 0, by: 2, part: 'inner' }])!
  expect([...(blocked.pack(data) as Int8Array)]).toEqual([1, 3, 2, 4, 5, 0, 6, 0])
  expect(printKernel(blocked.kernel)).toContain('x[1, 1, 0]')
})

test('a jam loads what its copies share once', () => {
  const k = matmul({ rows: 2, columns: 4, depth: 3, elem: 'i8', offset: 'none' })
  const tile = unrollJam(unrollJam(k, 'n', 2)!, 'm_', 2)!
  let loads = 0
  visit(
    findLoop(tile, 'k')!,
    () => {},
    (e) => {
      if (e.k === 'load') loads++
    },
  )
  expect(loads).toBe(4)
})

test('the printed form of a convolution by lanes and two channels', () => {
  const s = {
    height: 2,
    width: 2,
    channels: 10,
    outputs: 3,
    window: 2,
    stride: 1,
    pad: 0,
    elem: 'i8',
    wraps: false,
  } as const
  const done = unrollJam(reduceLanes(conv(s), 'c')!, 'n', 2)!
  expect(printKernel(done)).toMatchInlineSnapshot(`
    "kernel conv(read x: i8[2, 2, 10]; read w: i8[3, 2, 2, 10]; read b: i32[3]; read m: i32[3]; read s: i32[3]; read z: i32[1]; write y: i8[1, 1, 3])
      let zero: i32 = z[0]
      parallel oh in 1
        parallel ow in 1
          parallel n_o in 1
            let acc_0: i32 = b[(n_o * 2)]
            let acc_1: i32 = b[((n_o * 2) + 1)]
            let acc_v_0: i32x4 = i32x4(0)
            let acc_v_1: i32x4 = i32x4(0)
            let zero_v: i16x8 = i16x8(zero)
            for kh in 2
              let ih: i32 = (oh + kh)
              if ((ih >= 0) & (ih < 2))
                for kw in 2
                  if (((ow + kw) >= 0) & ((ow + kw) < 2))
                    for c_o in 1
                      let x_v: i16x8 = (x[ih, (ow + kw), (c_o * 8)]:i16x8 - zero_v)
                      acc_v_0 = (acc_v_0 +% dot(x_v, w[(n_o * 2), kh, kw, (c_o * 8)]:i16x8))
                      acc_v_1 = (acc_v_1 +% dot(x_v, w[((n_o * 2) + 1), kh, kw, (c_o * 8)]:i16x8))
                    for c_r in 2
                      let x_v_2: i32 = (x[ih, (ow + kw), (c_r + 8)] - zero)
                      acc_0 = (acc_0 + (x_v_2 * w[(n_o * 2), kh, kw, (c_r + 8)]))
                      acc_1 = (acc_1 + (x_v_2 * w[((n_o * 2) + 1), kh, kw, (c_r + 8)]))
            acc_0 = (acc_0 +% sum(acc_v_0))
            acc_1 = (acc_1 +% sum(acc_v_1))
            y[oh, ow, (n_o * 2)] = min(max((requant(acc_0, m[(n_o * 2)], s[(n_o * 2)]) + -3), -128), 127)
            y[oh, ow, ((n_o * 2) + 1)] = min(max((requant(acc_1, m[((n_o * 2) + 1)], s[((n_o * 2) + 1)]) + -3), -128), 127)
          parallel n_r in 1
            let acc_r: i32 = b[(n_r + 2)]
            let acc_v_r: i32x4 = i32x4(0)
            let zero_v_r: i16x8 = i16x8(zero)
            for kh_r in 2
              let ih_r: i32 = (oh + kh_r)
              if ((ih_r >= 0) & (ih_r < 2))
                for kw_r in 2
                  if (((ow + kw_r) >= 0) & ((ow + kw_r) < 2))
                    for c_o_r in 1
                      acc_v_r = (acc_v_r +% dot((x[ih_r, (ow + kw_r), (c_o_r * 8)]:i16x8 - zero_v_r), w[(n_r + 2), kh_r, kw_r, (c_o_r * 8)]:i16x8))
                    for c_r_r in 2
                      acc_r = (acc_r + ((x[ih_r, (ow + kw_r), (c_r_r + 8)] - zero) * w[(n_r + 2), kh_r, kw_r, (c_r_r + 8)]))
            acc_r = (acc_r +% sum(acc_v_r))
            y[oh, ow, (n_r + 2)] = min(max((requant(acc_r, m[(n_r + 2)], s[(n_r + 2)]) + -3), -128), 127)"
  `)
})

test('the printed form of a depthwise convolution in lanes', () => {
  const s = {
    height: 2,
    width: 2,
    channels: 6,
    outputs: 1,
    window: 2,
    stride: 1,
    pad: 1,
    elem: 'f32',
    wraps: false,
  } as const
  expect(printKernel(vectorize(depthwise(s), 'c', 4)!)).toMatchInlineSnapshot(`
    "kernel depthwise(read x: f32[2, 2, 6]; read w: f32[2, 2, 6]; write y: f32[3, 3, 6])
      parallel oh in 3
        parallel ow in 3
          parallel c_o in 1
            let acc: f32x4 = f32x4(0f)
            for kh in 2
              let ih: i32 = ((oh + kh) + -1)
              if ((ih >= 0) & (ih < 2))
                for kw in 2
                  if ((((ow + kw) + -1) >= 0) & (((ow + kw) + -1) < 2))
                    acc = (acc + (x[ih, ((ow + kw) + -1), (c_o * 4)]:f32x4 * w[kh, kw, (c_o * 4)]:f32x4))
            y[oh, ow, (c_o * 4)]:4 = acc
          parallel c_r in 2
            let acc_r: f32 = 0f
            for kh_r in 2
              let ih_r: i32 = ((oh + kh_r) + -1)
              if ((ih_r >= 0) & (ih_r < 2))
                for kw_r in 2
                  if ((((ow + kw_r) + -1) >= 0) & (((ow + kw_r) + -1) < 2))
                    acc_r = (acc_r + (x[ih_r, ((ow + kw_r) + -1), (c_r + 4)] * w[kh_r, kw_r, (c_r + 4)]))
            y[oh, ow, (c_r + 4)] = acc_r"
  `)
})
