// The int8 form of an ONNX file's plain integers. Scales stand apart from tensors there, and uint8 is as usual as int8;
// kernels read int8 with the scale in its type, uint8 128 lower. A tensor that was computed in that form keeps it: the
// plain tensor beside it has no reader but the graph's outputs and operators on plain integers, and goes with `prune`.

import type { Builder } from '../../ir/build.ts'
import { type DType, type Quant, quantOf, sameQuant, type Value } from '../../ir/graph.ts'
import type { OnnxNode } from '../../ir/op.ts'
import { inner } from '../conv2d/onnx.ts'
import { expectDtype } from '../quant.ts'
import { reading } from '../tflite.ts'
import { quantize } from './op.ts'
import { retype } from './retype.ts'

/** How much lower int8 stands than the file's type. */
const below = (dtype: DType) => (dtype === 'u8' ? 128 : 0)

const FORMS = new WeakMap<Value, Value>()

/** Whether `x` was computed in int8 form. */
export function hasForm(x: Value): boolean {
  return FORMS.has(x)
}

/** `x`, int8 or uint8 without a scale, as int8 with one. `what` names the values this needs. */
export function int8Form(
  build: Builder,
  node: Pick<OnnxNode, 'result'>,
  x: Value,
  scale: number,
  zero: number,
  what: string,
): Value {
  const { dtype, shape } = x.type
  expectDtype(x.type, ['i8', 'u8'], what, reading('quantised', node))
  const quant = quantOf(scale, zero - below(dtype))
  const known = FORMS.get(x)
  if (known && sameQuant(known.type.quant, quant)) return known
  const form = (() => {
    if (known || dtype === 'i8') return build.one(retype, [known ?? x], {}, { ...inner(node, what), quant })
    if (x.storage === 'const' && x.data) {
      const data = Int8Array.from(x.data as Uint8Array, (v) => v - 128)
      return build.const(inner(node, what).names[0], { dtype: 'i8', shape, quant }, data)
    }
    const typed = build.one(retype, [x], {}, { ...inner(node, `${what}/uint8`), quant: quantOf(scale, zero) })
    return build.one(quantize, [typed], { dtype: 'i8' }, { ...inner(node, what), quant })
  })()
  if (!known) FORMS.set(x, form)
  return form
}

/** The type of the int8 form of a plain `dtype`. */
export function int8Quant(dtype: DType, scale: number, zero: number): Quant {
  return quantOf(scale, zero - below(dtype))
}

/** The inverse: what the file calls `dtype` of an int8 form, as `node`'s result. */
export function plainForm(build: Builder, node: Pick<OnnxNode, 'result'>, form: Value, dtype: DType): Value {
  const { scale, zero } = form.type.quant!
  const typed =
    dtype === 'i8'
      ? form
      : build.one(
          quantize,
          [form],
          { dtype },
          { ...inner(node, 'uint8'), quant: quantOf(scale[0], zero[0] + below(dtype)) },
        )
  const plain = build.one(retype, [typed], {}, node.result)
  FORMS.set(plain, form)
  return plain
}
