// Routines that bring windows to where tiles read them: `row` copies one row of the input between borders of the zero
// point, `fill` makes a row that lies in the padding, `gather` copies the windows of a few pixels, each without gaps.
// Rows and windows are written in ascending order in steps of 16 bytes: up to 15 bytes behind each are overwritten by the
// next, behind the last they are SLACK.

import * as L from '../../loops/build.ts'
import type { Buf, Expr, Routine, Stmt } from '../../loops/ir.ts'
import type { Row } from '../armv7em/gather.ts'
import { advance, routine, setConstant } from './assembly.ts'

/** Bytes behind a strip or the windows that are written, and read, without meaning. */
export const SLACK = 16

const UNROLLED = 6

const blocksOf = (bytes: number) => Math.ceil(bytes / 16)

/** `n` times in a loop, or unrolled where few. */
function times(n: number, body: readonly string[]): string[] {
  if (n <= UNROLLED) return Array.from({ length: n }, () => body).flat()
  return [...setConstant('r3', n), 'dls lr, r3', '1:', ...body, 'le lr, 1b']
}

/** Stores q0 in `count` bytes at r0 and moves it behind them. */
function fills(count: number): string[] {
  if (count === 0) return []
  const blocks = blocksOf(count)
  const last = count - 16 * (blocks - 1)
  return [...times(blocks - 1, ['vstrb.8 q0, [r0], #16']), `vstrb.8 q0, [r0], #${last}`]
}

function copies(count: number): string[] {
  const whole = count >> 4
  const over = count & 15
  const last =
    count < 16
      ? [`movs r3, #${over}`, 'vctp.8 r3', 'vpst', 'vldrbt.u8 q1, [r1]', `vstrb.8 q1, [r0], #${over}`]
      : [`vldrb.u8 q1, [r1, #${over - 16}]`, `vstrb.8 q1, [r0, #${over - 16}]`, `adds r0, #${over}`]
  return [...times(whole, ['vldrb.u8 q1, [r1], #16', 'vstrb.8 q1, [r0], #16']), ...(over ? last : [])]
}

/** r0: to, r1: from, r2: the zero point in each byte. */
export function rowRoutine({ before, copied, behind }: Row): Routine {
  const body = ['vdup.32 q0, r2', ...fills(before), ...copies(copied), ...fills(behind)]
  return routine(`strip_row_${before}_${copied}_${behind}`, {}, body)
}

/** r0: to, r2: the zero point in each byte. */
export function fillRoutine(count: number): Routine {
  return routine(`strip_fill_${count}`, {}, ['vdup.32 q0, r2', ...fills(count)])
}

/** The windows of `pixels` neighbours: each is `runs` runs of `length` bytes. Distances are in bytes. */
export interface Gather {
  readonly pixels: number
  readonly runs: number
  readonly length: number
  /** From one run to the next. */
  readonly step: number
  /** From one pixel to the next. */
  readonly stride: number
  /** Of a gathered window. */
  readonly size: number
  /** SLACK bytes behind the last run may be read. */
  readonly slack: boolean
}

export function gatherCost({ pixels, runs, length, slack }: Gather): number {
  return 20 + pixels * runs * (2 * blocksOf(length) + (length % 16 && !slack ? 1 : 0))
}

/** r0: the first window, r1: to. */
export function gatherRoutine({ pixels, runs, length, step, stride, size, slack }: Gather): Routine {
  const blocks = blocksOf(length)
  const last = length - 16 * (blocks - 1)
  const body: string[] = []
  const partial = last < 16 && !slack
  if (partial) body.push(`movs r3, #${last}`, 'vctp.8 r3')
  let at = 0
  for (let p = 0; p < pixels; p++)
    for (let r = 0; r < runs; r++) {
      const start = p * stride + r * step
      body.push(...advance('r0', start - at))
      for (let b = 0; b < blocks - 1; b++) body.push('vldrb.u8 q0, [r0], #16', 'vstrb.8 q0, [r1], #16')
      at = start + 16 * (blocks - 1)
      const next = r + 1 < runs ? p * stride + (r + 1) * step : (p + 1) * stride
      const ahead = Math.abs(next - at) < 128 && next !== at ? next - at : 0
      const load = `q0, [r0]${ahead ? `, #${ahead}` : ''}`
      body.push(...(partial ? ['vpst', `vldrbt.u8 ${load}`] : [`vldrb.u8 ${load}`]))
      at += ahead
      body.push(`vstrb.8 q0, [r1], #${last + (r + 1 < runs ? 0 : size - runs * length)}`)
    }
  return routine(`gather_${pixels}_${runs}x${length}_${step}_${stride}${slack ? '' : '_all'}`, {}, body)
}

/** The same in loops: from `x` at `from` into `to`. */
export function gatherMeans(
  { pixels, runs, length, step, stride, size }: Gather,
  x: Buf,
  from: Expr,
  to: Buf,
  name: (base: string) => string,
): Stmt {
  return L.loop(name('p'), pixels, (p) =>
    L.loop(name('r'), runs, (r) =>
      L.loop(name('i'), length, (i) => {
        const at = L.add(L.add(L.mul(p, stride), L.mul(r, step)), i)
        return L.store(to, [L.add(L.add(L.mul(p, size), L.mul(r, length)), i)], L.load(x, L.add(from, at)))
      }),
    ),
  )
}
