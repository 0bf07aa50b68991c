// Routines for sums of float32 products in the order of the loops, each product and each sum rounded (VMLA.F32 does that). `tile`
// adds the products of two rows by eight lanes to what stands in memory, so that long sums go block by block; `strip` turns
// int8 into the float32 lanes that a tile reads, once for all rows.

import * as L from '../../loops/build.ts'
import type { Buf, Expr, Routine, Stmt } from '../../loops/ir.ts'
import { floatRoutine, singles } from './assembly.ts'

export const LANES = 8
export const ROWS = 2

/** Distances are in elements. out[r][l] += sum over k of a[r][k] * b[k][l]. */
export interface Tile {
  /** 1 or 2 at once. */
  readonly rows: number
  readonly lanes: number
  /** Times that many rows. */
  readonly turns: number
  readonly k: number
  readonly aRow: number
  readonly aK: number
  readonly bK: number
  readonly outRow: number
}

/** The numbers that the routine reads: turns, k in fours, k left over, and distances in bytes. */
export function tileNumbers({ rows, turns, k, aRow, aK, bK, outRow }: Tile): number[] {
  return [turns, k >> 2, k & 3, 4 * aRow, 4 * rows * aRow, 4 * outRow, 4 * rows * outRow, 4 * aK, 4 * bK]
}

export const TILE_NUMBERS = 9

/** How the factors of a row stand: four along k are loaded at once, or those of both rows, or each alone. */
function kindOf({ rows, aRow, aK }: Tile): 'near' | 'pairs' | 'apart' {
  return aK === 1 ? 'near' : aRow === 1 && rows === 2 ? 'pairs' : 'apart'
}

/** r0: a, r1: b, r2: out, r3: the numbers. */
export function tileRoutine(tile: Tile): Routine {
  const { rows, lanes, bK } = tile
  const kind = kindOf(tile)
  const dense = bK === lanes
  const factor = (r: number) => (kind === 'pairs' ? 24 + r : 24 + 4 * r)
  const from = ['r12', 'lr'].slice(0, rows)
  const to = ['r2', 'r10'].slice(0, rows)
  const each = (f: (r: number) => readonly string[]) => Array.from({ length: rows }, (_, r) => f(r)).flat()
  const products = (k: number) => [
    ...(dense ? [`vldmia r5!, ${singles(16, lanes)}`] : [`vldmia r5, ${singles(16, lanes)}`, 'add r5, r5, r9']),
    ...each((r) =>
      Array.from({ length: lanes }, (_, l) => `vmla.f32 s${LANES * r + l}, s${16 + l}, s${factor(r) + k}`),
    ),
  ]
  const next = kind === 'near' ? '#4' : 'r8'
  const one = [
    ...(kind === 'pairs'
      ? ['vldmia r12, {s24-s25}', 'add r12, r12, r8']
      : each((r) => [`vldr s${factor(r)}, [${from[r]}]`, `add ${from[r]}, ${from[r]}, ${next}`])),
    ...products(0),
  ]
  const four =
    kind === 'near'
      ? [...each((r) => [`vldmia ${from[r]}!, ${singles(factor(r), 4)}`]), ...[0, 1, 2, 3].flatMap(products)]
      : [...one, ...one, ...one, ...one]
  const sums = (r: number) => singles(LANES * r, lanes)
  return floatRoutine(`products_${rows}x${lanes}_${kind}${dense ? '' : '_strided'}`, [
    'ldr r4, [r3]',
    ...(kind === 'near' ? [] : ['ldr r8, [r3, #28]']),
    ...(dense ? [] : ['ldr r9, [r3, #32]']),
    '1:',
    'mov r12, r0',
    'mov r5, r1',
    'ldrd r6, r7, [r3, #4]',
    ...(rows > 1 && kind !== 'pairs' ? ['ldr lr, [r3, #12]', 'add lr, r0, lr'] : []),
    ...(rows > 1 ? ['ldr r10, [r3, #20]', 'add r10, r2, r10'] : []),
    ...each((r) => [`vldmia ${to[r]}, ${sums(r)}`]),
    'cmp r6, #0',
    'beq 3f',
    '2:',
    ...four,
    'subs r6, r6, #1',
    'bne 2b',
    '3:',
    'cmp r7, #0',
    'beq 5f',
    '4:',
    ...one,
    'subs r7, r7, #1',
    'bne 4b',
    '5:',
    ...each((r) => [`vstmia ${to[r]}, ${sums(r)}`]),
    'ldr r6, [r3, #16]',
    'add r0, r0, r6',
    'ldr r6, [r3, #24]',
    'add r2, r2, r6',
    'subs r4, r4, #1',
    'bne 1b',
  ])
}

/** The same in loops: `a`, `b` and `out` are flat, and begin at `at`. */
export function tileMeans(
  { rows, lanes, turns, k, aRow, aK, bK, outRow }: Tile,
  [a, b, out]: readonly [Buf, Buf, Buf],
  at: readonly [Expr, Expr, Expr],
  name: (base: string) => string,
): Stmt {
  const place = (i: number, x: Expr, dx: number, y: Expr, dy: number) => L.add(L.add(at[i], L.mul(x, dx)), L.mul(y, dy))
  return L.loops([name('r'), name('l')], [turns * rows, lanes], (r, l) => {
    const to = place(2, r, outRow, l, 1)
    const [start, acc] = L.declare(name('acc'), L.load(out, to))
    const sum = L.loop(name('k'), k, (v) =>
      L.set(acc, L.add(acc, L.mul(L.load(a, place(0, r, aRow, v, aK)), L.load(b, place(1, v, bK, l, 1))))),
    )
    return [start, sum, L.store(out, [to], acc)]
  })
}

/** `rows` rows of `lanes` int8, `apart` elements from one to the next, as float32 side by side. */
export interface Strip {
  readonly rows: number
  readonly lanes: number
  readonly apart: number
}

/** r0: int8, r1: float32, r2: what is added to each, r3: rows, and in the upper half `apart`. */
export function stripRoutine({ lanes }: Strip): Routine {
  const fours = Array.from({ length: lanes >> 2 }, (_, q) => [
    `ldr r4, [r0, #${4 * q}]`,
    'sxtab r6, r2, r4',
    'sxtab r7, r2, r4, ror #8',
    'sxtab r8, r2, r4, ror #16',
    'sxtab r9, r2, r4, ror #24',
    `vmov s${4 * q}, s${4 * q + 1}, r6, r7`,
    `vmov s${4 * q + 2}, s${4 * q + 3}, r8, r9`,
  ])
  const rest = Array.from({ length: lanes & 3 }, (_, i) => {
    const l = (lanes & ~3) + i
    return [`ldrsb r6, [r0, #${l}]`, 'add r6, r6, r2', `vmov s${l}, r6`]
  })
  return floatRoutine(`strip_${lanes}`, [
    'lsr r5, r3, #16',
    'uxth r3, r3',
    '1:',
    ...fours.flat(),
    ...rest.flat(),
    'add r0, r0, r5',
    ...Array.from({ length: lanes }, (_, l) => `vcvt.f32.s32 s${l}, s${l}`),
    `vstmia r1!, ${singles(0, lanes)}`,
    'subs r3, r3, #1',
    'bne 1b',
  ])
}

/** The same in loops: from `x` at `from`, into `strip` at 0; `shift` is added. */
export function stripMeans(
  { rows, lanes, apart }: Strip,
  x: Buf,
  from: Expr,
  shift: Expr,
  strip: Buf,
  name: (base: string) => string,
): Stmt {
  return L.loops([name('k'), name('l')], [rows, lanes], (k, l) => {
    const value = L.load(x, L.add(L.add(from, L.mul(k, apart)), l))
    return L.store(strip, [L.add(L.mul(k, lanes), l)], L.op('toF32', L.add(value, shift)))
  })
}
