import { f32, type OpCase, opCase } from '../case.ts'
import { batchNorm } from './op.ts'

export const cases: readonly OpCase[] = [
  [2, 3, 4, 5],
  [3, 4],
  [1, 2, 9],
].map((shape) =>
  opCase(`batch_norm f32: [${shape}]`, (b) => {
    const channels = ['scale', 'bias', 'mean'].map((name) => b.floats(name, [shape[1]]))
    const variance = b.const('variance', f32([shape[1]]), Float32Array.from(channels[0].data as Float32Array, Math.abs))
    return b.one(batchNorm, [b.input('x', f32(shape)), ...channels, variance], { epsilon: 1e-3 })
  }),
)
