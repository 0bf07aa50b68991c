import { describe, expect, test } from 'vitest'
import * as L from '../../src/loops/build.ts'
import { interpret } from '../../src/loops/interpret.ts'
import type { Data } from '../../src/loops/ir.ts'
import { printKernel } from '../../src/loops/print.ts'
import { simplify } from '../../src/loops/simplify.ts'

const x = L.buffer('x', 'i8', [6])
const y = L.buffer('y', 'i32', [6], 'write')

/** y[i] = x[i + shift] where that exists, else 7. */
function moved(extent: number, shift: number) {
  return L.kernel(
    'moved',
    [x, y],
    L.parallel('i', extent, (i) => {
      const at = L.add(i, shift)
      return L.when(L.and(L.ge(at, 0), L.lt(at, 6)), L.store(y, [i], L.load(x, at)), L.store(y, [i], L.expr(7)))
    }),
  )
}

function run(kernel: ReturnType<typeof moved>): number[] {
  const out: Data = new Int32Array(6)
  interpret(kernel, [Int8Array.of(1, 2, 3, 4, 5, 6), out])
  return [...out]
}

describe('simplify', () => {
  test('drops a condition that holds for every iteration', () => {
    expect(printKernel(simplify(moved(4, 2)))).not.toContain('if')
  })

  test('keeps the half of a condition that is not decided', () => {
    const text = printKernel(simplify(moved(6, 1)))
    expect(text).toContain('if ((i + 1) < 6)')
    expect(text).not.toContain('>=')
  })

  test('takes the other branch where a condition never holds', () => {
    const text = printKernel(simplify(moved(6, -6)))
    expect(text).not.toContain('if')
    expect(text).toContain('y[i] = 7')
  })

  test('replaces a loop of one iteration by its body', () => {
    expect(printKernel(simplify(moved(1, 0)))).not.toContain('parallel')
  })

  test('never changes what is computed', () => {
    for (let extent = 1; extent <= 6; extent++)
      for (let shift = -7; shift <= 7; shift++)
        expect(run(simplify(moved(extent, shift)))).toEqual(run(moved(extent, shift)))
  })

  test('leaves a bitwise and of numbers alone', () => {
    const k = L.kernel('bits', [x, y], L.store(y, [0], L.and(L.load(x, 0), 1)))
    expect(printKernel(simplify(k))).toContain('(x[0] & 1)')
  })
})
