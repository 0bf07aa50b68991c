// Thumb-2 routines as text: registers by number, instructions one a line. r0 to r3 hold the arguments; `routine`
// saves r4 to r11 and lr around the body, so that thirteen registers and lr are free.

import type { Routine } from '../../loops/ir.ts'

export const LR = 14

export function reg(n: number): string {
  return n === LR ? 'lr' : `r${n}`
}

/** `{r4, r5, lr}` of registers in ascending order. */
export function list(registers: readonly number[]): string {
  return `{${registers.map(reg).join(', ')}}`
}

/** Loads consecutive words and moves `base` behind them. */
export function loadWords(base: number, registers: readonly number[]): string {
  if (registers.length === 1) return `ldr ${reg(registers[0])}, [${reg(base)}], #4`
  return `ldmia ${reg(base)}!, ${list(registers)}`
}

/** Adds a constant of either sign, up to 4095 in size, or any through `spare`. */
export function addConstant(to: number, value: number, spare: number): string[] {
  const [op, size] = value < 0 ? ['sub', -value] : ['add', value]
  if (size === 0) return []
  if (size < 4096) return [`${op}w ${reg(to)}, ${reg(to)}, #${size}`]
  return [...setConstant(spare, size), `${op} ${reg(to)}, ${reg(to)}, ${reg(spare)}`]
}

export function setConstant(to: number, value: number): string[] {
  const high = value >>> 16
  return [`movw ${reg(to)}, #${value & 0xffff}`, ...(high ? [`movt ${reg(to)}, #${high}`] : [])]
}

/** The body between saving and restoring registers, with `words` of r0 and up on the stack at [sp]. */
export function routine(
  name: string,
  saved: number,
  body: readonly string[],
  machine: Routine['machine'] = 'armv7e-m',
): Routine {
  const kept = [0, 1, 2, 3].slice(0, saved)
  return {
    machine,
    name,
    text: [
      'push {r4, r5, r6, r7, r8, r9, r10, r11, lr}',
      ...(kept.length ? [`push ${list(kept)}`] : []),
      ...body,
      ...(kept.length ? [`add sp, sp, #${4 * kept.length}`] : []),
      'pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}',
    ].join('\n'),
  }
}

/** `s0-s7` of neighbouring registers of single precision. */
export function singles(first: number, count: number): string {
  return count === 1 ? `{s${first}}` : `{s${first}-s${first + count - 1}}`
}

/** The same for single precision: all 32 registers are free. */
export function floatRoutine(name: string, body: readonly string[]): Routine {
  return routine(name, 0, ['vpush {d8-d15}', ...body, 'vpop {d8-d15}'], 'armv7e-m.fp')
}
