// One channel of an image as a plane of bytes with the padding around it: what routines for depthwise sums read. Columns of
// one remainder by `phases` stand beside each other, so that columns that many apart are neighbours.

import * as L from '../../loops/build.ts'
import type { Buf, Expr, Routine, Stmt } from '../../loops/ir.ts'
import type { Axis } from '../armv7em/depthwise.ts'
import { advance, routine, setConstant } from './assembly.ts'

/** Elements from one row to the next, and from one column to the next. */
export interface Apart {
  readonly row: number
  readonly column: number
}

export interface Plane {
  readonly row: Axis
  readonly column: Axis
  readonly x: Apart
  readonly y: Apart
  readonly signed: boolean
  readonly phases: number
  /** Columns of one remainder. */
  readonly part: number
  /** Bytes of a row, and rows. */
  readonly width: number
  readonly height: number
}

/** What an address of 8-bit loads adds at most. */
export const REACH = 127

export const range = (n: number) => [...Array(n).keys()]

/** The plane with that many phases; undefined where its columns are too far apart for 16-bit offsets. */
export function planeOf(of: Pick<Plane, 'row' | 'column' | 'x' | 'y' | 'signed'>, phases: number): Plane | undefined {
  const { row, column, x } = of
  const part = Math.ceil(((column.output - 1) * column.stride + column.taps) / phases)
  const width = part * phases
  const height = (row.output - 1) * row.stride + row.taps
  if (7 * phases * x.column > 65535) return undefined
  return { ...of, phases, part, width, height }
}

/** Where column `j` stands in a row. */
export function placeOf({ phases, part }: Plane, j: number): number {
  return (j % phases) * part + Math.floor(j / phases)
}

/** What tells routines for planes apart. */
export function nameOf({ row, column, y, width, signed }: Plane): string {
  const taps = `${row.taps}x${column.taps}_${row.stride}${column.stride}`
  return `${taps}_${row.output}x${column.output}_${width}_${y.row}_${y.column}${signed ? '_signed' : ''}`
}

/** For each remainder by `phases`: its first column of the input, how many there are, and where they stand in a row. */
export function partsOf({ column, phases, part }: Plane): { first: number; columns: number; to: number }[] {
  const { before, input } = column
  return range(phases).map((p) => {
    const first = (((p - before) % phases) + phases) % phases
    const to = (first + before - p) / phases
    const columns = Math.max(0, Math.min(Math.ceil((input - first) / phases), part - to))
    return { first, columns, to: p * part + to }
  })
}

/** Rows of the input that outputs read. */
export function usedRows({ row }: Pick<Plane, 'row'>): number {
  return Math.min(row.input, (row.output - 1) * row.stride + row.taps - row.before)
}

/** Instructions that bring one channel to its plane. */
export function planeCost(plane: Plane): number {
  return usedRows(plane) * partsOf(plane).reduce((n, p) => n + 3 * Math.ceil(p.columns / 8), 4)
}

/** r0: the channel's first input, r1: the plane's row. */
export function planeRoutine(plane: Plane, rows: number): Routine {
  const { column, x, phases, width } = plane
  const line: string[] = []
  for (const { first, columns, to } of partsOf(plane)) {
    if (columns === 0) continue
    let at: number | undefined
    let stored: number | undefined
    const move = (i: number) => {
      const start = (first + i * phases) * x.column
      line.push(...(at === undefined ? advance('r3', start, 'r0') : advance('r3', start - at)))
      at = start
    }
    const store = (i: number) => {
      if (to + i <= REACH) return `[r1${to + i ? `, #${to + i}` : ''}]`
      line.push(...(stored === undefined ? advance('r4', to + i, 'r1') : advance('r4', to + i - stored)))
      stored = to + i
      return '[r4]'
    }
    if (columns < 8) {
      move(0)
      const place = store(0)
      line.push(`movs r2, #${columns}`, 'vctp.16 r2', 'vpstt', 'vldrbt.u16 q1, [r3, q0]', `vstrbt.16 q1, ${place}`)
      continue
    }
    for (let i = 0; i < columns; i += 8) {
      const from = Math.min(i, columns - 8)
      move(from)
      const place = store(from)
      line.push('vldrb.u16 q1, [r3, q0]', `vstrb.16 q1, ${place}`)
    }
  }
  const next = [...advance('r0', x.row), ...advance('r1', width)]
  const body = rows === 1 ? line : [...setConstant('r3', rows), 'dls lr, r3', '1:', ...line, ...next, 'le lr, 1b']
  const shape = `${rows}x${column.input}_${column.before}_${phases}_${width}_${x.row}_${x.column}`
  return routine(`plane_${shape}`, {}, [
    'movs r2, #0',
    'vidup.u16 q0, r2, #1',
    ...setConstant('r3', phases * x.column),
    'vmul.i16 q0, q0, r3',
    ...body,
  ])
}

export function planeMeans(
  plane: Plane,
  rows: number,
  x: Buf,
  from: Expr,
  to: Buf,
  at: number,
  name: (base: string) => string,
): Stmt {
  const { x: apart, phases, width } = plane
  return L.loop(name('h'), rows, (h) =>
    partsOf(plane).map((p) =>
      L.loop(name('w'), p.columns, (w) => {
        const line = L.mul(h, apart.row)
        const source = L.add(line, L.add(L.mul(w, phases * apart.column), p.first * apart.column))
        return L.store(to, [L.add(L.add(L.mul(h, width), w), at + p.to)], L.load(x, L.add(from, source)))
      }),
    ),
  )
}
