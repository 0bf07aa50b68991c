// The routine that sums a plane four columns of a few rows at once by VMLA, weights in scalar registers: each row of the
// input is loaded once for all outputs that read it.

import type { Routine } from '../../loops/ir.ts'
import { advance, routine, setConstant } from './assembly.ts'
import { nameOf, type Plane, placeOf, REACH, range } from './plane.ts'

const ACCUMULATORS = 6
/** Scalar registers for weights. */
const WEIGHTS = ['r4', 'r5', 'r6', 'r7', 'r8', 'r9', 'r10', 'r11', 'r12']

/** Whether the weights of all taps stay in registers. */
function isResident({ row, column }: Plane): boolean {
  return row.taps * column.taps <= WEIGHTS.length
}

/** The rows of a group's window that its outputs read. */
function rowsOf({ row }: Plane, outputs: number): number[] {
  const used = new Set(range(outputs).flatMap((r) => range(row.taps).map((kh) => r * row.stride + kh)))
  return [...used].sort((a, b) => a - b)
}

function costOf(plane: Plane, outputs: number): number {
  const { row, column, signed } = plane
  const taps = row.taps * column.taps
  const loads = column.taps * rowsOf(plane, outputs).length + (isResident(plane) ? 0 : taps + column.taps)
  const group = loads + outputs * taps + 7 + outputs * (signed ? 9 : 7)
  return Math.ceil(row.output / outputs) * (Math.ceil(column.output / 4) * group + 12)
}

/** Rows of outputs at once. */
function outputsOf(plane: Plane): number {
  const all = range(Math.min(ACCUMULATORS, plane.row.output)).map((r) => r + 1)
  return all.reduce((best, n) => (costOf(plane, n) < costOf(plane, best) ? n : best))
}

/** Instructions for one plane; undefined where the window is too high, or neighbours are not a stride apart. */
export function columnsCost(plane: Plane): number | undefined {
  if (plane.row.taps > WEIGHTS.length || plane.phases !== plane.column.stride) return undefined
  return costOf(plane, outputsOf(plane))
}

/** r0: the plane, r1: the channel's words, r2: the channel's first output. */
export function columnsRoutine(plane: Plane): Routine {
  const { row, column, y, width, signed } = plane
  const R = outputsOf(plane)
  const acc = range(R).map((r) => `q${r}`)
  const resident = isResident(plane)
  const groups = Math.ceil(row.output / R)
  const over = groups * R - row.output
  const columns = 4 * Math.ceil(column.output / 4)

  const weight = (kh: number, kw: number) => WEIGHTS[resident ? kh * column.taps + kw : kh]
  const load = (kh: number, kw: number) => `ldrsb ${weight(kh, kw)}, [r1, #${16 + kh * column.taps + kw}]`
  const sums: string[] = []
  let at = 0
  const input = (i: number, kw: number) => {
    const to = i * width + placeOf(plane, kw)
    if (Math.abs(to - at) > REACH) sums.push(...advance('r0', to - at))
    const by = Math.abs(to - at) > REACH ? 0 : to - at
    sums.push(`vldrb.s32 q6, [r0${by ? `, #${by}]!` : ']'}`)
    at = to
    for (const [r, q] of acc.entries()) {
      const kh = i - r * row.stride
      if (kh >= 0 && kh < row.taps) sums.push(`vmla.s32 ${q}, q6, ${weight(kh, kw)}`)
    }
  }
  if (resident) for (const i of rowsOf(plane, R)) for (const kw of range(column.taps)) input(i, kw)
  else
    for (const kw of range(column.taps)) {
      sums.push(...range(row.taps).map((kh) => load(kh, kw)))
      for (const i of rowsOf(plane, R)) input(i, kw)
    }
  const group = [
    'ldr r3, [r1]',
    ...acc.map((q) => `vdup.32 ${q}, r3`),
    ...sums,
    ...advance('r0', 4 - at),
    'ldr r3, [r1, #4]',
    ...acc.map((q) => `vqrdmulh.s32 ${q}, ${q}, r3`),
    ...(signed ? acc.flatMap((q) => [`vshr.s32 q6, ${q}, #31`, `vadd.i32 ${q}, ${q}, q6`]) : []),
    'ldr r3, [r1, #8]',
    ...acc.map((q) => `vadd.i32 ${q}, ${q}, r3`),
    'ldr r3, [r1, #12]',
    ...acc.map((q) => `vqshl.s32 ${q}, r3`),
    ...acc.map((q) => `vshr.s32 ${q}, ${q}, #24`),
    ...acc.flatMap((q, r) => [
      ...(r === 0 ? [] : r === 1 ? advance('r3', y.row, 'r2') : advance('r3', y.row)),
      `vstrb.32 ${q}, [${r === 0 ? 'r2' : 'r3'}, q7]`,
    ]),
    ...advance('r2', 4 * y.column),
  ]
  const loop =
    column.output === 4
      ? group
      : [...setConstant('r3', column.output), 'dlstp.32 lr, r3', '2:', ...group, 'letp lr, 2b']
  const move = (rows: number, columnsBack: number) => [
    ...advance('r0', rows * row.stride * width - columnsBack),
    ...advance('r2', rows * y.row - columnsBack * y.column),
  ]
  const again = [
    ...move(R, columns),
    'ldr r3, [sp]',
    'subs r3, r3, #1',
    'str r3, [sp]',
    ...(over ? ['beq 3f', 'cmp r3, #1', 'bne 1b', ...move(-over, 0), 'b 1b', '3:'] : ['bne 1b']),
  ]
  return routine(`columns_${nameOf(plane)}`, { vectors: 4, words: groups > 1 ? 2 : 0 }, [
    'movs r4, #0',
    'vidup.u32 q7, r4, #1',
    ...setConstant('r3', y.column),
    'vmul.i32 q7, q7, r3',
    ...(resident ? range(column.taps).flatMap((kw) => range(row.taps).map((kh) => load(kh, kw))) : []),
    ...(groups > 1 ? [...setConstant('r3', groups), 'str r3, [sp]', '1:'] : []),
    ...loop,
    ...(groups > 1 ? again : []),
  ])
}
