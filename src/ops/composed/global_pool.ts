// Pools of ONNX over everything behind the channels, as reductions: GlobalAveragePool, GlobalMaxPool, GlobalLpPool.

import { ModelError } from '../../errors.ts'
import type { OnnxNode, OnnxSpelling, Op } from '../../ir/op.ts'
import { numberAttr } from '../onnx.ts'
import { mean, type Reduce, reduceL1, reduceL2, reduceMax } from '../reduce/op.ts'
import { operand, reading } from '../tflite.ts'

function globalPool(name: string, of: (node: OnnxNode, where: string) => Op<Reduce>): OnnxSpelling {
  return {
    name,
    read(build, node) {
      const where = reading('global_pool', node)
      const x = operand(node, 0, 'input', where)
      const axes = x.type.shape.map((_, d) => d).slice(2)
      return build.add(of(node, where), [x], { axes, keepDims: true }, node.result)
    },
  }
}

export const onnxGlobalPools: readonly OnnxSpelling[] = [
  globalPool('GlobalAveragePool', () => mean),
  globalPool('GlobalMaxPool', () => reduceMax),
  globalPool('GlobalLpPool', (node, where) => {
    const p = numberAttr(node, 'p', 2)
    if (p !== 1 && p !== 2) throw new ModelError(where, `p is ${p}, supported are 1 and 2`)
    return p === 1 ? reduceL1 : reduceL2
  }),
]
