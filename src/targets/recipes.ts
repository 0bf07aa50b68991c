// Ways to shape loops that several machines use. Each looks for a form (a reduction loop, a parallel loop with stride-1
// stores), never for an operator, and hands back the call with its constants packed as the new loops want them.

import type { Arg, Call } from '../ir/op.ts'
import { coefficient } from '../loops/affine.ts'
import { shareCommon } from '../loops/common.ts'
import { distribute, guarded } from '../loops/distribute.ts'
import type { Expr, Kernel } from '../loops/ir.ts'
import { reduceLanes, vectorize } from '../loops/lanes.ts'
import { pack } from '../loops/layout.ts'
import { unrollJam } from '../loops/schedule.ts'
import { type For, inside, loopNames, someStmt, visit } from '../loops/walk.ts'
import type { Recipe } from './target.ts'

type Load = Extract<Expr, { k: 'load' }>

function loadsIn(loop: For): Load[] {
  const loads: Load[] = []
  visit(
    loop.body,
    () => {},
    (e) => {
      if (e.k === 'load') loads.push(e)
    },
  )
  return loads
}

/** Every loop of a kernel with the parallel loops around it, outermost first. */
function nests(kernel: Kernel): { readonly loop: For; readonly around: readonly For[] }[] {
  const found: { loop: For; around: readonly For[] }[] = []
  const go = (s: Kernel['body'], around: readonly For[]) => {
    if (s.s === 'for') found.push({ loop: s, around })
    const next = s.s === 'for' && s.parallel ? [...around, s] : around
    for (const t of inside(s)) go(t, next)
  }
  go(kernel.body, [])
  return found
}

/** The innermost loops that only accumulate: they write registers and store nothing. */
function reductions(kernel: Kernel): { readonly loop: For; readonly around: readonly For[] }[] {
  return nests(kernel).filter(
    ({ loop }) => !loop.parallel && !someStmt(loop.body, (s) => s.s === 'for' || s.s === 'store'),
  )
}

/** The parallel loop around a reduction whose iterations share most of its loads, innermost first among equals. */
function sharing(kernel: Kernel, factor: number): string | undefined {
  let best: { v: string; shared: number } | undefined
  for (const { loop, around } of reductions(kernel))
    for (const p of around.toReversed()) {
      if (p.extent < factor) continue
      const shared = loadsIn(loop).filter((l) => l.at.every((e) => coefficient(e, p.v) === 0)).length
      if (shared > (best?.shared ?? 0)) best = { v: p.v, shared }
    }
  return best?.v
}

/** `factor` outputs at once, so that what they have in common is loaded once. */
export function shareLoads(factor: number): Recipe {
  return {
    name: `${factor} outputs at once`,
    apply(call) {
      const v = sharing(call.kernel, factor)
      const kernel = v === undefined ? undefined : unrollJam(call.kernel, v, factor)
      return kernel ? { ...call, kernel } : undefined
    },
  }
}

/** `first`, and then for the loops that it left the first of `rest` that applies. */
export function followed(first: Recipe, rest: readonly Recipe[]): Recipe {
  return {
    name: first.name,
    apply(call) {
      const shaped = first.apply(call)
      if (!shaped) return undefined
      for (const recipe of rest) {
        const more = recipe.apply(shaped)
        if (more) return more
      }
      return shaped
    },
  }
}

/** The parallel loop around every reduction, other than `v`, that can be jammed to share the loads `v` does not. */
function sharingBeside(kernel: Kernel, v: string, factor: number): string | undefined {
  for (const { loop, around } of reductions(kernel))
    for (const p of around.toReversed()) {
      if (p.v === v || p.extent < factor || guarded(p)) continue
      if (loadsIn(loop).some((l) => l.at.every((e) => coefficient(e, p.v) === 0))) return p.v
    }
  return undefined
}

/**
 * Integer sums of products by `dot`, eight products a step, for a tile of `pixels` x `outputs`; the sums go through scratch
 * so that their epilogues run four in lanes.
 */
export function dotProducts(pixels: number, outputs: number): Recipe {
  return {
    name: `dot, up to ${pixels}x${outputs} outputs at once`,
    apply(call) {
      const v = sharing(call.kernel, outputs)
      if (v === undefined) return undefined
      const beside = sharingBeside(call.kernel, v, pixels)
      const tiled = (beside ? unrollJam(call.kernel, beside, pixels) : undefined) ?? call.kernel
      const apart = distribute(tiled, v)
      const jammed = unrollJam(apart?.kernel ?? tiled, v, outputs)
      if (!jammed) return undefined
      let kernel = jammed
      for (const { loop } of reductions(jammed)) kernel = reduceLanes(kernel, loop.v) ?? kernel
      if (kernel === jammed) return undefined
      kernel = shareCommon(kernel)
      if (apart) kernel = vectorize(kernel, apart.second, 4) ?? kernel
      const scratch = (apart?.scratch ?? []).map((): Arg => ({ scratch: true }))
      return { kernel, args: [...call.args, ...scratch] }
    },
  }
}

function constant(arg: Arg): boolean {
  return 'data' in arg || ('value' in arg && arg.value.storage === 'const')
}

/** Moves the dimension that `v` walks to the end of every constant buffer, so that lanes along `v` are neighbours. */
function packAlong(call: Call, v: string): Call {
  let { kernel, args } = call
  for (const [i, buf] of call.kernel.bufs.entries()) {
    const last = buf.shape.length - 1
    if (!constant(args[i])) continue
    let walked: number | undefined
    visit(
      kernel.body,
      () => {},
      (e) => {
        if (e.k !== 'load' || e.buf !== buf.name) return
        const d = e.at.findIndex((at) => coefficient(at, v) !== 0)
        if (d >= 0) walked = d
      },
    )
    if (walked === undefined || walked === last) continue
    const dims = [...buf.shape.keys()].filter((d) => d !== walked)
    const packed = pack(kernel, buf.name, [...dims, walked])
    if (!packed) continue
    const arg = args[i]
    const data = 'data' in arg ? arg.data : 'value' in arg ? arg.value.data! : undefined
    if (!data) continue
    kernel = packed.kernel
    args = args.map((a, k) => (k === i ? { data: packed.pack(data) } : a))
  }
  return { kernel, args }
}

/** Four neighbouring outputs in lanes, constants packed to suit. */
export const lanes: Recipe = {
  name: '4 lanes',
  apply(call) {
    const parallels = nests(call.kernel)
      .map(({ loop }) => loop)
      .filter((loop) => loop.parallel && loop.extent >= 4)
    let shaped = call
    for (const { v } of parallels.toReversed()) {
      if (!loopNames(shaped.kernel).includes(v)) continue
      const packed = packAlong(shaped, v)
      const kernel = vectorize(packed.kernel, v, 4)
      if (!kernel) continue
      shaped = { ...packed, kernel }
      break
    }
    return shaped === call ? undefined : shaped
  },
}
