// A kernel of the loop language -> one C99 function of plain loops over named pointers. The part of an address that a
// loop leaves alone is set up before the loop, as a pointer where it surely points into the buffer, else as an offset.

import { bug } from '../../errors.ts'
import { type Buf, type Expr, elemBytes, type Kernel, type Num, type Routine, type Stmt } from '../../loops/ir.ts'
import { simplify } from '../../loops/simplify.ts'
import { declared, exprs, type For, inside, someExpr, visit, visitExpr, written } from '../../loops/walk.ts'
import { addressOf, onlyBy, type Sum, split, type Term } from './affine.ts'
import { INLINE_NAMES, useUnder } from './arithmetic.ts'
import { ATOM, constantPiece, operationPiece, type Piece, PRODUCT, SUM, strong, UNARY } from './expression.ts'
import { identifiers } from './names.ts'
import { C_TYPE, cType } from './number.ts'

export interface KernelOptions {
  /** Buffers of different types may share bytes (a step in place): pointers to them must be told. */
  readonly aliased?: boolean
}

export interface KernelText {
  readonly text: string
  /** The inline functions and types that it wants, as `preamble` takes them. */
  readonly uses: ReadonlySet<string>
  readonly floats: boolean
  /** The routines that it calls, by name. */
  readonly routines: ReadonlyMap<string, RoutineUse>
}

/** A routine and which of its parameters are addresses. */
export interface RoutineUse {
  readonly routine: Routine
  readonly addresses: readonly boolean[]
}

/** What the compiler defines where it makes code for a machine with the routines' instructions. */
export const MACHINE_TEST: Readonly<Record<Routine['machine'], string>> = {
  'armv7e-m': 'defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)',
  'armv7e-m.fp': 'defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP) && defined(__ARM_FP)',
  'armv8.1-m.mve': 'defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_MVE)',
}

/** A row that is set up before a loop: what it is added to the buffer, and the constant part that it holds already. */
interface Row {
  readonly name: string
  readonly pointer: boolean
  readonly constant: number
}

/** The innermost loop around a statement. */
interface Around {
  /** What it and its body declare. */
  readonly inside: ReadonlySet<string>
  readonly rows: ReadonlyMap<string, Row>
  /** Every iteration comes here. */
  readonly always: boolean
}

function rowKey(buf: string, outer: ReadonlyMap<string, Term>): string {
  return `${buf} ${[...outer]
    .map(([key, t]) => `${t.coef}*${key}`)
    .sort()
    .join(' ')}`
}

const isFloat = (num: Num) => num === 'f32' || num === 'f64'

class Printer {
  readonly kernel: Kernel
  readonly uses = new Set<string>()
  readonly lines: string[] = []
  readonly routines = new Map<string, RoutineUse>()
  floats = false
  private readonly bufs: ReadonlyMap<string, Buf>
  private readonly names = new Map<string, string>()
  private readonly fresh: (name: string) => string
  private readonly changing: ReadonlySet<string>
  private readonly read = new Set<string>()
  /** Registers and loop variables, by where they are declared. */
  private readonly order: ReadonlyMap<string, number>
  private readonly loopVariables = new Set<string>()
  private readonly aliased: boolean
  /** What the preprocessor asks before it comes to the text being printed. */
  private condition = ''

  constructor(kernel: Kernel, { aliased = false }: KernelOptions) {
    this.kernel = kernel
    this.aliased = aliased
    this.bufs = new Map(kernel.bufs.map((b) => [b.name, b]))
    this.changing = written(kernel.body)
    this.order = new Map(declared(kernel.body).map((name, i) => [name, i]))
    this.fresh = identifiers(INLINE_NAMES)
    for (const name of [...this.bufs.keys(), ...declared(kernel.body)])
      if (!this.names.has(name)) this.names.set(name, this.fresh(name))
    visit(
      kernel.body,
      (s) => {
        if (s.s === 'store') this.read.add(s.buf)
        if (s.s === 'for') this.loopVariables.add(s.v)
      },
      (e) => {
        if (e.k === 'load') this.read.add(e.buf)
        if (e.k === 'var') this.read.add(e.name)
        if (isFloat(e.type.num)) this.floats = true
        if (e.type.num === 'f64') this.uses.add('double_has_64_bits')
      },
    )
  }

  private use(name: string): void {
    this.uses.add(useUnder(name, this.condition))
  }

  name(name: string): string {
    return this.names.get(name) ?? bug(`kernel ${this.kernel.name}: ${name} is not declared`)
  }

  private pointerTo({ elem, access }: Buf): string {
    const type = this.aliased && elemBytes(elem) > 1 ? `${elem}_aliased` : C_TYPE[elem]
    if (type !== C_TYPE[elem]) this.use(type)
    return `${access === 'read' ? 'const ' : ''}${type} *`
  }

  print(functionName: string): void {
    const params = this.kernel.bufs.map((b) => this.pointerTo(b) + this.name(b.name))
    this.lines.push(...broken(`static MOTE_KERNEL void ${functionName}(${params.join(', ') || 'void'}) {`, '    '))
    const [calls, loops] = [true, false].map((routines) => mentioned(this.kernel.body, routines))
    for (const { name } of this.kernel.bufs)
      if (!calls.has(name) || !loops.has(name)) this.lines.push(`  (void)${this.name(name)};`)
    this.stmt(this.kernel.body, '  ', { inside: new Set(), rows: new Map(), always: true })
    this.lines.push('}')
  }

  stmt(s: Stmt, indent: string, around: Around): void {
    const line = (text: string) => this.lines.push(...broken(indent + text, `${indent}    `))
    switch (s.s) {
      case 'block':
        for (const t of s.body) this.stmt(t, indent, around)
        break
      case 'for':
        this.loop(s, indent, around)
        break
      case 'let': {
        const type = `${this.changing.has(s.name) ? '' : 'const '}${cType(s.value.type)}`
        line(`${type} ${this.name(s.name)} = ${this.expr(s.value, around).text};`)
        if (!this.read.has(s.name)) line(`(void)${this.name(s.name)};`)
        break
      }
      case 'set':
        line(this.assignment(s.name, s.value, around))
        break
      case 'store': {
        const { elem } = this.bufs.get(s.buf)!
        const value = this.expr(s.value, around)
        if (elem === 'f16') this.use('to_half')
        const narrow = elem === 'i8' || elem === 'u8' || elem === 'i16'
        const text = narrow
          ? `(${C_TYPE[elem]})${strong(value, UNARY)}`
          : elem === 'f16'
            ? `to_half(${value.text})`
            : value.text
        line(`${this.element(s.buf, s.at, around)} = ${text};`)
        break
      }
      case 'if':
        line(`if (${this.expr(s.cond, around).text}) {`)
        this.stmt(s.body, `${indent}  `, { ...around, always: false })
        if (s.else) {
          line('} else {')
          this.stmt(s.else, `${indent}  `, { ...around, always: false })
        }
        line('}')
        break
      case 'asm':
        this.routine(s, indent, around)
        break
    }
  }

  private routine(s: Extract<Stmt, { s: 'asm' }>, indent: string, around: Around): void {
    const { routine } = s
    this.routines.set(routine.name, { routine, addresses: s.args.map((a) => a.k === 'load') })
    const [test, outer] = [MACHINE_TEST[routine.machine], this.condition]
    const under = (condition: string) => (outer ? `${outer} && ${condition}` : condition)
    this.condition = under(test)
    const args = s.args.map((a) =>
      a.k === 'load' ? `&${this.element(a.buf, a.at, around)}` : this.expr(a, around).text,
    )
    this.lines.push(`#if ${test}`)
    this.lines.push(...broken(`${indent}${routine.name}(${args.join(', ')});`, `${indent}    `))
    this.lines.push('#else')
    this.condition = under(`!(${test})`)
    this.stmt(s.means, indent, around)
    this.lines.push('#endif')
    this.condition = outer
  }

  loop(s: For, indent: string, around: Around): void {
    if (s.extent === 0) return
    const rows = this.rowsOf(s, indent, around)
    const v = this.name(s.v)
    this.lines.push(`${indent}for (int32_t ${v} = 0; ${v} < ${s.extent}; ${v}++) {`)
    this.stmt(s.body, `${indent}  `, rows)
    this.lines.push(`${indent}}`)
  }

  /**
   * Whether a part of an address may be computed before the loop. What only some iterations compute may overflow or
   * divide by zero in others, unless it is a loop variable.
   */
  private stays(e: Expr, { inside, always }: Pick<Around, 'inside' | 'always'>): boolean {
    if (e.k === 'var' && this.loopVariables.has(e.name)) return !inside.has(e.name)
    return (
      always &&
      !someExpr(e, (x) => x.k === 'load' || (x.k === 'var' && (inside.has(x.name) || this.changing.has(x.name))))
    )
  }

  /** Prints the rows that the accesses of `loop`'s own body want, and says what its body may use. */
  private rowsOf(loop: For, indent: string, around: Around): Around {
    const names = new Set([loop.v, ...declared(loop.body)])
    interface Wish {
      readonly buf: string
      readonly outer: ReadonlyMap<string, Term>
      readonly constant: number
      /** The address is in the buffer in the first iteration. */
      readonly sure: boolean
    }
    const wishes = new Map<string, Wish>()
    const access = (buf: string, at: readonly Expr[], always: boolean) => {
      const sum = addressOf(this.bufs.get(buf)!, at)
      const { outer, inner } = split(sum, (e) => this.stays(e, { inside: names, always }))
      if (outer.size === 0) return
      const key = rowKey(buf, outer)
      const wish: Wish = { buf, outer, constant: sum.constant, sure: always && onlyBy(inner, loop.v) }
      if (wish.sure ? !wishes.get(key)?.sure : !wishes.has(key)) wishes.set(key, wish)
    }
    const walk = (s: Stmt, always: boolean): void => {
      if (s.s === 'asm') return
      if (s.s === 'store') access(s.buf, s.at, always)
      for (const e of exprs(s))
        visitExpr(e, (part) => {
          if (part.k === 'load') access(part.buf, part.at, always)
        })
      if (s.s !== 'for') for (const t of inside(s)) walk(t, always && s.s !== 'if')
    }
    walk(loop.body, true)

    const rows = new Map<string, Row>()
    for (const [key, { buf, outer, constant, sure }] of wishes) {
      const name = this.fresh(`${this.name(buf)}${sure ? '_row' : '_at'}`)
      const start = this.sum({ constant, terms: outer }, around)
      const type = sure ? this.pointerTo(this.bufs.get(buf)!) : 'const int32_t '
      const value = sure ? `${this.name(buf)} + ${strong(start, PRODUCT)}` : start.text
      this.lines.push(`${indent}${type}${name} = ${value};`)
      rows.set(key, { name, pointer: sure, constant })
    }
    return { inside: names, rows, always: true }
  }

  /** An element as an lvalue. */
  element(buf: string, at: readonly Expr[], around: Around): string {
    const sum = addressOf(this.bufs.get(buf)!, at)
    const { outer, inner } = split(sum, (e) => this.stays(e, around))
    const row = around.rows.get(rowKey(buf, outer))
    if (!row) return `${this.name(buf)}[${this.sum(sum, around).text}]`
    const rest = { constant: sum.constant - row.constant, terms: inner }
    if (row.pointer) return `${row.name}[${this.sum(rest, around).text}]`
    const index = this.sum(rest, around).text
    const more = index === '0' ? '' : index.startsWith('-') ? ` - ${index.slice(1)}` : ` + ${index}`
    return `${this.name(buf)}[${row.name}${more}]`
  }

  private loaded(e: Extract<Expr, { k: 'load' }>, around: Around): string {
    const element = this.element(e.buf, e.at, around)
    if (this.bufs.get(e.buf)!.elem !== 'f16') return element
    this.use('from_half')
    return `from_half(${element})`
  }

  /** Outer loops first, so that the compiler finds the prefixes that inner loops leave alone. */
  private sum({ constant, terms }: Sum, around: Around): Piece {
    const depth = ({ expr }: Term): number => {
      let deepest = -1
      visitExpr(expr, (e) => {
        if (e.k === 'var') deepest = Math.max(deepest, this.order.get(e.name) ?? -1)
      })
      return deepest
    }
    const list = [...terms.values()].sort((a, b) => depth(a) - depth(b))
    let text = ''
    for (const { expr, coef } of list) {
      const factor = Math.abs(coef) === 1 ? '' : ` * ${Math.abs(coef)}`
      const piece = this.expr(expr, around)
      if (text) text += ` ${coef < 0 ? '-' : '+'} ${strong(piece, PRODUCT)}${factor}`
      else text = coef < 0 ? `-${strong(piece, ATOM)}${factor}` : `${strong(piece, PRODUCT)}${factor}`
    }
    if (!text) text = String(constant)
    else if (constant !== 0) text += ` ${constant < 0 ? '-' : '+'} ${Math.abs(constant)}`
    return { text, prec: list.length + (constant === 0 ? 0 : 1) > 1 ? SUM : PRODUCT }
  }

  private assignment(name: string, value: Expr, around: Around): string {
    const to = this.name(name)
    if (
      value.k === 'op' &&
      (value.op === 'add' || value.op === 'sub') &&
      value.args[0].k === 'var' &&
      value.args[0].name === name
    )
      return `${to} ${value.op === 'add' ? '+' : '-'}= ${this.expr(value.args[1], around).text};`
    return `${to} = ${this.expr(value, around).text};`
  }

  expr(e: Expr, around: Around): Piece {
    if (e.type.lanes !== 1)
      bug(`kernel ${this.kernel.name}: the C printer is given a register of ${e.type.lanes} lanes`)
    switch (e.k) {
      case 'const':
        return constantPiece(e)
      case 'var':
        return { text: this.name(e.name), prec: ATOM }
      case 'load':
        return { text: this.loaded(e, around), prec: ATOM }
      case 'op':
        return operationPiece(
          e,
          e.args.map((a) => this.expr(a, around)),
          (name) => this.use(name),
        )
    }
  }
}

/** The buffers that the text mentions where routines are called, or where they are not. */
function mentioned(s: Stmt, routines: boolean, names = new Set<string>()): Set<string> {
  if (s.s === 'store') names.add(s.buf)
  if (s.s !== 'asm' || routines)
    for (const e of exprs(s))
      visitExpr(e, (part) => {
        if (part.k === 'load') names.add(part.buf)
      })
  if (s.s !== 'asm' || !routines) for (const t of inside(s)) mentioned(t, routines, names)
  return names
}

/** Lines of at most 120 columns where the text has spaces to break at; the further ones start with `indent`. */
export function broken(text: string, indent: string): string[] {
  const lines: string[] = []
  let rest = text
  while (rest.length > 120) {
    const at = rest.lastIndexOf(' ', 120)
    if (at <= indent.length) break
    lines.push(rest.slice(0, at))
    rest = indent + rest.slice(at + 1)
  }
  return [...lines, rest]
}

/** The kernel as a static C function. Throws our own fault on a kernel with lanes. */
export function kernelText(kernel: Kernel, functionName: string, options: KernelOptions = {}): KernelText {
  const printer = new Printer(simplify(kernel), options)
  printer.print(functionName)
  return {
    text: `${printer.lines.join('\n')}\n`,
    uses: printer.uses,
    floats: printer.floats,
    routines: printer.routines,
  }
}
