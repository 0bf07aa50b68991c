// Functions of int16 numbers as TensorFlow Lite tabulates them: 513 values of the function at equal steps, every one moved
// so that the middle of the next step is met as well, and linear interpolation by the low 7 bits.

import * as L from '../loops/build.ts'
import type { Buf, Expr, Stmt } from '../loops/ir.ts'
import { roundAway } from './quant.ts'

const STEPS = 512
const f = Math.fround

/** Scale and zero point of one side. */
interface Ends {
  readonly scale: number
  readonly zero: number
}

/** The table of a real function, each step in float32. */
export function lut16(from: Ends, to: Ends, real: (x: number) => number): Int16Array {
  const at = ({ scale, zero }: Ends, q: number) => f(f(scale) * f(q - zero))
  const least = at(from, -32768)
  const step = f(f(at(from, 32767) - least) / STEPS)
  const inverse = f(65536 / f(at(to, 32767) - at(to, -32768)))
  const stored = (x: number) => f(f(real(x)) * inverse)
  const round = (x: number) => f(roundAway(x))
  const limited = (v: number) => Math.max(-32768, Math.min(32767, v))
  return Int16Array.from({ length: STEPS + 1 }, (_, i) => {
    if (i === STEPS) return limited(round(stored(at(from, 32767))))
    const x = f(least + f(i * step))
    const here = round(stored(x))
    const next = stored(f(least + f((i + 1) * step)))
    const between = round(f(f(next + here) / 2))
    const error = f(between - round(stored(f(x + f(step / 2)))))
    return limited(f(here - round(f(error / 2))))
  })
}

/** The function of an int16 `q` by its table. */
export function lookUp16(table: Int16Array, q: number): number {
  const i = 256 + (q >> 7)
  return table[i] + (((table[i + 1] - table[i]) * (q & 127) + 64) >> 7)
}

/** The same in the loop language; `table` is a buffer of 513 int16. */
export function lookUp16Steps(table: Buf, q: Expr, name: string): readonly [readonly Stmt[], Expr] {
  const [declareV, v] = L.declare(`${name}_v`, q)
  const [declareI, i] = L.declare(`${name}_i`, L.add(L.op('shr', v, 7), 256))
  const [declareLow, low] = L.declare(`${name}_l`, L.load(table, i))
  const rise = L.op('sub', L.load(table, L.add(i, 1)), low)
  const part = L.op('shr', L.add(L.mul(rise, L.and(v, 127)), 64), 7)
  return [[declareV, declareI, declareLow], L.add(low, part)]
}
