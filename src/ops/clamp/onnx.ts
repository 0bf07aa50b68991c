// Relu and Clip of ONNX: a clamp where limits are constants and elements float32, otherwise a maximum and a minimum.

import type { Builder } from '../../ir/build.ts'
import type { DType, Value } from '../../ir/graph.ts'
import { elemOf } from '../../ir/graph.ts'
import type { OnnxNode, OnnxSpelling } from '../../ir/op.ts'
import { newData } from '../../loops/ir.ts'
import { inner } from '../conv2d/onnx.ts'
import { maximum, minimum } from '../pairwise/op.ts'
import { reshape } from '../shape/reshape.ts'
import { operand, reading } from '../tflite.ts'
import { clamp } from './op.ts'

/** A limit from an input, or from the attribute that operator sets before 11 have. */
function limit(build: Builder, node: OnnxNode, i: number, name: string, dtype: DType): Value | undefined {
  const given = node.attrs[name]
  if (node.inputs[i] || typeof given !== 'number') return node.inputs[i]
  const data = Float32Array.of(given)
  return dtype === 'f32' ? build.const(`${node.result.names?.[0]}/${name}`, { dtype, shape: [] }, data) : undefined
}

export const onnxClip: OnnxSpelling = {
  name: 'Clip',
  read(build, node) {
    const x = operand(node, 0, 'input', reading('clip', node))
    const low = limit(build, node, 1, 'min', x.type.dtype)
    const high = limit(build, node, 2, 'max', x.type.dtype)
    const fixed = (v: Value | undefined) => !v || v.storage === 'const'
    if (x.type.dtype === 'f32' && fixed(low) && fixed(high)) {
      const [min, max] = [low, high].map((v) => (v ? Number(v.data?.[0]) : undefined))
      if (min === undefined || max === undefined || min <= max) {
        const limits = { ...(min !== undefined && { min }), ...(max !== undefined && { max }) }
        return build.add(clamp, [x], limits, node.result)
      }
    }
    if (!low && !high) return build.add(reshape, [x], { shape: x.type.shape }, node.result)
    if (!low) return build.add(minimum, [x, high], {}, node.result)
    if (!high) return build.add(maximum, [x, low], {}, node.result)
    const above = build.one(maximum, [x, low], {}, inner(node, 'above'))
    return build.add(minimum, [above, high], {}, node.result)
  },
}

export const onnxRelu: OnnxSpelling = {
  name: 'Relu',
  read(build, node) {
    const x = operand(node, 0, 'input', reading('relu', node))
    if (x.type.dtype === 'f32') return build.add(clamp, [x], { min: 0 }, node.result)
    const zero = build.const(
      `${node.result.names?.[0]}/zero`,
      { dtype: x.type.dtype, shape: [] },
      newData(elemOf(x.type.dtype) ?? 'u8', 1),
    )
    return build.add(maximum, [x, zero], {}, node.result)
  },
}
