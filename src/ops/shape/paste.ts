// A rectangle of an image written into another: y is x[1, H, W, C], or zeros where there is no x, with the rectangle of
// part[1, h, w, C] that begins at `from` in place of the one that begins at `to`. What the `stage` pass puts an image
// together of, in place, rectangle by rectangle.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { bytesOf, type Node, type TensorType } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Expr, newData } from '../../loops/ir.ts'
import { expectInputs, expectOutputs } from '../check.ts'
import { elementOf, expectMoved } from './copy.ts'

/** Pairs [row, column]: where the rectangle begins in the part and in the result, and its extent; the result's shape. */
export type Paste = Attrs & {
  readonly from: readonly number[]
  readonly to: readonly number[]
  readonly size: readonly number[]
  readonly shape: readonly number[]
}

function lower({ inputs: [part, x], outputs: [y], attrs: { from, to, size }, inPlace }: Node<Paste>): Call {
  const [, H, W, C] = y.type.shape
  const [, h, w] = part!.type.shape
  const elem = elementOf(y)
  const P = L.buffer('part', elem, [h, w * C])
  const X = L.buffer('x', elem, [H * W * C])
  const Y = L.buffer('y', elem, [H, W * C], 'write')
  const copied = x && inPlace === undefined
  const rest = (value: (i: Expr) => Expr) =>
    L.loops(['i', 'k'], [H, W * C], (i, k) => L.store(Y, [i, k], value(L.add(L.mul(i, W * C), k))))
  const before = copied ? [rest((i) => L.load(X, i))] : x ? [] : [rest(() => L.constantOf(L.load(P, 0, 0).type, 0))]
  const body = L.loops(['r', 'e'], [size[0], size[1] * C], (r, e) =>
    L.store(Y, [L.add(r, to[0]), L.add(e, to[1] * C)], L.load(P, L.add(r, from[0]), L.add(e, from[1] * C))),
  )
  return {
    kernel: L.kernel('paste', copied ? [P, X, Y] : [P, Y], ...before, body),
    args: [{ value: part! }, ...(copied ? [{ value: x }] : []), { value: y }],
  }
}

/** A rectangle of an image in a copy of another: inputs part[1, h, w, C] and optionally x[1, H, W, C], any unpacked type. See `Paste`. */
export const paste: Op<Paste> = {
  name: 'paste',
  spelled: {},

  infer: ([part], { shape }): TensorType[] => [{ ...part!, shape }],

  check(node) {
    const where = layer(node)
    const { from, to, size, shape } = node.attrs
    expectInputs(node, 1, 2)
    const part = node.inputs[0]!.type.shape
    if (part.length !== 4 || shape.length !== 4 || part[0] !== 1 || shape[0] !== 1 || part[3] !== shape[3])
      throw new ModelError(where, `puts [${part}] into [${shape}], expected images of as many channels`)
    for (const [what, at, extents] of [
      ['takes', from, part],
      ['writes', to, shape],
    ] as const)
      if ([0, 1].some((d) => !Number.isInteger(at[d]) || at[d] < 0 || size[d] < 1 || at[d] + size[d] > extents[d + 1]))
        throw new ModelError(where, `${what} [${size}] from [${at}] on, the image is [${extents}]`)
    expectOutputs(
      node,
      paste.infer(
        node.inputs.map((v) => v?.type),
        node.attrs,
      ),
    )
    for (const [i, v] of node.inputs.entries()) if (v) expectMoved(node, i)
  },

  eval(node, [part, x]) {
    const { from, to, size, shape } = node.attrs
    const y = x?.slice() ?? newData(elementOf(node.outputs[0]), count(shape))
    const [, , w, C] = node.inputs[0]!.type.shape
    for (let r = 0; r < size[0]; r++)
      for (let e = 0; e < size[1] * C; e++)
        y[((to[0] + r) * shape[2] + to[1]) * C + e] = part![((from[0] + r) * w + from[1]) * C + e]
    return [y]
  },

  lower,
  cost(node) {
    const bytes =
      bytesOf(node.outputs[0].type) * ((node.attrs.size[0] * node.attrs.size[1]) / count(node.attrs.shape.slice(1, 3)))
    return { macs: 0, bytesRead: bytes, bytesWritten: bytes }
  },
  inPlace: ({ inputs }) => (inputs[1] ? [1] : []),
}
