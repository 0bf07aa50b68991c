// Compiles a kernel of the loop language to a WebAssembly function: one i32 parameter per buffer (its byte address), no
// result. A first pass resolves names, addresses and what is used; it leaves closures, which then write the instructions.

import { bug } from '../../errors.ts'
import {
  type Buf,
  type Elem,
  type Expr,
  elemBytes,
  type Kernel,
  type OpName,
  type Stmt,
  type Type,
} from '../../loops/ir.ts'
import { printExpr, printType } from '../../loops/print.ts'
import {
  ANY,
  atomLow,
  type Binding,
  type Loop,
  lookup,
  newLoop,
  offsetOf,
  ownerOf,
  type Pointer,
  pointerIn,
  rangeOf,
  registerForm,
  type Scope,
  settle,
} from './address.ts'
import { encodeModule, type Func, FuncBody, NO_RESULT } from './encoder.ts'
import { type Push, rdivpot, rdivpotLanes, requant, requantLanes, srdhm, srdhmLanes } from './fixed.ts'
import type { Instr } from './opcodes.ts'
import { CONVERT, instrOf, isCompare, isShift, LOADS, registers, SPLATS, STORES, valType } from './select.ts'

const isSimple = (e: Expr): boolean => e.k === 'var' || e.k === 'const'

function setNames(s: Stmt, names = new Set<string>()): Set<string> {
  if (s.s === 'set') names.add(s.name)
  else if (s.s === 'block') for (const t of s.body) setNames(t, names)
  else if (s.s === 'for' || s.s === 'if') {
    setNames(s.body, names)
    if (s.s === 'if' && s.else) setNames(s.else, names)
  }
  return names
}

interface Site {
  readonly loop: Loop
  readonly scope: Scope
}

/** The kernel as a function. */
export function kernelFunc(kernel: Kernel, name = kernel.name): Func {
  const f = new FuncBody(kernel.bufs.map(() => 'i32'))
  const root = newLoop(0, 1)
  const loops: Loop[] = [root]
  const mutable = setNames(kernel.body)
  const accesses: { readonly pointer: Pointer; readonly constant: number }[] = []
  const buffers = new Map<string, { readonly buf: Buf; readonly start: Pointer }>(
    kernel.bufs.map((buf, local) => [
      buf.name,
      { buf, start: { key: buf.name, step: 0, atoms: [], low: 0, base: 0, inPlace: false, local } },
    ]),
  )

  const bufOf = (name: string): Buf => (buffers.get(name) ?? bug(`kernel "${kernel.name}" has no buffer "${name}"`)).buf
  const localOf = (p: Pointer): number => ownerOf(p).local ?? bug('pointer used outside its loop')

  /** Puts the address on the stack, less the constant that is handed back for the instruction to add. */
  function address(bufName: string, at: readonly Expr[], site: Site): () => number {
    const { buf, start } = buffers.get(bufName) ?? bug(`kernel "${kernel.name}" has no buffer "${bufName}"`)
    const form = offsetOf(buf, at, site.scope, root)
    const pointer = pointerIn(site.loop, start, form)
    const access = { pointer, constant: form.constant }
    accesses.push(access)
    const atoms = [...form.atoms.values()].map((a) => ({
      ...a,
      push: expression(a.expr, { ...site, scope: a.scope }),
    }))
    const here = atoms.filter((a) => !a.home || a.home === site.loop)
    return () => {
      const owner = ownerOf(pointer)
      f.get(localOf(pointer))
      for (const a of here) term(a.push, a.coef)
      const offset = access.constant - owner.base
      // The instruction's own addition does not wrap around, so what it adds to must not have.
      const low = here.reduce((n, a) => n + atomLow(a), pointer.low + owner.base)
      if (offset === 0 || low >= 0) return offset
      f.i32(offset)
      f.op('i32.add')
      return 0
    }
  }

  function term(push: Push, coef: number): void {
    push()
    if (coef !== 1) {
      f.i32(coef)
      f.op('i32.mul')
    }
    f.op('i32.add')
  }

  function memory(instr: Instr, elem: Elem, offset: number, ...lane: number[]): void {
    f.op(instr, Math.log2(elemBytes(elem)), offset, ...lane)
  }

  function constant(type: Type, value: number): void {
    if (type.lanes > 1) bug(`constant of type ${printType(type)}`)
    if (type.num === 'i64') f.i64(BigInt(value))
    else if (type.num === 'f32') f.f32(value)
    else f.i32(value)
  }

  /** A value that is needed twice: `first` leaves it on the stack, `again` puts it there again. */
  function twice(e: Expr, push: Push): { first: Push; again: Push; done: Push } {
    if (isSimple(e)) return { first: push, again: push, done: () => {} }
    const local = f.local(valType(e.type))
    const first = () => {
      push()
      f.tee(local)
    }
    return { first, again: () => f.get(local), done: () => f.release(local) }
  }

  /** A lane count that is one number for all lanes, as i32; undefined where lanes may differ. */
  function uniform(e: Expr, site: Site): Push | undefined {
    if (e.k !== 'op' || e.op !== 'splat') return undefined
    const push = expression(e.args[0], site)
    return () => {
      push()
      if (e.type.num === 'i64') f.op('i32.wrap_i64')
    }
  }

  /** Applies a scalar instruction to each lane. */
  function lanewise(scalar: Instr, r: 'i32x4' | 'i64x2', args: readonly Push[]): void {
    const vectors = args.map((push) => {
      const local = f.local('v128')
      push()
      f.set(local)
      return local
    })
    f.v128(Array(16).fill(0))
    for (let lane = 0; lane < (r === 'i32x4' ? 4 : 2); lane++) {
      for (const v of vectors) {
        f.get(v)
        f.op(`${r}.extract_lane`, lane)
      }
      f.op(scalar)
      f.op(`${r}.replace_lane`, lane)
    }
    f.release(...vectors)
  }

  /** All ones in the lanes where the condition holds. */
  function mask(e: Expr, site: Site): Push {
    if (e.k === 'op' && isCompare(e.op)) return compare(e.op, e.args, site)
    const push = expression(e, site)
    return () => {
      push()
      f.v128(Array(16).fill(0))
      f.op('i32x4.ne')
    }
  }

  function compare(op: OpName, args: readonly Expr[], site: Site): Push {
    const instr = instrOf(op, registers(args[0].type)) ?? bug(`no ${op} on ${printType(args[0].type)}`)
    const pushes = args.map((a) => expression(a, site))
    return () => {
      for (const push of pushes) push()
      f.op(instr)
    }
  }

  function operation(e: Expr & { k: 'op' }, site: Site): Push {
    const { op, args } = e
    const lanes = e.type.lanes > 1
    const from = registers(args[0].type)
    const compute = (instr: Instr): Push => {
      const pushes = args.map((a) => expression(a, site))
      return () => {
        for (const push of pushes) push()
        f.op(instr)
      }
    }
    const fixed = (
      scalar: (f: FuncBody, ...args: [Push, Push]) => void,
      vector: (f: FuncBody, ...args: [Push, Push]) => void,
    ): Push => {
      const [a, b] = args.map((x) => expression(x, site))
      return () => (lanes ? vector(f, a, b) : scalar(f, a, b))
    }

    const convert = CONVERT[`${op} ${from}`]
    if (convert) return compute(convert)
    switch (op) {
      case 'bits':
      case 'fromBits':
        return expression(args[0], site)
      case 'splat':
        return splat(e, site)
      case 'sum': {
        const push = expression(args[0], site)
        return () => sum(push)
      }
      case 'srdhm':
        return fixed(srdhm, srdhmLanes)
      case 'rdivpot':
        return fixed(rdivpot, rdivpotLanes)
      case 'requant': {
        const [x, m] = args.map((a) => expression(a, site))
        const one = lanes ? uniform(args[2], site) : undefined
        const s = one ?? expression(args[2], site)
        return () => (lanes ? requantLanes(f, x, m, s, one !== undefined) : requant(f, x, m, s))
      }
      case 'select': {
        const condition = args[0].type.lanes > 1 ? mask(args[0], site) : expression(args[0], site)
        const [a, b] = [expression(args[1], site), expression(args[2], site)]
        return () => {
          a()
          b()
          condition()
          f.op(args[0].type.lanes > 1 ? 'v128.bitselect' : 'select')
        }
      }
    }
    if (isCompare(op)) {
      const push = compare(op, args, site)
      if (!lanes) return push
      return () => {
        push()
        f.i32(31)
        f.op('i32x4.shr_u')
      }
    }
    if (!lanes && (op === 'min' || op === 'max')) return choose(op, args, site)
    if (!lanes && op === 'neg' && from !== 'f32') {
      const push = expression(args[0], site)
      return () => {
        constant(e.type, 0)
        push()
        f.op(from === 'i64' ? 'i64.sub' : 'i32.sub')
      }
    }
    const instr = instrOf(op, from)
    if (lanes && isShift(op)) {
      const count = uniform(args[1], site)
      if (count && instr) {
        const push = expression(args[0], site)
        return () => {
          push()
          count()
          f.op(instr)
        }
      }
    } else if (instr) return compute(instr)
    const scalar = instrOf(op, e.type.num === 'i64' ? 'i64' : 'i32')
    if (scalar && (from === 'i32x4' || from === 'i64x2')) {
      const pushes = args.map((a) => expression(a, site))
      return () => lanewise(scalar, from, pushes)
    }
    return bug(`no ${op} on ${from}: ${printExpr(e)}`)
  }

  /** Scalar min and max: b < a ? b : a, a < b ? b : a. */
  function choose(op: 'min' | 'max', args: readonly Expr[], site: Site): Push {
    const [a, b] = args.map((x) => expression(x, site))
    const less = instrOf('lt', registers(args[0].type)) ?? bug('no comparison')
    return () => {
      const [p, q] = [twice(args[0], a), twice(args[1], b)]
      q.first()
      p.first()
      const order = op === 'min' ? [q, p] : [p, q]
      for (const x of order) x.again()
      f.op(less)
      f.op('select')
      p.done()
      q.done()
    }
  }

  function sum(push: Push): void {
    const v = f.local('v128')
    push()
    for (const shuffle of [
      [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7],
      [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11],
    ]) {
      f.tee(v)
      f.get(v)
      f.get(v)
      f.op('i8x16.shuffle', ...shuffle)
      f.op('i32x4.add')
    }
    f.op('i32x4.extract_lane', 0)
    f.release(v)
  }

  function splat(e: Expr & { k: 'op' }, site: Site): Push {
    const value = e.args[0]
    const r = registers(e.type)
    if (r === 'i32' || r === 'i64' || r === 'f32') return bug(`splat to ${r}`)
    if (value.k === 'load' && value.type.lanes === 1) {
      const { elem } = bufOf(value.buf)
      const instr = SPLATS[elem]
      if (instr && r !== 'i16x8') {
        const push = address(value.buf, value.at, site)
        return () => memory(instr, elem, push())
      }
    }
    const push = expression(value, site)
    return () => {
      push()
      f.op(`${r}.splat`)
    }
  }

  function expression(e: Expr, site: Site): Push {
    switch (e.k) {
      case 'const':
        return () => constant(e.type, e.value)
      case 'var': {
        const b = lookup(site.scope, e.name)
        if (b.is === 'zero') return () => f.i32(0)
        if (b.is === 'loop') b.loop.counted = true
        else b.used = true
        return () => f.get(b.local ?? bug(`"${e.name}" has no local`))
      }
      case 'load': {
        const { elem } = bufOf(e.buf)
        const key = `${elem} ${registers(e.type)}`
        const [instr, ...widen] = LOADS[key] ?? bug(`no load of ${key}`)
        const push = address(e.buf, e.at, site)
        return () => {
          memory(instr, elem, push())
          for (const w of widen) f.op(w)
        }
      }
      case 'op':
        return operation(e, site)
    }
  }

  function statement(s: Stmt, site: Site): Push {
    switch (s.s) {
      case 'block':
        return block(s.body, site)
      case 'for':
        return forLoop(s, site)
      case 'let':
        return block([s], site)
      case 'set': {
        const b = lookup(site.scope, s.name)
        const push = expression(s.value, site)
        return () => {
          push()
          f.set((b.is === 'register' ? b.local : undefined) ?? bug(`"${s.name}" is no register`))
        }
      }
      case 'store': {
        const { elem } = bufOf(s.buf)
        const key = `${elem} ${registers(s.value.type)}`
        const [instr, kept] = STORES[key] ?? bug(`no store of ${key}`)
        const to = address(s.buf, s.at, site)
        const push = expression(s.value, site)
        return () => {
          const offset = to()
          push()
          if (!kept) return memory(instr, elem, offset)
          const v = f.local('v128')
          f.tee(v)
          f.get(v)
          f.op('i8x16.shuffle', ...Array.from({ length: 16 }, (_, i) => kept[i % kept.length]))
          f.release(v)
          memory(instr, elem, offset, 0)
        }
      }
      case 'if': {
        const condition = expression(s.cond, site)
        const body = statement(s.body, site)
        const other = s.else && statement(s.else, site)
        return () => {
          condition()
          f.op('if', NO_RESULT)
          body()
          if (other) {
            f.op('else')
            other()
          }
          f.op('end')
        }
      }
    }
  }

  function block(body: readonly Stmt[], site: Site): Push {
    let scope = site.scope
    const parts = body.map((s): Push | { let: Binding & { is: 'register' }; value: Expr; site: Site } => {
      const here = { ...site, scope }
      if (s.s !== 'let') return statement(s, here)
      const changes = mutable.has(s.name)
      const binding = {
        is: 'register' as const,
        loop: site.loop,
        mutable: changes,
        form: changes ? undefined : registerForm(s.value, scope, root),
        range: changes ? ANY : rangeOf(s.value, scope),
        used: changes,
      }
      scope = new Map(scope).set(s.name, binding)
      return { let: binding, value: s.value, site: here }
    })
    // Last first: what an unused register alone would read is not used either.
    const pushes: Push[] = []
    const registersHere: (Binding & { is: 'register' })[] = []
    for (const p of parts.reverse()) {
      if (typeof p === 'function') pushes.unshift(p)
      else if (p.let.used) {
        const value = expression(p.value, p.site)
        const type = valType(p.value.type)
        registersHere.push(p.let)
        pushes.unshift(() => {
          value()
          f.set((p.let.local = f.local(type)))
        })
      }
    }
    return () => {
      for (const push of pushes) push()
      for (const b of registersHere) if (b.local !== undefined) f.release(b.local)
    }
  }

  function forLoop(s: Stmt & { s: 'for' }, site: Site): Push {
    if (s.extent <= 0) return () => {}
    const bind = (b: Binding): Scope => new Map(site.scope).set(s.v, b)
    if (s.extent === 1) return statement(s.body, { ...site, scope: bind({ is: 'zero' }) })
    const loop = newLoop(loops.length, s.extent, site.loop)
    loops.push(loop)
    const binding: Binding & { is: 'loop' } = { is: 'loop', loop }
    const body = statement(s.body, { loop, scope: bind(binding) })
    return () => {
      const own = loop.pointers.filter((p) => !p.inPlace)
      for (const p of own) enter(p)
      const counter = f.local('i32')
      binding.local = counter
      f.i32(loop.counted ? 0 : s.extent)
      f.set(counter)
      f.op('loop', NO_RESULT)
      body()
      for (const p of loop.pointers) advance(localOf(p), p.step)
      f.get(counter)
      f.i32(loop.counted ? 1 : -1)
      f.op('i32.add')
      f.tee(counter)
      if (loop.counted) {
        f.i32(s.extent)
        f.op('i32.ne')
      }
      f.op('br_if', 0)
      f.op('end')
      for (const p of loop.pointers) if (p.inPlace) advance(localOf(p), -p.step * s.extent)
      f.release(counter)
      for (const p of own) f.release(localOf(p))
    }
  }

  function advance(local: number, bytes: number): void {
    if (bytes === 0) return
    f.get(local)
    f.i32(bytes)
    f.op('i32.add')
    f.set(local)
  }

  /** Gives a pointer its local and its value at the loop's entry. */
  function enter(p: Pointer): void {
    const parent = p.parent ?? bug('a buffer has no loop to enter')
    f.get(localOf(parent))
    const base = p.base - ownerOf(parent).base
    if (base !== 0) {
      f.i32(base)
      f.op('i32.add')
    }
    for (const a of p.atoms) term(expression(a.expr, { loop: root, scope: a.scope }), a.coef)
    f.set((p.local = f.local('i32')))
  }

  const body = statement(kernel.body, { loop: root, scope: new Map() })
  for (const loop of loops) settle(loop)
  for (const { pointer, constant } of accesses) {
    const owner = ownerOf(pointer)
    owner.base = Math.min(owner.base, constant)
  }
  for (const { start } of buffers.values()) advance(localOf(start), start.base)
  body()
  return f.func(name)
}

/** A module with the kernel alone: imports `env.memory`, exports `kernel`, whose arguments are the buffers' addresses. */
export function compileKernel(kernel: Kernel): Uint8Array {
  return encodeModule({
    funcs: [kernelFunc(kernel)],
    memory: { min: 0, from: ['env', 'memory'] },
    exports: [{ name: 'kernel', kind: 'func', index: 0 }],
  })
}
