// The loops of bilinear resizing: for each output position, four elements by weights from tables of rows and columns.

import type { Node } from '../../ir/graph.ts'
import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Buf, Elem, Expr } from '../../loops/ir.ts'
import { axesOf, BITS, type ResizeBilinear } from './op.ts'

export function lower(node: Node<ResizeBilinear>): Call {
  const [x, y] = [node.inputs[0]!, node.outputs[0]]
  const [N, OH, OW, C] = y.type.shape
  const elem = x.type.dtype as Elem
  const X = L.buffer('x', elem, x.type.shape)
  const Y = L.buffer('y', elem, y.type.shape, 'write')
  const unit = 2 ** BITS
  const bufs: Buf[] = []
  const args: Arg[] = []
  const table = (name: string, data: Int32Array) => {
    const buf = L.buffer(name, 'i32', [data.length])
    bufs.push(buf)
    args.push({ data })
    return buf
  }
  const [rows, columns] = axesOf(node).map((axis, d) => {
    const [first, second, fraction] = [axis.first, axis.second, axis.fraction].map((data, i) =>
      table(`${['row', 'column'][d]}${i}`, data),
    )
    return { first, second, fraction }
  })

  /** Sums of int16 need 64 bits. */
  const wide = (e: Expr) => (elem === 'i16' ? L.op('extend', e) : e)
  const constant = (v: number) => (elem === 'i16' ? L.long(v) : L.int(v))
  const body = L.loops(['n', 'oh', 'ow'], [N, OH, OW], (n, oh, ow) => {
    const declared = [
      L.declare('y0', L.load(rows.first, oh)),
      L.declare('y1', L.load(rows.second, oh)),
      L.declare('fy', L.load(rows.fraction, oh)),
      L.declare('x0', L.load(columns.first, ow)),
      L.declare('x1', L.load(columns.second, ow)),
      L.declare('fx', L.load(columns.fraction, ow)),
    ]
    const [y0, y1, fy, x0, x1, fx] = declared.map(([, register]) => register)
    return [
      ...declared.map(([stmt]) => stmt),
      L.parallel('c', C, (c) => {
        const row = (at: Expr) =>
          L.add(L.mul(L.load(X, n, at, x0, c), L.op('sub', unit, fx)), L.mul(L.load(X, n, at, x1, c), fx))
        const [declare, sum] = L.declare(
          'sum',
          L.op('add', L.op('mul', wide(row(y0)), wide(L.op('sub', unit, fy))), L.op('mul', wide(row(y1)), wide(fy))),
        )
        const half = (unit * unit) / 2
        const away = L.select(L.op('gt', sum, constant(0)), constant(half), constant(-half))
        const rounded = L.op('div', L.op('add', sum, away), constant(unit * unit))
        return [declare, L.store(Y, [n, oh, ow, c], elem === 'i16' ? L.op('wrap', rounded) : rounded)]
      }),
    ]
  })
  return {
    kernel: L.kernel('resize_bilinear', [X, ...bufs, Y], body),
    args: [{ value: x }, ...args, { value: y }],
  }
}
