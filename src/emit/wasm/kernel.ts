// Compiles a kernel of the loop language to a WebAssembly function: one i32 parameter per buffer (its byte address), no
// result. A first pass resolves names, addresses and what is used; it leaves closures, which then write the instructions.

import { bug } from '../../errors.ts'
import { type Buf, type Elem, type Expr, elemBytes, type Kernel, type OpName, type Stmt } from '../../loops/ir.ts'
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
import type { Push } from './fixed.ts'
import { fromHalf, toHalf } from './half.ts'
import type { Instr } from './opcodes.ts'
import { constant, type Load, operation, partOf } from './operation.ts'
import { LOADS, registers, SPLATS, STORES, valType } from './select.ts'

function setNames(s: Stmt, names = new Set<string>()): Set<string> {
  if (s.s === 'set') names.add(s.name)
  else if (s.s === 'asm') setNames(s.means, names)
  else if (s.s === 'block') for (const t of s.body) setNames(t, names)
  else if (s.s === 'for' || s.s === 'if') {
    setNames(s.body, names)
    if (s.s === 'if' && s.else) setNames(s.else, names)
  }
  return names
}

/** x of min(max(x, -128), 127), which narrowing to bytes does too. */
function saturatedToBytes(e: Expr): Expr | undefined {
  const limited = (value: Expr, op: OpName, to: number) => {
    if (value.k !== 'op' || value.op !== op) return undefined
    const [x, limit] = value.args
    const [by] = limit.k === 'op' && limit.op === 'splat' ? limit.args : []
    return by?.k === 'const' && by.value === to ? x : undefined
  }
  const low = limited(e, 'min', 127)
  return low && limited(low, 'max', -128)
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

  function load(instr: Instr, elem: Elem, push: () => number): void {
    const offset = push()
    f.access(instr, elemBytes(elem), offset, f.code.length)
  }

  /** A load that puts one element into every lane, where there is an instruction for it. */
  function splatted(e: Load, site: Site): Push | undefined {
    const { elem } = bufOf(e.buf)
    const instr = registers(e.type) === 'i8x4' ? 'v128.load32_splat' : SPLATS[elem]
    if (!instr) return undefined
    const push = address(e.buf, e.at, site)
    return () => load(instr, elem, push)
  }

  function expression(e: Expr, site: Site): Push {
    switch (e.k) {
      case 'const':
        return () => constant(f, e.type, e.value)
      case 'var': {
        const b = lookup(site.scope, e.name)
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
          load(instr, elem, push)
          for (const w of widen) f.op(w)
          if (elem === 'f16') fromHalf(f)
        }
      }
      case 'op':
        return operation(e, { f, push: (part) => expression(part, site), splatted: (load) => splatted(load, site) })
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
      case 'asm':
        return statement(s.means, site)
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
        const { value } = s
        if (value.k === 'op' && value.op === 'part') {
          const push = expression(value.args[0], site)
          return () => {
            const offset = to()
            const address = f.code.length
            push()
            const instr = value.type.lanes === 4 ? 'v128.store32_lane' : 'v128.store64_lane'
            f.access(instr, elemBytes(elem), offset, address, partOf(value))
          }
        }
        const saturated = elem === 'i8' && s.value.type.lanes > 1 ? saturatedToBytes(s.value) : undefined
        const push = expression(saturated ?? s.value, site)
        return () => {
          const offset = to()
          const address = f.code.length
          push()
          if (elem === 'f16') toHalf(f)
          if (!kept) return f.access(instr, elemBytes(elem), offset, address)
          const v = f.local('v128')
          const doubled = (op: Instr, ...lanes: number[]) => {
            f.tee(v)
            f.get(v)
            f.op(op, ...lanes)
          }
          if (!saturated) doubled('i8x16.shuffle', ...Array.from({ length: 16 }, (_, i) => kept[i % kept.length]))
          else {
            if (s.value.type.num === 'i32') doubled('i16x8.narrow_i32x4_s')
            doubled('i8x16.narrow_i16x8_s')
          }
          f.release(v)
          f.access(instr, elemBytes(elem), offset, address, 0)
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
