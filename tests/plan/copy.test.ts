import { describe, expect, test } from 'vitest'
import type { Value } from '../../src/ir/graph.ts'
import { add, buffer, kernel, load, loop, loops, mul, op, store } from '../../src/loops/build.ts'
import type { Buf, Stmt } from '../../src/loops/ir.ts'
import { isCopy } from '../../src/plan/copy.ts'
import { i32 } from '../support/toy_ops.ts'

const from: Value = { name: 'from', type: i32(6), storage: 'temp' }
const to: Value = { name: 'to', type: i32(6), storage: 'temp' }
const copies = (x: Buf, y: Buf, ...body: Stmt[]) =>
  isCopy({ kernel: kernel('k', [x, y], ...body), args: [{ value: from }, { value: to }] }, from, to)

const x = buffer('x', 'i32', [6])
const y = buffer('y', 'i32', [6], 'write')
const y23 = buffer('y', 'i32', [2, 3], 'write')
const y213 = buffer('y', 'i32', [2, 1, 3], 'write')

describe('isCopy', () => {
  test('sees the same element order under different shapes', () => {
    expect(
      copies(
        x,
        y,
        loop('i', 6, (i) => store(y, [i], load(x, i))),
      ),
    ).toBe(true)
    expect(
      copies(
        x,
        y23,
        loops(['a', 'b'], [2, 3], (a, b) => store(y23, [a, b], load(x, add(mul(a, 3), b)))),
      ),
    ).toBe(true)
    expect(
      copies(
        x,
        y213,
        loops(['a', 'c', 'b'], [2, 1, 3], (a, c, b) => store(y213, [a, c, b], load(x, add(mul(a, 3), b)))),
      ),
    ).toBe(true)
  })

  test('sees that elements move, change, or come from elsewhere', () => {
    expect(
      copies(
        x,
        y23,
        loops(['a', 'b'], [2, 3], (a, b) => store(y23, [a, b], load(x, add(mul(b, 2), a)))),
      ),
    ).toBe(false)
    expect(
      copies(
        x,
        y,
        loop('i', 5, (i) => store(y, [i], load(x, add(i, 1)))),
      ),
    ).toBe(false)
    expect(
      copies(
        x,
        y,
        loop('i', 6, (i) => store(y, [i], op('neg', load(x, i)))),
      ),
    ).toBe(false)
    expect(
      copies(
        x,
        y,
        loop('i', 6, (i) => store(y, [i], load(y, i))),
      ),
    ).toBe(false)
    expect(
      copies(
        x,
        y,
        loop('i', 6, (i) => store(y, [i], load(x, mul(i, i)))),
      ),
    ).toBe(false)
    const narrow = buffer('y', 'i16', [6], 'write')
    expect(
      copies(
        x,
        narrow,
        loop('i', 6, (i) => store(narrow, [i], load(x, i))),
      ),
    ).toBe(false)
  })
})
