// A tensor with a part of it replaced, the part's place given while the model runs: TFLite's DYNAMIC_UPDATE_SLICE. A place
// that would reach outside is moved inside.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type DType, type Node, sameQuant, type TensorType, type Value } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Data, type Expr } from '../../loops/ir.ts'
import { costOf, elemOfValue, expectInputs, expectOutputs } from '../check.ts'
import { expectDtype } from '../quant.ts'
import { operands } from '../tflite.ts'

export type UpdateSlice = Attrs & Record<string, never>

const DTYPES: readonly DType[] = ['f32', 'f64', 'f16', 'i8', 'u8', 'i16', 'i32', 'i64', 'bool']

function lower(node: Node<UpdateSlice>): Call {
  const [x, part, place] = node.inputs as Value[]
  const y = node.outputs[0]
  const [whole, shape] = [x.type.shape, part.type.shape]
  const X = L.buffer('x', elemOfValue(x), whole)
  const U = L.buffer('u', elemOfValue(part), shape)
  const P = L.buffer('p', elemOfValue(place), [shape.length])
  const Y = L.buffer('y', elemOfValue(y), whole, 'write')
  const first = shape.map((n, d) => {
    const at = L.load(P, d)
    const inside = L.clamp(at, L.constantOf(at.type, 0), L.constantOf(at.type, whole[d] - n))
    return L.declare(`at${d}`, place.type.dtype === 'i64' ? L.op('wrap', inside) : inside)
  })
  const names = (base: string) => shape.map((_, d) => `${base}${d}`)
  return {
    kernel: L.kernel(
      'update_slice',
      [X, U, P, Y],
      ...first.map(([stmt]) => stmt),
      L.loops(names('i'), whole, (...i) => L.store(Y, i, L.load(X, ...i))),
      L.loops(names('k'), shape, (...k: Expr[]) =>
        L.store(
          Y,
          k.map((v, d) => L.add(first[d][1], v)),
          L.load(U, ...k),
        ),
      ),
    ),
    args: [{ value: x }, { value: part }, { value: place }, { value: y }],
  }
}

function infer([x]: readonly (TensorType | undefined)[]): TensorType[] {
  return [x!]
}

/**
 * A copy of x in which the elements from `place` on are those of `part`; a place that would reach outside is moved
 * inside. Inputs: x, part (no axis longer than x), place (i32 or i64, one number for each axis). TFLite
 * DYNAMIC_UPDATE_SLICE.
 */
export const updateSlice: Op<UpdateSlice> = {
  name: 'update_slice',

  spelled: {
    tflite: [
      {
        name: 'DYNAMIC_UPDATE_SLICE',
        code: 151,
        options: { id: 117, fields: {} },
        read: (build, node) => build.add(updateSlice, operands(node, 3, 'update_slice'), {}, node.result),
        write: ({ inputs }) => ({ inputs, options: {} }),
      },
    ],
  },

  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 3)
    const [x, part, place] = node.inputs.map((v) => v!.type)
    expectDtype(x, DTYPES, 'input', where)
    expectDtype(part, [x.dtype], 'part', where)
    expectDtype(place, ['i32', 'i64'], 'place', where)
    const rank = x.shape.length
    if (part.shape.length !== rank || part.shape.some((n, d) => n < 1 || n > x.shape[d]))
      throw new ModelError(where, `part is [${part.shape}], which is no part of [${x.shape}]`)
    if (rank === 0 || count(place.shape) !== rank)
      throw new ModelError(where, `place has ${count(place.shape)} numbers, input has ${rank} dimensions`)
    if (![part, node.outputs[0].type].every((t) => sameQuant(t.quant, x.quant)))
      throw new ModelError(where, 'input, part and output have different scales; elements keep theirs')
    expectOutputs(node, infer([x]))
  },

  eval(node, [x, part, place]) {
    const [whole, shape] = node.inputs.map((v) => v!.type.shape)
    const at = shape.map((n, d) => Math.max(0, Math.min(whole[d] - n, Number(place![d]))))
    const y = x!.slice() as Data
    for (let i = 0; i < part!.length; i++) {
      let [rest, to, step] = [i, 0, 1]
      for (let d = shape.length - 1; d >= 0; d--) {
        to += (at[d] + (rest % shape[d])) * step
        rest = Math.floor(rest / shape[d])
        step *= whole[d]
      }
      y[to] = part![i]
    }
    return [y]
  },

  lower,
  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
}
