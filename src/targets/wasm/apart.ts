// Kernels of several nests of loops that write different elements (the gradient of the input of a convolution with strides has one for
// each phase) as if each were a kernel of its own: every nest gets the first recipe that applies to it.

import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Stmt } from '../../loops/ir.ts'
import { simplify } from '../../loops/simplify.ts'
import { declared, type For, mapStmt, rename, stored, visit } from '../../loops/walk.ts'
import type { Recipe } from '../target.ts'

/** The nests of a kernel, each with the parallel loops around it; undefined where there are not several. */
function nestsOf({ kernel }: Call): Stmt[] | undefined {
  const around: For[] = []
  let body = kernel.body
  while (body.s === 'for' && body.parallel) {
    around.push(body)
    body = body.body
  }
  if (body.s !== 'block' || body.body.some((s) => s.s !== 'for' && s.s !== 'store')) return undefined
  const written = stored(body)
  let overlap = false
  visit(
    body,
    () => {},
    (e) => {
      if (e.k === 'load' && written.has(e.buf)) overlap = true
    },
  )
  if (overlap) return undefined
  return body.body.map((nest) => around.reduceRight<Stmt>((inner, l) => ({ ...l, body: inner }), nest))
}

/** Calls one after the other as one; scratch is shared between them. */
function joined(name: string, calls: readonly Call[]): Call {
  const bufs: { buf: Buf; arg: Arg }[] = []
  const bodies = calls.map(({ kernel, args }, part) => {
    const to = new Map<string, string>()
    const taken = new Set<number>()
    kernel.bufs.forEach((buf, i) => {
      const arg = args[i]
      const scratch = 'scratch' in arg
      const k = bufs.findIndex(
        (b, n) =>
          b.buf.elem === buf.elem &&
          !taken.has(n) &&
          (scratch
            ? 'scratch' in b.arg && b.buf.shape.length === 1 && buf.shape.length === 1
            : b.arg === arg && `${b.buf.shape}` === `${buf.shape}`),
      )
      const at = k >= 0 ? k : bufs.push({ buf: { ...buf, name: `${buf.name}_of_${part}` }, arg }) - 1
      if (scratch) {
        taken.add(at)
        const shape = [Math.max(...bufs[at].buf.shape, count(buf.shape))]
        bufs[at] = { ...bufs[at], buf: { ...bufs[at].buf, shape: buf.shape.length === 1 ? shape : buf.shape } }
      }
      to.set(buf.name, bufs[at].buf.name)
    })
    const moved = mapStmt(
      kernel.body,
      (e) => (e.k === 'load' ? { ...e, buf: to.get(e.buf)! } : e),
      (s) => (s.s === 'store' ? { ...s, buf: to.get(s.buf)! } : s),
    )
    return rename(moved, new Map(declared(moved).map((n) => [n, `${n}_of_${part}`])))
  })
  return {
    kernel: L.kernel(
      name,
      bufs.map(({ buf }) => buf),
      ...bodies,
    ),
    args: bufs.map(({ arg }) => arg),
  }
}

/** `wanted` recipes for each of several nests, and `others` for those that none of these applies to; one has to. */
export function apart(name: string, wanted: readonly Recipe[], others: readonly Recipe[]): Recipe {
  return {
    name,
    apply(call) {
      const nests = nestsOf(call)
      if (!nests) return undefined
      let found = false
      const calls = nests.map((body): Call => {
        const plain = { ...call, kernel: simplify({ ...call.kernel, body }) }
        for (const recipe of [...wanted, ...others]) {
          const shaped = recipe.apply(plain)
          if (!shaped) continue
          if (wanted.includes(recipe)) found = true
          return shaped
        }
        return plain
      })
      return found ? joined(call.kernel.name, calls) : undefined
    },
  }
}
