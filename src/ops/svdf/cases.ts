import { quantOf, type TensorType } from '../../ir/graph.ts'
import { count, newData } from '../../loops/ir.ts'
import { f32, i8, type OpCase, opCase } from '../case.ts'
import { svdf } from './op.ts'

const SHAPES = {
  'rank 1': { B: 1, I: 8, F: 4, M: 5, rank: 1, bias: true },
  'rank 2, two rows, no bias': { B: 2, I: 5, F: 6, M: 3, rank: 2, bias: false },
  'a memory of one': { B: 1, I: 3, F: 3, M: 1, rank: 3, bias: true },
} as const

export const cases: readonly OpCase[] = Object.entries(SHAPES).flatMap(([name, { B, I, F, M, rank, bias }]) => [
  opCase(`svdf f32: ${name}`, (b) => {
    const state = b.state('s', f32([B, F * M]), b.random.fill(f32([B, F * M])) as Float32Array)
    const inputs = [state, b.input('x', f32([B, I])), b.floats('wf', [F, I]), b.floats('wt', [F, M])]
    return b.one(svdf, bias ? [...inputs, b.floats('b', [F / rank])] : inputs, { rank, clamp: { min: 0 } })
  }),
  opCase(`svdf f32: ${name}, a memory that starts empty`, (b) => {
    const state = b.state('s', f32([B, F * M]), new Float32Array(B * F * M))
    const inputs = [state, b.input('x', f32([B, I])), b.floats('wf', [F, I]), b.floats('wt', [F, M])]
    return b.one(svdf, inputs, { rank, clamp: { min: 0, max: 6 } })
  }),
  ...(['i8', 'i16'] as const).map((memory) =>
    opCase(`svdf int8, ${memory} memory: ${name}`, (b) => {
      const type: TensorType = {
        dtype: memory,
        shape: [B, F * M],
        quant: quantOf(memory === 'i8' ? 0.1 : 0.001, memory === 'i8' ? 3 : 0),
      }
      const state = b.state('s', type, b.random.fill(type))
      const weights: TensorType = { dtype: memory, shape: [F, M], quant: quantOf(0.01, 0) }
      const time = newData(memory, count([F, M])) as Int8Array
      time.forEach((_, i) => {
        time[i] = b.random.between(-127, 127) * (memory === 'i8' ? 1 : 200)
      })
      const inputs = [
        state,
        b.input('x', i8([B, I], 0.05, -3)),
        b.weights('wf', [F, I], 0.02),
        b.const('wt', weights, time),
      ]
      const all = bias ? [...inputs, b.bias('b', F / rank, 2000)] : inputs
      return b.one(svdf, all, { rank, clamp: {} }, { quant: quantOf(0.06, -5) })
    }),
  ),
])
