// What operators that only move elements share: any unpacked dtype, quantisation that stays as it is.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { elemOf, type Node, sameQuant, type TensorType, type Value } from '../../ir/graph.ts'
import type { Elem } from '../../loops/ir.ts'

/** Input `i`'s elements can be moved one by one, and mean in the output what they meant in the input. */
export function expectMoved(node: Node, i = 0): void {
  const where = layer(node)
  const [x, y] = [node.inputs[i]!.type, node.outputs[0].type]
  if (!elemOf(x.dtype))
    throw new ModelError(where, `input ${i} is ${x.dtype}, elements of less than 8 bits and f16 do not move`)
  if (x.dtype !== y.dtype) throw new ModelError(where, `input ${i} is ${x.dtype}, output is ${y.dtype}`)
  if (x.quant && x.quant.scale.length !== 1)
    throw new ModelError(
      where,
      `input ${i} has ${x.quant.scale.length} scales, this operator needs one for the whole tensor`,
    )
  if (!sameQuant(x.quant, y.quant)) throw new ModelError(where, `input ${i} has ${words(x)}, output has ${words(y)}`)
}

function words({ quant }: TensorType): string {
  return quant ? `scale ${quant.scale[0]} and zero point ${quant.zero[0]}` : 'no scale'
}

/** Element type of a value whose dtype `expectMoved` let pass. */
export function elementOf(v: Value): Elem {
  return elemOf(v.type.dtype) as Elem
}
