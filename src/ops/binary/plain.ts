// Addition, subtraction, multiplication and division of plain numbers: floats rounded once, whole numbers wrapping and
// divided toward zero.

import * as L from '../../loops/build.ts'
import { divide, divideExpr, divideLong } from '../integers.ts'
import type { Scalars } from '../scalars.ts'

export type Combine = 'add' | 'sub' | 'mul' | 'div'

function wrapping(combine: 'add' | 'sub' | 'mul'): Pick<Scalars, 'expr'> {
  return { expr: ([a, b], num) => L.op(num === 'i32' || num === 'i64' ? `w${combine}` : combine, a, b) }
}

export const PLAIN: Readonly<Record<Combine, Scalars>> = {
  add: { ...wrapping('add'), real: (a, b) => a + b, int: (a, b) => (a + b) | 0, long: (a, b) => a + b },
  sub: { ...wrapping('sub'), real: (a, b) => a - b, int: (a, b) => (a - b) | 0, long: (a, b) => a - b },
  mul: { ...wrapping('mul'), real: (a, b) => a * b, int: Math.imul, long: (a, b) => a * b },
  div: {
    real: (a, b) => a / b,
    int: divide,
    long: divideLong,
    expr: ([a, b], num) => (num === 'f32' || num === 'f64' ? L.op('div', a, b) : divideExpr(a, b, num)),
  },
}
