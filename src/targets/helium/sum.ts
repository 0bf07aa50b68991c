// Sums of two int8 tensors of one shape in lanes of 32 bits: VQDMULH of an element in the upper bits is floor(k * x / 2^8),
// so that four elements take eleven instructions.

import type { Routine } from '../../loops/ir.ts'
import { summed } from '../armv7em/sum.ts'
import type { Recipe } from '../target.ts'
import { routine, setConstant } from './assembly.ts'

function sumRoutine(elements: number, shift: number): Routine {
  return routine(`helium_sum_${elements}_${shift}`, {}, [
    'ldm r3, {r4, r5, r6}',
    ...setConstant('r7', elements),
    'dlstp.32 lr, r7',
    '1:',
    'vldrb.s32 q0, [r0], #4',
    'vldrb.s32 q1, [r1], #4',
    'vshl.s32 q0, q0, #23',
    'vshl.s32 q1, q1, #23',
    'vqdmulh.s32 q0, q0, r4',
    'vqdmulh.s32 q1, q1, r5',
    'vadd.i32 q0, q0, r6',
    'vadd.i32 q0, q0, q1',
    `vqshl.s32 q0, q0, #${24 - shift}`,
    'vshr.s32 q0, q0, #24',
    'vstrb.32 q0, [r2], #4',
    'letp lr, 1b',
  ])
}

/** Sums in lanes. */
export const sum: Recipe = { name: 'sums in lanes', apply: (call) => summed(call, { step: 1, routine: sumRoutine }) }
