// Loop distribution: one loop that computes and stores becomes a loop that computes and a loop that stores, with the
// registers between them in scratch. The second loop can then run in lanes where the first cannot.

import { block, buffer, load, ref, store } from './build.ts'
import { type Buf, type Elem, type Expr, type Kernel, registerOf, type Stmt } from './ir.ts'
import {
  declared,
  type For,
  findLoop,
  inside,
  mapOnce,
  namer,
  pathTo,
  someExpr,
  someStmt,
  stored,
  substitute,
  written,
} from './walk.ts'

/** A kernel with more buffers, its last: scratch. */
export interface Distributed {
  readonly kernel: Kernel
  readonly scratch: readonly Buf[]
  /** The loop over the stores. */
  readonly second: string
}

function mentions(s: Stmt, name: string): boolean {
  return someStmt(s, (t) => {
    const here = t.s === 'let' || t.s === 'set' ? [t.value] : t.s === 'store' ? [...t.at, t.value] : []
    const all = t.s === 'if' ? [t.cond] : here
    return all.some((e) => someExpr(e, (x) => x.k === 'var' && x.name === name))
  })
}

/** Declarations that only the stores read and that read nothing the first loop computes: they go with the stores. */
function again(kernel: Kernel, loop: For, first: readonly Stmt[]): Set<Stmt> {
  const own = new Set(declared(loop.body))
  const changing = written(loop.body)
  const writtenBufs = stored(kernel.body)
  return new Set(
    first.filter(
      (s, i) =>
        s.s === 'let' &&
        !changing.has(s.name) &&
        !someExpr(s.value, (x) => (x.k === 'var' && own.has(x.name)) || (x.k === 'load' && writtenBufs.has(x.buf))) &&
        !first.some((t, j) => j !== i && mentions(t, s.name)),
    ),
  )
}

/**
 * `for v: (compute; store f(r))` as `for v: (compute; scratch[v] = r)` and `for v: store f(scratch[v])`. Applies to a
 * parallel loop whose body ends in stores and declares the scalar registers that they read. Loops around `v` are no longer
 * parallel: their iterations share the scratch.
 */
export function distribute(kernel: Kernel, v: string): Distributed | undefined {
  const loop = findLoop(kernel, v)
  if (!loop?.parallel || loop.body.s !== 'block') return undefined
  const body = loop.body.body
  const split = body.length - body.toReversed().findIndex((s) => s.s !== 'store')
  if (split <= 0 || split >= body.length) return undefined
  const [first, last] = [body.slice(0, split), body.slice(split)]
  if (first.some((s) => someStmt(s, (t) => t.s === 'store'))) return undefined

  const fresh = namer(kernel)
  const second = fresh(v)
  const movable = again(kernel, loop, first)
  const scratch: Buf[] = []
  const saves: Stmt[] = []
  const to = new Map<string, Expr>([[v, ref(second)]])
  for (const s of first) {
    if (s.s !== 'let' || movable.has(s) || !last.some((t) => mentions(t, s.name))) continue
    const { num, lanes } = s.value.type
    if (lanes !== 1 || num === 'i16') return undefined
    const elem: Elem = num
    const buf = buffer(fresh(`${s.name}_of`), elem, [loop.extent], 'scratch')
    scratch.push(buf)
    saves.push(store(buf, [ref(v)], ref(s.name, registerOf(elem))))
    to.set(s.name, load(buf, ref(second)))
  }
  if (scratch.length === 0) return undefined

  const stay = first.filter((s) => !movable.has(s))
  const compute: Stmt = { ...loop, body: block(...stay, ...saves) }
  const finish: Stmt = { ...loop, v: second, body: substitute(block(...movable, ...last), to) }
  const around = new Set<Stmt>(pathTo(kernel, v))
  const go = (s: Stmt): Stmt => {
    if (s === loop) return block(compute, finish)
    if (!around.has(s)) return s
    const rebuilt = mapOnce(s, (e) => e, go)
    return rebuilt.s === 'for' ? serial(rebuilt) : rebuilt
  }
  return { kernel: { ...kernel, bufs: [...kernel.bufs, ...scratch], body: block(go(kernel.body)) }, scratch, second }
}

function serial({ parallel: _, ...loop }: For): Stmt {
  return loop
}

/** Whether some `if` inside the loop asks for its variable. */
export function guarded(loop: For): boolean {
  const go = (s: Stmt): boolean =>
    (s.s === 'if' && someExpr(s.cond, (x) => x.k === 'var' && x.name === loop.v)) || inside(s).some(go)
  return go(loop.body)
}
