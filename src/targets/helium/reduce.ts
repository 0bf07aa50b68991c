// Sums and maxima of int8 over rows (means, pools): all of the last axis in lanes, wide enough for the sums.

import type { Routine } from '../../loops/ir.ts'
import { type Kind, nameOf, type Rows, reduced } from '../armv7em/reduce.ts'
import type { Recipe } from '../target.ts'
import { advance, routine, setConstant } from './assembly.ts'

const VECTORS = 6
const bits = ({ elem }: Kind) => Number(elem.slice(1))

function kindOf(op: Kind['op'], rows: number): Kind {
  if (op === 'max') return { op, elem: 'i8', lanes: 16 }
  return rows < 256 ? { op, elem: 'i16', lanes: 8 } : { op, elem: 'i32', lanes: 4 }
}

function reduceRoutine(kind: Kind, rows: Rows, n: number): Routine {
  const { op, lanes } = kind
  const { count, apart, places } = rows
  const load = bits(kind) === 8 ? 'vldrb.u8' : `vldrb.s${bits(kind)}`
  const store = { i8: 'vstrb.8', i16: 'vstrh.16', i32: 'vstrw.32' }[kind.elem]
  const combine = (q: string) => (op === 'max' ? `vmax.s8 ${q}, ${q}, q0` : `vadd.i${bits(kind)} ${q}, ${q}, q0`)
  const some = (vectors: number): string[] => {
    const all = Array.from({ length: vectors }, (_, j) => `q${1 + j}`)
    const row = all.flatMap((q, j) => [`${load} q0, [r3${j ? `, #${j * lanes}` : ''}]`, combine(q)])
    const first = all.map((q, j) => `${load} ${q}, [r3${j ? `, #${j * lanes}` : ''}]`)
    const rest =
      apart === undefined
        ? places.slice(1).flatMap((p, i) => [...advance('r3', p - places[i]), ...row])
        : count > 1
          ? [...setConstant('r2', count - 1), 'dls lr, r2', '2:', ...advance('r3', apart), ...row, 'le lr, 2b']
          : []
    return [
      'mov r3, r0',
      ...first,
      ...rest,
      ...all.map((q) => `${store} ${q}, [r1], #16`),
      ...advance('r0', vectors * lanes),
    ]
  }
  const whole = Math.floor(n / lanes)
  const [turns, left] = [Math.floor(whole / VECTORS), whole % VECTORS]
  const over = n % lanes ? lanes - (n % lanes) : 0
  return routine(nameOf(kind, rows, n), { vectors: whole < 4 ? 0 : 3 }, [
    ...(turns > 1 ? [...setConstant('r4', turns), '1:', ...some(VECTORS), 'subs r4, r4, #1', 'bne 1b'] : []),
    ...(turns === 1 ? some(VECTORS) : []),
    ...(left ? some(left) : []),
    ...(over ? [...advance('r0', -over), ...advance('r1', (-over * bits(kind)) / 8), ...some(1)] : []),
  ])
}

/** Sums and maxima over rows. */
export const reduce: Recipe = {
  name: 'rows in lanes',
  apply: (call) => reduced(call, { kindOf, routine: reduceRoutine }),
}
