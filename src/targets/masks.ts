// Takes kernels apart that keep a bit for each result beside it: the plain kernel, and where the bits go. Bits are 1 where the
// value lay within the limits before it was clamped; eight neighbours are one byte.

import type { Arg, Call } from '../ir/op.ts'
import { coefficient } from '../loops/affine.ts'
import * as L from '../loops/build.ts'
import type { Buf, Expr, Stmt } from '../loops/ir.ts'
import { type For, mapStmt, namer, substitute, substituteExpr } from '../loops/walk.ts'

export interface Masked {
  /** Without the mask. */
  readonly plain: Call
  readonly mask: { readonly buf: Buf; readonly arg: Arg }
}

const flat = (s: Stmt): readonly Stmt[] => (s.s === 'block' ? s.body.flatMap(flat) : [s])

/** The results of one run of neighbours, as they are without bits. */
function withoutBits(run: For, eight: string): Stmt | undefined {
  const body = flat(run.body)
  const [before, store, bit] = body.slice(-3)
  if (before?.s !== 'let' || store?.s !== 'store' || bit?.s !== 'store' || bit.buf !== eight) return undefined
  const value = substituteExpr(store.value, new Map([[before.name, before.value]]))
  return L.block(...body.slice(0, -3), { ...store, value })
}

/** Whether `bytes` goes on by eight where `run` goes on by one. */
function byEights(run: For, bytes: For): boolean {
  const store = flat(run.body).at(-2)
  const last = store?.s === 'store' ? store.at.at(-1) : undefined
  return last !== undefined && coefficient(last, bytes.v) === 8
}

/** The kernel and its mask, where each byte of the mask is made of eight neighbours. */
export function unmasked(call: Call): Masked | undefined {
  const { kernel, args } = call
  const at = kernel.bufs.findIndex((b) => b.access === 'write' && b.elem === 'u8')
  const eight = kernel.bufs.findIndex((b) => b.access === 'scratch' && b.elem === 'i8' && b.shape[0] === 8)
  if (at < 0 || eight < 0) return undefined
  const [mask, bits] = [kernel.bufs[at], kernel.bufs[eight].name]
  const name = namer(kernel)
  let found = 0
  /** Iterations `v` of `run` and of the loop over bytes around it become one loop. */
  const joined = (run: For, bytes: For | undefined): Stmt | undefined => {
    const body = withoutBits(run, bits)
    if (!body || run.extent !== 8) return undefined
    const v = name('c')
    // neighbours are 8 * byte + run.v everywhere
    const to = new Map([[run.v, L.ref(v)], ...(bytes ? [[bytes.v, L.int(0)] as const] : [])])
    found++
    return {
      s: 'for',
      v,
      extent: 8 * (bytes?.extent ?? 1),
      parallel: true,
      body: substitute(body, to),
    }
  }
  const pairOf = (s: Stmt): For | undefined => {
    const [run, store, ...more] = flat(s)
    return run?.s === 'for' && store?.s === 'store' && store.buf === mask.name && more.length === 0 ? run : undefined
  }
  const body = mapStmt(
    kernel.body,
    (e) => e,
    (s): Stmt => {
      const run = s.s === 'for' && s.parallel ? pairOf(s.body) : undefined
      if (!run || s.s !== 'for') return s
      if (byEights(run, s)) return joined(run, s) ?? s
      const alone = joined(run, undefined)
      return alone ? { ...s, body: alone } : s
    },
  )
  let plain = body
  if (found === 0) {
    const all = flat(body)
    const run = pairOf(L.block(...all.slice(-2)))
    const one = run && joined(run, undefined)
    if (one) plain = L.block(...all.slice(0, -2), one)
  }
  if (found !== 1) return undefined
  const kept = kernel.bufs.map((_, i) => i !== at && i !== eight)
  return {
    plain: {
      kernel: { ...kernel, bufs: kernel.bufs.filter((_, i) => kept[i]), body: plain },
      args: args.filter((_, i) => kept[i]),
    },
    mask: { buf: mask, arg: args[at] },
  }
}

/** The plain kernel's work for the channels that `list` holds, with their bits put where they belong; `mask` is a row of bytes. */
export function channelByChannel(
  body: Stmt,
  y: Buf,
  channels: number,
  list: Buf,
  mask: Buf,
  name: (base: string) => string,
): Stmt | undefined {
  let done = 0
  const v = name('i')
  const inner = mapStmt(
    body,
    (e) => e,
    (s): Stmt => {
      if (s.s === 'store' && s.buf === y.name && s.value.k === 'op' && s.value.op === 'min') {
        const [low, hi] = s.value.args
        if (low.k !== 'op' || low.op !== 'max') return s
        const [declare, value] = L.declare(name('before'), low.args[0])
        const [where, i] = L.declare(name('at'), s.at[0])
        const within = L.and(L.ge(value, low.args[1]), L.op('le', value, hi))
        const byte = L.op('ushr', i, 3)
        const bit = L.and(i, 7)
        const rest = L.and(L.load(mask, byte), L.op('xor', L.op('shl', L.int(1), bit), -1))
        done++
        return L.block(
          declare,
          where,
          L.store(y, [i], L.clamp(value, low.args[1], hi)),
          L.store(mask, [byte], L.op('or', rest, L.op('shl', within, bit))),
        )
      }
      if (s.s !== 'for' || !s.parallel) return s
      if (s.extent === channels && readsAsChannel(s, y))
        return L.loop(v, list.shape[0], (i) => {
          const [declare, c] = L.declare(s.v, L.load(list, i))
          return [declare, substitute(s.body, new Map([[s.v, c as Expr]]))]
        })
      const { parallel: _, ...loop } = s
      return loop
    },
  )
  return done === 1 ? inner : undefined
}

function readsAsChannel(loop: For, y: Buf): boolean {
  let found = false
  mapStmt(
    loop.body,
    (e) => e,
    (s) => {
      if (s.s === 'store' && s.buf === y.name) found = true
      return s
    },
  )
  return found && flat(loop.body).some((s) => s.s === 'let')
}
