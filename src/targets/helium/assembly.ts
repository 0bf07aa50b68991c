// Armv8.1-M routines with Helium: arguments in r0 to r3, all of r4 to r11 and lr free, q0 to q3 free and as many of q4 to
// q7 as are asked for.

import { bug } from '../../errors.ts'
import type { Routine } from '../../loops/ir.ts'

/** Sets `to` to `from` plus a constant of either sign, below 2^20 in size. */
export function advance(to: string, value: number, from = to): string[] {
  const [op, size] = value < 0 ? ['sub', -value] : ['add', value]
  if (size >= 2 ** 20) bug(`${to} advances by ${value}`)
  const [low, high] = [size & 4095, size & ~4095]
  if (size === 0) return to === from ? [] : [`mov ${to}, ${from}`]
  const first = low ? [`${op}w ${to}, ${from}, #${low}`] : []
  return [...first, ...(high ? [`${op} ${to}, ${low ? to : from}, #${high}`] : [])]
}

export function setConstant(to: string, value: number): string[] {
  const high = value >>> 16
  return [`movw ${to}, #${value & 0xffff}`, ...(high ? [`movt ${to}, #${high}`] : [])]
}

/** The lanes of a vector from four scalar registers. */
export function lanes(q: string, [a, b, c, d]: readonly string[]): string[] {
  return [`vmov ${q}[2], ${q}[0], ${a}, ${c}`, `vmov ${q}[3], ${q}[1], ${b}, ${d}`]
}

/** `body` between saving and restoring registers, q4 and the next `vectors` - 1 among them, with `words` on the stack. */
export function routine(name: string, { vectors = 0, words = 0 }, body: readonly string[]): Routine {
  const saved = vectors ? [`{d8-d${7 + 2 * vectors}}`] : []
  return {
    machine: 'armv8.1-m.mve',
    name,
    text: [
      'push {r4, r5, r6, r7, r8, r9, r10, r11, lr}',
      ...saved.map((d) => `vpush ${d}`),
      ...(words ? [`sub sp, sp, #${4 * words}`] : []),
      ...body,
      ...(words ? [`add sp, sp, #${4 * words}`] : []),
      ...saved.map((d) => `vpop ${d}`),
      'pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}',
    ].join('\n'),
  }
}
