// The printed form of a kernel: the text that goldens hold, and the key by which layers of one shape share a kernel.

import type { Expr, Kernel, Num, OpName, Stmt, Type } from './ir.ts'

const INFIX: Partial<Record<OpName, string>> = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  rem: '%',
  and: '&',
  or: '|',
  xor: '^',
  shl: '<<',
  shr: '>>',
  ushr: '>>>',
  eq: '==',
  ne: '!=',
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
  wadd: '+%',
  wsub: '-%',
  wmul: '*%',
}

const SUFFIX: Record<Num, string> = { i8: '', i16: '', i32: '', i64: 'l', f32: 'f', f64: 'd' }

export function printType(t: Type): string {
  return t.lanes === 1 ? t.num : `${t.num}x${t.lanes}`
}

export function printExpr(e: Expr): string {
  switch (e.k) {
    case 'const':
      return `${Object.is(e.value, -0) && e.type.num.startsWith('f') ? '-0' : e.value}${SUFFIX[e.type.num]}`
    case 'var':
      return e.name
    case 'load': {
      const lanes = e.type.lanes > 1 ? `:${printType(e.type)}` : ''
      return `${e.buf}[${e.at.map(printExpr).join(', ')}]${lanes}`
    }
    case 'op': {
      const infix = INFIX[e.op]
      const args = e.args.map(printExpr)
      if (infix && args.length === 2) return `(${args[0]} ${infix} ${args[1]})`
      const name = e.op === 'splat' ? printType(e.type) : e.op === 'part' ? `${e.op}${e.type.lanes}` : e.op
      return `${name}(${args.join(', ')})`
    }
  }
}

function printStmt(s: Stmt, indent: string, out: string[]): void {
  switch (s.s) {
    case 'block':
      for (const t of s.body) printStmt(t, indent, out)
      break
    case 'for':
      out.push(`${indent}${s.parallel ? 'parallel' : 'for'} ${s.v} in ${s.extent}`)
      printStmt(s.body, `${indent}  `, out)
      break
    case 'let':
      out.push(`${indent}let ${s.name}: ${printType(s.value.type)} = ${printExpr(s.value)}`)
      break
    case 'set':
      out.push(`${indent}${s.name} = ${printExpr(s.value)}`)
      break
    case 'store': {
      const lanes = s.value.type.lanes > 1 ? `:${s.value.type.lanes}` : ''
      out.push(`${indent}${s.buf}[${s.at.map(printExpr).join(', ')}]${lanes} = ${printExpr(s.value)}`)
      break
    }
    case 'if':
      out.push(`${indent}if ${printExpr(s.cond)}`)
      printStmt(s.body, `${indent}  `, out)
      if (s.else) {
        out.push(`${indent}else`)
        printStmt(s.else, `${indent}  `, out)
      }
      break
    case 'asm':
      out.push(`${indent}asm ${s.routine.name}(${s.args.map(printExpr).join(', ')})`)
      printStmt(s.means, `${indent}  `, out)
      break
  }
}

/** Two kernels are the same program if and only if they print the same apart from the name on the first line. */
export function printKernel(k: Kernel): string {
  const bufs = k.bufs.map((b) => `${b.access} ${b.name}: ${b.elem}[${b.shape.join(', ')}]`)
  const out = [`kernel ${k.name}(${bufs.join('; ')})`]
  printStmt(k.body, '  ', out)
  return out.join('\n')
}

/** The key by which kernels are shared: the printed form without the name. */
export function kernelKey(k: Kernel): string {
  return printKernel({ ...k, name: '' })
}
