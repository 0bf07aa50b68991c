// ONNX operators that leave nothing to compute: constants of the graph, and what only trains.

import { ModelError } from '../../errors.ts'
import type { OnnxSpelling } from '../../ir/op.ts'
import { count, type Data } from '../../loops/ir.ts'
import { scalarsOf } from '../scalars.ts'
import { reshape } from '../shape/reshape.ts'
import { operand, reading } from '../tflite.ts'

export const onnxConstant: OnnxSpelling = {
  name: 'Constant',
  read(build, node) {
    const { attrs, result } = node
    const name = result.names?.[0] ?? 'constant'
    const [kind, value] = Object.entries(attrs)[0] ?? []
    const of = (dtype: 'f32' | 'i64', data: Data, shape: readonly number[]) => [
      build.const(name, { dtype, shape }, data),
    ]
    if (kind === 'value' && typeof value === 'object' && 'storage' in value) return [value]
    const numbers = [value].flat().filter((n) => typeof n === 'number')
    const shape = Array.isArray(value) ? [numbers.length] : []
    const whole = numbers.every(Number.isInteger)
    if (numbers.length === [value].flat().length) {
      if (kind === 'value_float' || kind === 'value_floats') return of('f32', Float32Array.from(numbers), shape)
      if ((kind === 'value_int' || kind === 'value_ints') && whole)
        return of('i64', BigInt64Array.from(numbers, BigInt), shape)
    }
    throw new ModelError(reading('constant', node), `holds ${kind ?? 'nothing'}, supported are numbers and tensors`)
  },
}

/** Where a model does not train, or trains with ratio 0, nothing is dropped: the mask is all true. */
export const onnxDropout: OnnxSpelling = {
  name: 'Dropout',
  read(build, node) {
    const where = reading('dropout', node)
    const x = operand(node, 0, 'input', where)
    const [, ratio, training] = node.inputs
    const drops = ratio ? ratio.storage !== 'const' || !ratio.data || scalarsOf(ratio.data)[0] !== 0 : true
    if (drops && training && (training.storage !== 'const' || training.data?.[0]))
      throw new ModelError(where, 'drops elements at random (training mode)', 'export the model for inference')
    const shape = x.type.shape
    const outputs = [...build.add(reshape, [x], { shape }, { ...node.result, names: node.result.names?.slice(0, 1) })]
    if (node.outputs > 1)
      outputs.push(
        build.const(node.result.names?.[1] ?? 'mask', { dtype: 'bool', shape }, new Uint8Array(count(shape)).fill(1)),
      )
    return outputs
  },
}
