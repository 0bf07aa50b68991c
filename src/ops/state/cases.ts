import { add } from '../binary/op.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { assign } from './op.ts'

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
]
