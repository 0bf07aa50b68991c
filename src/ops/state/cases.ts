import { add } from '../binary/op.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { assign } from './op.ts'
import { update } from './update.ts'

export const cases: readonly OpCase[] = [
  opCase('assign f32: a running sum, read before it is written', (b) => {
    const state = b.state('sum', f32([2, 3]), Float32Array.of(1, 2, 3, 4, 5, 6))
    const y = b.one(add, [b.input('x', f32([2, 3])), state], { clamp: {} })
    b.add(assign, [state, y], {})
    return y
  }),
  opCase('assign int8: the last input', (b) => {
    const x = b.input('x', i8([5], 0.1, 3))
    const state = b.state('last', i8([5], 0.1, 3), Int8Array.of(1, 2, 3, 4, 5))
    const y = b.one(add, [x, state], { clamp: {} }, { quant: x.type.quant })
    b.add(assign, [state, x], {})
    return y
  }),
  ...[-1, 0, 2, 9].map((at) =>
    opCase(`update f32: one row of a cache, at ${at}`, (b) => {
      const cache = b.state(
        'cache',
        f32([2, 4, 3]),
        Float32Array.from({ length: 24 }, (_, i) => i),
      )
      const position = b.const('at', { dtype: 'i32', shape: [1] }, Int32Array.of(at))
      b.add(update, [cache, b.input('x', f32([2, 1, 3])), position], { axis: 1 })
      return b.one(add, [cache, cache], { clamp: {} })
    }),
  ),
  opCase('update int8: two rows from a position that is an input', (b) => {
    const cache = b.state('cache', i8([5, 2], 0.1, 3), new Int8Array(10).fill(3))
    const position = b.input('at', { dtype: 'i32', shape: [1] })
    b.add(update, [cache, b.input('x', i8([2, 2], 0.1, 3)), position], { axis: 0 })
    return b.one(add, [cache, cache], { clamp: {} }, { quant: cache.type.quant })
  }),
]
