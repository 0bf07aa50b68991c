// What float32 tiles need where data are known only while the program runs: weights in the order of tiles, written to scratch
// first; whether numbers are finite, so that zeros may stand for what the loops leave out; and the loops as they were where they
// are not.

import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, F32X4, type Stmt } from '../../loops/ir.ts'
import { flattened } from '../../loops/layout.ts'
import { declared, mapStmt, rename } from '../../loops/walk.ts'
import { flat, type Windows } from '../armv7em/dense.ts'
import type { FloatSum } from '../sum_of_products.ts'
import { byPanels } from './panels.ts'

/** Weights of panels of `size` channels: of each element of a window those of every channel, in the order of the loops. */
export interface Panels {
  readonly first: readonly number[]
  readonly size: number
  readonly elements: number
}

type Name = (base: string) => string

/** Where the weights of a channel stand, in the order of the loops. */
function startsOf({ s }: Windows<FloatSum>): number[] {
  const { terms, base } = flat(s.w)
  return s.window.reduce(
    (at, { v, extent }) => at.flatMap((i) => Array.from({ length: extent }, (_, k) => i + k * (terms.get(v) ?? 0))),
    [base],
  )
}

/** Elements from one channel's weights to the next. */
function apartOf({ s, channelLoop }: Windows<FloatSum>): number {
  return (channelLoop && flat(s.w).terms.get(channelLoop.v)) ?? 0
}

/** The same of constant weights, as data. */
export function packData(windows: Windows<FloatSum>, data: Float32Array, { size, elements }: Panels) {
  const starts = startsOf(windows)
  const apart = apartOf(windows)
  const { channels } = windows
  const rows = new Float32Array(elements * channels)
  for (let k = 0; k < elements; k++)
    for (let c = 0; c < channels; c++) rows[k * channels + c] = data[starts[k] + c * apart]
  return byPanels(rows, channels, size)
}

/** The same of others, as statements that write `packed` from `w`. */
export function packLoops(windows: Windows<FloatSum>, { first, size }: Panels, w: Buf, packed: Buf, name: Name): Stmt {
  const { s, channels } = windows
  const { terms, base } = flat(s.w)
  const apart = apartOf(windows)
  const even = channels % size === 0
  return L.loop(name('p'), first.length, (p) => {
    const [declare, from] = L.declare(
      name('from'),
      L.add(L.mul(even ? L.mul(p, size) : L.op('min', L.mul(p, size), L.int(channels - size)), apart), base),
    )
    const go = (d: number, from: Expr, to: Expr): Stmt => {
      if (d < s.window.length) {
        const { v, extent } = s.window[d]
        return L.loop(name(v), extent, (k) =>
          go(d + 1, L.add(from, L.mul(k, terms.get(v) ?? 0)), L.add(L.mul(to, extent), k)),
        )
      }
      const at = L.mul(to, size)
      if (apart === 1)
        return L.block(
          ...Array.from({ length: size / 4 }, (_, i) =>
            L.store(packed, [L.add(at, 4 * i)], L.loadLanes(w, F32X4, L.add(from, 4 * i))),
          ),
        )
      return L.block(
        ...Array.from({ length: size }, (_, c) => L.store(packed, [L.add(at, c)], L.load(w, L.add(from, c * apart)))),
      )
    }
    return [declare, go(0, from, p)]
  })
}

/** Whether all elements are finite: `statements` find it out, `flag` is 1 or 0. */
export function finite(buf: Buf, name: Name): { readonly statements: readonly Stmt[]; readonly flag: Expr } {
  const n = count(buf.shape)
  const zero = L.splat(L.float(0), 4)
  const sums = Array.from({ length: 4 }, () => L.declare(name('odd'), zero))
  // 0 * x is 0 for what is finite and no number for the rest
  const add = (i: number, value: Expr) => L.set(sums[i][1], L.add(sums[i][1], L.mul(value, zero)))
  const four = (at: Expr) => L.loadLanes(buf, F32X4, at)
  const whole = Math.floor(n / 16)
  const rest = Math.floor((n - 16 * whole) / 4)
  const last = Array.from({ length: n % 4 }, (_, i) => L.splat(L.load(buf, n - 1 - i), 4))
  const total = sums.map(([, sum]) => sum).reduce((a, b) => L.add(a, b))
  return {
    statements: [
      ...sums.map(([declare]) => declare),
      L.loop(name('i'), whole, (i) => sums.map((_, k) => add(k, four(L.add(L.mul(i, 16), 4 * k))))),
      ...Array.from({ length: rest }, (_, k) => add(k, four(L.int(16 * whole + 4 * k)))),
      ...last.map((value) => add(0, value)),
    ],
    flag: L.op('eq', L.op('sum', L.op('eq', total, zero)), 4),
  }
}

/** The loops of `call` on buffers of one dimension: `known` ones by their old names, and `bufs` with their arguments for the rest. */
export function asBefore({ kernel, args }: Call, known: ReadonlyMap<string, Buf>, name: Name) {
  const { bufs: all, body } = flattened(kernel)
  const to = new Map([...all.map((buf) => [buf.name, { ...buf, name: name(buf.name) }] as const), ...known])
  const of = (buf: string) => to.get(buf)!.name
  const moved = mapStmt(
    body,
    (e) => (e.k === 'load' ? { ...e, buf: of(e.buf) } : e),
    (s) => (s.s === 'store' ? { ...s, buf: of(s.buf) } : s),
  )
  return {
    bufs: all.flatMap((buf, i): (readonly [Buf, Arg])[] => (known.has(buf.name) ? [] : [[to.get(buf.name)!, args[i]]])),
    body: rename(moved, new Map(declared(moved).map((n) => [n, name(n)]))),
  }
}
