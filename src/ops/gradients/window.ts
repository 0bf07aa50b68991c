// The gradients of convolutions, depthwise ones included, in float32: with respect to the input, a sum over the outputs that
// an element went into; with respect to the weights, a sum over the images and output pixels. Each is one sequential sum. Where
// the convolution is of int8, so is the operand that it shares: stored numbers less their zero point.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, sameShape, type TensorType, type Value } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Data, type Expr, type Stmt } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, elemOfValue, expectInputs, expectOutputs } from '../check.ts'
import { parameters } from '../parameters.ts'
import { expectDtype } from '../quant.ts'
import { eachTap, type Window } from '../window.ts'

/**
 * The convolution whose gradient it is: `shape` of what is computed (the input, or the weights), `groups`, and how weights
 * are stored: [O, KH, KW, C / groups], or `depthwise` [1, KH, KW, O].
 */
export type WindowGradient = Attrs &
  Window & { readonly shape: readonly number[]; readonly groups: number; readonly depthwise: boolean }

interface Sizes {
  readonly image: readonly number[]
  readonly output: readonly number[]
  readonly kernel: readonly number[]
  /** Input and output channels of one group. */
  readonly inputs: number
  readonly outputs: number
}

function sizesOf(
  image: readonly number[],
  output: readonly number[],
  weights: readonly number[],
  a: WindowGradient,
): Sizes {
  const [i, o] = [imagesOf(image), imagesOf(output)]
  const kernel = imagesOf(weights).slice(1, 3)
  return { image: i, output: o, kernel, inputs: i[3] / a.groups, outputs: o[3] / a.groups }
}

/** The place of a weight: output channel `o`, input channel `c` of its group. */
function weightAt<T>({ depthwise }: WindowGradient, o: T, kh: T, kw: T, c: T, zero: T): readonly T[] {
  return depthwise ? [zero, kh, kw, o] : [o, kh, kw, c]
}

function flat(shape: readonly number[], at: readonly number[]): number {
  return at.reduce((n, i, d) => n * shape[d] + i, 0)
}

/** Input `shared` is an operand of the convolution, the other the gradient of its result. */
function expectImages(node: Node<WindowGradient>, shared: 0 | 1): void {
  const where = layer(node)
  expectInputs(node, 2, 3)
  for (const [i, v] of node.inputs.entries()) {
    expectDtype(v!.type, i === shared ? ['f32', 'i8'] : ['f32'], `input ${i}`, where)
    if (v!.type.shape.length === 0) throw new ModelError(where, `input ${i} is a scalar, expected images`)
  }
  const before = node.inputs[2]?.type.shape
  if (before && !sameShape(before, node.attrs.shape))
    throw new ModelError(where, `goes on from [${before}], expected [${node.attrs.shape}]`)
  expectOutputs(node, [{ dtype: 'f32', shape: node.attrs.shape }])
}

/** Images [N, H, W, C]; rows of fully connected layers are images of one pixel. */
export function imagesOf(shape: readonly number[]): readonly number[] {
  return shape.length === 4 ? shape : [count(shape) / shape.at(-1)!, 1, 1, shape.at(-1)!]
}

const zeroOf = (v: Value) => v.type.quant?.zero[0] ?? 0

/** An operand of the convolution as it is stored, and how a kernel reads it as float32. */
function operandOf(name: string, v: Value) {
  const buf = L.buffer(name, elemOfValue(v), imagesOf(v.type.shape))
  const zero = zeroOf(v)
  const p = parameters('stored', 'i32', (zero === 0 ? {} : { zero }) as Record<'zero', number>)
  return {
    bufs: [buf, ...p.bufs],
    args: [{ value: v }, ...p.args],
    head: p.head,
    load(...at: Expr[]) {
      const x = L.load(buf, ...at)
      if (v.type.dtype === 'f32') return x
      return L.op('toF32', zero === 0 ? x : L.op('sub', x, p.of.zero))
    },
  }
}

/** The same in plain numbers. */
function operandNumbers(v: Value, data: Data | undefined): Float32Array {
  const zero = zeroOf(v)
  return v.type.dtype === 'f32' ? (data as Float32Array) : Float32Array.from(numbers(data), (x) => x - zero)
}

function infer(_: readonly (TensorType | undefined)[], { shape }: WindowGradient): TensorType[] {
  return [{ dtype: 'f32', shape }]
}

/** The taps k with (i + pad - k * dilation) divisible by stride, for i = stride * q + phase: k = first - step * j, output q + at + by * j. */
export interface Taps {
  readonly first: number
  readonly step: number
  readonly count: number
  readonly at: number
  readonly by: number
}

export function tapsOf(phase: number, kernel: number, stride: number, dilation: number, pad: number): Taps {
  const hits: number[] = []
  for (let k = kernel - 1; k >= 0; k--) if ((phase + pad - k * dilation) % stride === 0) hits.push(k)
  const [first = 0, second = first] = hits
  const at = hits.length > 0 ? (phase + pad - first * dilation) / stride : 0
  return { first, step: first - second, count: hits.length, at, by: ((first - second) * dilation) / stride }
}

function lowerInput(node: Node<WindowGradient>): Call {
  const [g, w] = node.inputs.map((v) => v!)
  const a = node.attrs
  const { image, output, kernel, inputs, outputs } = sizesOf(a.shape, g.type.shape, w.type.shape, a)
  const G = L.buffer('g', 'f32', output)
  const W = operandOf('w', w)
  const D = L.buffer('dx', 'f32', image, 'write')
  const before = node.inputs[2]
  const S = L.buffer('before', 'f32', image)
  const [, OH, OW] = output

  const along = (j: string, taps: Taps, q: Expr, extent: number, body: (o: Expr, k: Expr) => Stmt) =>
    L.loop(j, taps.count, (v) => {
      const o = L.add(L.add(q, L.mul(v, taps.by)), taps.at)
      return L.when(L.and(L.ge(o, 0), L.lt(o, extent)), body(o, L.add(L.mul(v, -taps.step), taps.first)))
    })
  const element = (
    rows: Taps,
    columns: Taps,
    named: (v: string) => string,
    [n, q, r, i, s, grp, c]: Expr[],
  ): Stmt[] => {
    const channel = L.add(L.mul(grp, inputs), c)
    const [start, sum] = L.declare(named('acc'), before ? L.load(S, n, i, s, channel) : L.float(0))
    const taps = along(named('jh'), rows, q, OH, (oh, kh) =>
      along(named('jw'), columns, r, OW, (ow, kw) =>
        L.loop(named('o'), outputs, (o) => {
          const out = L.add(L.mul(grp, outputs), o)
          const weight = W.load(...weightAt<Expr>(a, out, kh, kw, c, L.int(0)))
          return L.set(sum, L.add(sum, L.mul(L.load(G, n, oh, ow, out), weight)))
        }),
      ),
    )
    return [start, ...(rows.count * columns.count > 0 ? [taps] : []), L.store(D, [n, i, s, channel], sum)]
  }
  const phases = [0, 1].map((d) =>
    Array.from({ length: Math.min(a.stride[d], image[1 + d]) }, (_, phase) => ({
      phase,
      extent: Math.ceil((image[1 + d] - phase) / a.stride[d]),
      taps: tapsOf(phase, kernel[d], a.stride[d], a.dilation[d], a.pad[d]),
    })),
  )
  const body = L.parallel('n', image[0], (n) =>
    phases[0].flatMap((h) =>
      phases[1].map((v) => {
        const named = (name: string) => (h.phase + v.phase === 0 ? name : `${name}_${h.phase}_${v.phase}`)
        const extents = [h.extent, v.extent, a.groups, inputs]
        return L.loops(['q', 'r', 'grp', 'c'].map(named), extents, (q, r, grp, c) => {
          const row = L.add(L.mul(q, a.stride[0]), h.phase)
          const column = L.add(L.mul(r, a.stride[1]), v.phase)
          return element(h.taps, v.taps, named, [n, q, r, row, column, grp, c])
        })
      }),
    ),
  )
  return {
    kernel: L.kernel('conv_input_gradient', [G, ...W.bufs, ...(before ? [S] : []), D], ...W.head, body),
    args: [{ value: g }, ...W.args, ...(before ? [{ value: before }] : []), { value: node.outputs[0] }],
  }
}

/**
 * The gradient of a convolution's input from that of its output: g[N, OH, OW, O], weights -> [N, H, W, C] (`shape`). f32, weights
 * also i8; the order of each sum is row, column, channel of the output. Shapes of other ranks are rows of pixels [..., C]. With a third input
 * each sum goes on from an element of that: the gradient so far, of the same shape.
 */
export const convInputGradient: Op<WindowGradient> = {
  name: 'conv_input_gradient',
  spelled: {},
  infer,
  check: (node) => expectImages(node, 1),

  eval(node, [g, w, before]) {
    const S = before as Float32Array | undefined
    const [G, W] = [numbers(g), operandNumbers(node.inputs[1]!, w)]
    const a = node.attrs
    const [gs, ws] = node.inputs.map((v) => imagesOf(v!.type.shape))
    const { image, output, kernel, inputs, outputs } = sizesOf(a.shape, gs, ws, a)
    const [N, H, IW, C] = image
    const D = new Float32Array(count(a.shape))
    for (let n = 0, i = 0; n < N; n++)
      for (let h = 0; h < H; h++)
        for (let v = 0; v < IW; v++)
          for (let c = 0; c < C; c++, i++) {
            const grp = Math.floor(c / inputs)
            let sum = S?.[i] ?? 0
            for (let kh = kernel[0] - 1; kh >= 0; kh--)
              for (let kw = kernel[1] - 1; kw >= 0; kw--) {
                const oh = (h + a.pad[0] - kh * a.dilation[0]) / a.stride[0]
                const ow = (v + a.pad[1] - kw * a.dilation[1]) / a.stride[1]
                if (!Number.isInteger(oh) || !Number.isInteger(ow)) continue
                if (oh < 0 || oh >= output[1] || ow < 0 || ow >= output[2]) continue
                for (let o = grp * outputs; o < (grp + 1) * outputs; o++) {
                  const weight = W[flat(ws, weightAt(a, o, kh, kw, c - grp * inputs, 0))]
                  sum = Math.fround(sum + Math.fround(G[flat(gs, [n, oh, ow, o])] * weight))
                }
              }
            D[i] = sum
          }
    return [D]
  },

  lower: lowerInput,
  inPlace: ({ inputs }) => (inputs[2] ? [2] : []),
  cost: (node) => costOf(node, macsOf(node, node.inputs[0]!.type.shape, node.inputs[1]!.type.shape)),
}

function macsOf({ attrs: { depthwise } }: Node<WindowGradient>, output: readonly number[], weights: readonly number[]) {
  return count(output) * (depthwise ? weights[1] * weights[2] : count(imagesOf(weights).slice(1)))
}

function lowerWeight(node: Node<WindowGradient>): Call {
  const [x, g] = node.inputs.map((v) => v!)
  const a = node.attrs
  const { image, output, kernel, inputs, outputs } = sizesOf(x.type.shape, g.type.shape, a.shape, a)
  const X = operandOf('x', x)
  const G = L.buffer('g', 'f32', output)
  const D = L.buffer('dw', 'f32', imagesOf(a.shape), 'write')
  const before = node.inputs[2]
  const S = L.buffer('before', 'f32', imagesOf(a.shape))
  const sumOf = (grp: Expr, o: Expr, kh: Expr, kw: Expr, c: Expr): Stmt[] => {
    const place = weightAt<Expr>(a, L.add(L.mul(grp, outputs), o), kh, kw, c, L.int(0))
    const [start, sum] = L.declare('acc', before ? L.load(S, ...place) : L.float(0))
    const out = L.add(L.mul(grp, outputs), o)
    const pixel = (d: 0 | 1, at: Expr, k: Expr) =>
      L.add(L.add(L.mul(at, a.stride[d]), L.mul(k, a.dilation[d])), -a.pad[d])
    const inside = (i: Expr, extent: number) => L.and(L.ge(i, 0), L.lt(i, extent))
    return [
      start,
      L.loop('n', image[0], (n) =>
        L.loop('oh', output[1], (oh) => {
          const ih = pixel(0, oh, kh)
          return L.when(
            inside(ih, image[1]),
            L.loop('ow', output[2], (ow) => {
              const iw = pixel(1, ow, kw)
              const at = X.load(n, ih, iw, L.add(L.mul(grp, inputs), c))
              return L.when(inside(iw, image[2]), L.set(sum, L.add(sum, L.mul(at, L.load(G, n, oh, ow, out)))))
            }),
          )
        }),
      ),
      L.store(D, [...place], sum),
    ]
  }
  const body = a.depthwise
    ? L.loops(['kh', 'kw', 'grp', 'o'], [...kernel, a.groups, outputs], (kh, kw, grp, o) =>
        sumOf(grp, o, kh, kw, L.int(0)),
      )
    : L.loops(['grp', 'o', 'kh', 'kw', 'c'], [a.groups, outputs, ...kernel, inputs], (grp, o, kh, kw, c) =>
        sumOf(grp, o, kh, kw, c),
      )
  return {
    kernel: L.kernel('conv_weight_gradient', [...X.bufs, G, ...(before ? [S] : []), D], ...X.head, body),
    args: [...X.args, { value: g }, ...(before ? [{ value: before }] : []), { value: node.outputs[0] }],
  }
}

/**
 * The gradient of a convolution's weights: x[N, H, W, C], g[N, OH, OW, O] -> weights (`shape`). f32, x also i8, with its zero
 * point taken off; the order of each sum is image, row, column of the output. Shapes of other ranks are rows of pixels [..., C].
 * A third input as for `convInputGradient`.
 */
export const convWeightGradient: Op<WindowGradient> = {
  name: 'conv_weight_gradient',
  spelled: {},
  infer,
  check: (node) => expectImages(node, 0),

  eval(node, [x, g, before]) {
    const [X, G] = [operandNumbers(node.inputs[0]!, x), numbers(g)]
    const a = node.attrs
    const weights = imagesOf(a.shape)
    const [xs, gs] = node.inputs.map((v) => imagesOf(v!.type.shape))
    const { image, output, kernel, inputs, outputs } = sizesOf(xs, gs, weights, a)
    const D = before ? Float32Array.from(before as Float32Array) : new Float32Array(count(a.shape))
    for (let n = 0; n < image[0]; n++)
      for (let oh = 0; oh < output[1]; oh++)
        for (let ow = 0; ow < output[2]; ow++)
          for (let o = 0; o < output[3]; o++) {
            const grp = Math.floor(o / outputs)
            const dy = G[flat(gs, [n, oh, ow, o])]
            eachTap(a, image.slice(1, 3), kernel, oh, ow, (ih, iw, kh, kw) => {
              for (let c = 0; c < inputs; c++) {
                const to = flat(weights, weightAt(a, o, kh, kw, c, 0))
                D[to] = Math.fround(D[to] + Math.fround(X[flat(xs, [n, ih, iw, grp * inputs + c])] * dy))
              }
            })
          }
    return [D]
  },

  lower: lowerWeight,
  inPlace: ({ inputs }) => (inputs[2] ? [2] : []),
  cost: (node) => costOf(node, macsOf(node, node.inputs[1]!.type.shape, node.attrs.shape)),
}
