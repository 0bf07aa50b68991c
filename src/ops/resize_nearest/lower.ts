// The loops of nearest-neighbour resizing: a copy whose rows and columns come from two tables.

import type { Node } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Elem } from '../../loops/ir.ts'
import { nearest, type ResizeNearest } from './op.ts'

export function lower(node: Node<ResizeNearest>): Call {
  const [x, y] = [node.inputs[0]!, node.outputs[0]]
  const [, H, W] = x.type.shape
  const [N, OH, OW, C] = y.type.shape
  const { alignCorners, halfPixelCenters } = node.attrs
  const elem = x.type.dtype as Elem
  const X = L.buffer('x', elem, x.type.shape)
  const rows = L.buffer('rows', 'i32', [OH])
  const columns = L.buffer('columns', 'i32', [OW])
  const Y = L.buffer('y', elem, y.type.shape, 'write')

  const body = L.loops(['n', 'oh'], [N, OH], (n, oh) => {
    const [declareRow, ih] = L.declare('ih', L.load(rows, oh))
    return [
      declareRow,
      L.parallel('ow', OW, (ow) => {
        const [declareColumn, iw] = L.declare('iw', L.load(columns, ow))
        return [declareColumn, L.parallel('c', C, (c) => L.store(Y, [n, oh, ow, c], L.load(X, n, ih, iw, c)))]
      }),
    ]
  })

  return {
    kernel: L.kernel('resize_nearest', [X, rows, columns, Y], body),
    args: [
      { value: x },
      { data: nearest(H, OH, alignCorners, halfPixelCenters) },
      { data: nearest(W, OW, alignCorners, halfPixelCenters) },
      { value: y },
    ],
  }
}
