import { f32, type OpCase, opCase } from '../case.ts'
import { softmaxCrossEntropy } from './cross_entropy.ts'
import { meanSquareError } from './mean_square.ts'

export const cases: readonly OpCase[] = [
  opCase('cross-entropy of four rows, one of them without a class', (b) => {
    const label = b.const('label', { dtype: 'i32', shape: [4] }, Int32Array.of(0, 4, -1, 2))
    return b.add(softmaxCrossEntropy, [b.input('x', f32([4, 5])), label], {})
  }),
  opCase('cross-entropy of one row, the class an input', (b) =>
    b.add(softmaxCrossEntropy, [b.input('x', f32([1, 3])), b.input('label', { dtype: 'i32', shape: [1] })], {}),
  ),
  opCase('cross-entropy with shares of the classes', (b) => {
    const shares = Float32Array.of(0.2, 0.3, 0.5, 0, 0, 0, 1, 0, 0, 0.5, 0.25, 0.5)
    return b.add(softmaxCrossEntropy, [b.input('x', f32([4, 3])), b.const('label', f32([4, 3]), shares)], {})
  }),
  opCase('mean square error', (b) =>
    b.add(meanSquareError, [b.input('y', f32([3, 4])), b.input('target', f32([3, 4]))], {}),
  ),
]
