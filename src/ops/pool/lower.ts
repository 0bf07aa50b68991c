// The loops of pooling: for each output, one pass over the window in the order kh, kw. Without
// padding every window is whole and its size a constant; otherwise it follows from the bounds.

import type { Node } from '../../ir/graph.ts'
import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Buf, Expr, Stmt } from '../../loops/ir.ts'
import { elemOfValue } from '../check.ts'
import { rangeOf } from '../quant.ts'
import { overWindow } from '../window.ts'
import { FLOAT_LOWEST, limitsOf, type Pool, tapsAlong, windowOf } from './op.ts'

interface Limits {
  readonly bufs: readonly Buf[]
  readonly args: readonly Arg[]
  readonly head: readonly Stmt[]
  apply(x: Expr): Expr
}

/** The activation range as a small buffer; nothing where it is the whole range. */
function limits(node: Node<Pool>): Limits {
  const { type } = node.outputs[0]
  const { lo, hi } = limitsOf(node)
  const float = type.dtype === 'f32'
  const whole = float ? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] : Object.values(rangeOf(type.dtype))
  if (lo === whole[0] && hi === whole[1]) return { bufs: [], args: [], head: [], apply: (x) => x }
  const limit = L.buffer('limit', float ? 'f32' : 'i32', [2])
  const [declareLo, low] = L.declare('lo', L.load(limit, 0))
  const [declareHi, high] = L.declare('hi', L.load(limit, 1))
  return {
    bufs: [limit],
    args: [{ data: float ? Float32Array.of(lo, hi) : Int32Array.of(lo, hi) }],
    head: [declareLo, declareHi],
    apply: (x) => L.clamp(x, low, high),
  }
}

interface Arithmetic {
  readonly start: Expr
  step(acc: Expr, x: Expr): Expr
  finish(acc: Expr, taps: Expr): Expr
}

/** `counted`: the number of elements inside is wanted by `finish`. */
function lowerPool(node: Node<Pool>, counted: boolean, arithmetic: Arithmetic): Call {
  const [x, y] = [node.inputs[0]!, node.outputs[0]]
  const [, H, W, C] = x.type.shape
  const [N, OH, OW] = y.type.shape
  const { kernel, stride, pad } = node.attrs
  const elem = elemOfValue(x)
  const limit = limits(node)
  const X = L.buffer('x', elem, x.type.shape)
  const Y = L.buffer('y', elem, y.type.shape, 'write')

  const padded = counted && pad.some((p) => p !== 0)
  const within = (o: Expr, d: number, extent: number): Expr => {
    const first = L.add(L.mul(o, stride[d]), -pad[d])
    return L.sub(L.min(L.add(first, kernel[d]), extent), L.max(first, 0))
  }
  const channels = (n: Expr, oh: Expr, ow: Expr, taps: Expr): Stmt =>
    L.parallel('c', C, (c) => {
      const [start, acc] = L.declare('acc', arithmetic.start)
      return [
        start,
        overWindow(windowOf(node.attrs), [H, W], kernel, oh, ow, (ih, iw) =>
          L.set(acc, arithmetic.step(acc, L.load(X, n, ih, iw, c))),
        ),
        L.store(Y, [n, oh, ow, c], limit.apply(arithmetic.finish(acc, taps))),
      ]
    })
  const listed = padded && (node.attrs.counted !== undefined || windowOf(node.attrs).dilation.some((d) => d !== 1))
  const rowTaps = L.buffer('rowTaps', 'i32', [OH])
  const columnTaps = L.buffer('columnTaps', 'i32', [OW])
  const body = L.loops(['n', 'oh'], [N, OH], (n, oh) => {
    if (listed)
      return L.parallel('ow', OW, (ow) => {
        const [declareTaps, taps] = L.declare('taps', L.mul(L.load(rowTaps, oh), L.load(columnTaps, ow)))
        return [declareTaps, channels(n, oh, ow, taps)]
      })
    if (!padded) return L.parallel('ow', OW, (ow) => channels(n, oh, ow, L.int(kernel[0] * kernel[1])))
    const [declareRows, rows] = L.declare('rows', within(oh, 0, H))
    return [
      declareRows,
      L.parallel('ow', OW, (ow) => {
        const [declareTaps, taps] = L.declare('taps', L.mul(rows, within(ow, 1, W)))
        return [declareTaps, channels(n, oh, ow, taps)]
      }),
    ]
  })

  return {
    kernel: L.kernel(
      node.op.name,
      [X, ...(listed ? [rowTaps, columnTaps] : []), ...limit.bufs, Y],
      ...limit.head,
      body,
    ),
    args: [
      { value: x },
      ...(listed
        ? [
            { data: Int32Array.from(tapsAlong(0, H, OH, node.attrs)) },
            { data: Int32Array.from(tapsAlong(1, W, OW, node.attrs)) },
          ]
        : []),
      ...limit.args,
      { value: y },
    ],
  }
}

function divided(acc: Expr, taps: Expr): Expr {
  return L.op('div', acc, taps.k === 'const' ? L.float(taps.value) : L.op('toF32', taps))
}

export function lowerNorm(node: Node<Pool>): Call {
  const { p, mean } = node.attrs
  return lowerPool(node, mean === true, {
    start: L.float(0),
    step: (acc, x) => L.add(acc, p === 1 ? L.op('abs', x) : L.mul(x, x)),
    finish(acc, taps) {
      const whole = mean ? divided(acc, taps) : acc
      return p === 1 ? whole : L.op('sqrt', whole)
    },
  })
}

export function lowerAverage(node: Node<Pool>): Call {
  if (node.outputs[0].type.dtype === 'f32')
    return lowerPool(node, true, {
      start: L.float(0),
      step: (acc, x) => L.add(acc, x),
      finish: divided,
    })
  const { min, max } = rangeOf(node.outputs[0].type.dtype)
  const safe = node.attrs.kernel[0] * node.attrs.kernel[1] * (max - min + 1) < 2 ** 31
  const plus = (a: Expr, b: Expr) => L.op(safe ? 'add' : 'wadd', a, b)
  return lowerPool(node, true, {
    start: L.int(0),
    step: plus,
    finish(acc, taps) {
      const half = taps.k === 'const' ? L.int(taps.value >> 1) : L.op('shr', taps, 1)
      const back = half.k === 'const' ? L.int(-half.value) : L.op('neg', half)
      return L.op('div', plus(acc, L.select(L.op('gt', acc, 0), half, back)), taps)
    },
  })
}

export function lowerMax(node: Node<Pool>): Call {
  const { dtype } = node.outputs[0].type
  return lowerPool(node, false, {
    start: dtype === 'f32' ? L.float(FLOAT_LOWEST) : L.int(rangeOf(dtype).min),
    step: (acc, x) => L.max(acc, x),
    finish: (acc) => acc,
  })
}
