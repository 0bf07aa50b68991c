// The routine that sums a plane one row of a window at a time by VMLADAVA, weights in vector registers, four outputs for each
// requantisation. Lanes beyond a window's row are multiplied by 0.

import type { Routine } from '../../loops/ir.ts'
import { advance, lanes, routine, setConstant } from './assembly.ts'
import { nameOf, type Plane, REACH, range } from './plane.ts'
import { requantize, requantizeCost } from './requantize.ts'

/** Rows of weights that stay in registers; one more is loaded for each group of outputs. */
const RESIDENT = 6

/** Instructions for one plane; undefined where the window does not fit the registers, or neighbours are no neighbours here. */
export function windowsCost({ row, column, phases, signed }: Plane): number | undefined {
  if (row.taps > RESIDENT + 1 || column.taps > 16 || phases !== 1) return undefined
  const group = (n: number) => row.taps * (1 + n) + row.taps * n - row.taps + 10 + requantizeCost(signed)
  const [whole, over] = [column.output >> 2, column.output & 3]
  return 25 + 3 * row.taps + row.output * (whole * group(4) + (over ? group(over) + 3 : 0) + 6)
}

/** Bytes of weights behind the last, of which the routine reads lanes. */
export function windowsPadding({ row, column }: Plane): number {
  return row.taps > RESIDENT ? 16 - column.taps : 0
}

/** r0: the plane, r1: the channel's words, r2: the channel's first output. */
export function windowsRoutine(plane: Plane): Routine {
  const { row, column, y, width, signed } = plane
  const resident = Math.min(row.taps, RESIDENT)
  // q7 is free for weights, and to compute in, where it is loaded with the places of outputs anew
  const loaded = row.taps >= RESIDENT
  const weights = (kh: number) => (kh < RESIDENT ? `q${1 + kh}` : 'q7')
  const acc = ['r4', 'r6', 'r8', 'r10']
  const [whole, over] = [column.output >> 2, column.output & 3]

  const group = (n: number): string[] => {
    const sums: string[] = []
    let at = 0
    for (const kh of range(row.taps)) {
      if (kh >= RESIDENT) sums.push(`vldrb.u8 q7, [r1, #${kh * column.taps}]`)
      for (const i of range(n)) {
        const to = kh * width + i * column.stride
        const far = Math.abs(to - at) > REACH
        if (far) sums.push(...advance('r0', to - at))
        sums.push(`vldrb.u8 q0, [r0${far || to === at ? ']' : `, #${to - at}]!`}`)
        at = to
        sums.push(`vmladav${kh ? 'a' : ''}.s8 ${acc[i]}, q0, ${weights(kh)}`)
      }
    }
    return [
      ...sums,
      ...advance('r0', n * column.stride - at),
      ...lanes(
        'q0',
        [0, 1, 2, 3].map((i) => acc[Math.min(i, n - 1)]),
      ),
      'vadd.i32 q0, q0, r5',
      ...requantize('q0', ['r7', 'r9', 'r11'], signed ? (loaded ? 'q7' : 'q6') : undefined),
      'vshr.s32 q0, q0, #24',
      ...(loaded ? ['vldrw.u32 q7, [sp]'] : []),
      ...(n < 4 ? [`movs r3, #${n}`, 'vctp.32 r3', 'vpst', 'vstrbt.32 q0, [r2, q7]'] : ['vstrb.32 q0, [r2, q7]']),
      ...advance('r2', n * y.column),
    ]
  }
  const line = [
    ...(whole > 1
      ? [...setConstant('r3', whole), 'dls lr, r3', '2:', ...group(4), 'le lr, 2b']
      : whole
        ? group(4)
        : []),
    ...(over ? group(over) : []),
    ...(row.output > 1
      ? [
          ...advance('r0', row.stride * width - column.output * column.stride),
          ...advance('r2', y.row - column.output * y.column),
          'subs r12, r12, #1',
          'bne 1b',
        ]
      : []),
  ]
  return routine(`windows_${nameOf(plane)}`, { vectors: 4, words: 4 }, [
    'movs r4, #0',
    'vidup.u32 q7, r4, #1',
    ...setConstant('r3', y.column),
    'vmul.i32 q7, q7, r3',
    ...(loaded ? ['vstrw.32 q7, [sp]'] : []),
    ...['r5', 'r7', 'r9', 'r11'].map((r) => `ldr ${r}, [r1], #4`),
    `movs r3, #${column.taps}`,
    'vctp.8 r3',
    ...range(resident).flatMap((kh) => ['vpst', `vldrbt.u8 ${weights(kh)}, [r1, #${kh * column.taps}]`]),
    ...(row.output > 1 ? [...setConstant('r12', row.output), '1:'] : []),
    ...line,
  ])
}
