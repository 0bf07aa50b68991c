// Transposed convolution over N spatial axes: every input element adds w times itself to the outputs
// i * stride - low + k * dilation. x[N, ..., C] * w[O, ..., C / groups] + b[O] -> y[N, ...size, O]. f32, int8 and int16
// as TensorFlow Lite's TRANSPOSE_CONV; ONNX's ConvTranspose.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType, Value } from '../../ir/graph.ts'
import type { Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Elem, type Expr, newData, type Stmt } from '../../loops/ir.ts'
import { type Accumulating, absorbEpilogue, accumulator, checkAccumulation, evalSum, numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { onnxConvTranspose, tfliteTransposeConv } from './spellings.ts'

/** Per spatial axis: stride, dilation, elements cut off before the first output (`low`), and the output's size. */
export type TransposeConv = Accumulating & {
  readonly stride: readonly number[]
  readonly dilation: readonly number[]
  readonly low: readonly number[]
  readonly size: readonly number[]
  readonly groups: number
}

function infer([x, w]: readonly (TensorType | undefined)[], { size }: TransposeConv): TensorType[] {
  return [{ dtype: x!.dtype, shape: [x!.shape[0], ...size, w!.shape[0]] }]
}

/** Sums in the order of the input's positions, which is the reverse of the kernel's, channels innermost. */
function lower(node: Node<TransposeConv>): Call {
  const [x, w] = node.inputs as [Value, Value]
  const y = node.outputs[0]
  const { stride, dilation, low, size, groups } = node.attrs
  const D = size.length
  const spatial = x.type.shape.slice(1, -1)
  const kernel = w.type.shape.slice(1, -1)
  const [O, CG] = [w.type.shape[0], w.type.shape[D + 1]]
  const taps = count(kernel) * CG
  const acc = accumulator(node, O, 'f64', function* (o) {
    for (let i = 0; i < taps; i++) yield o * taps + i
  })
  const X = L.buffer('x', x.type.dtype as Elem, x.type.shape)
  const Wt = L.buffer('w', w.type.dtype as Elem, w.type.shape)
  const Y = L.buffer('y', outputElem(node), y.type.shape, 'write')
  const out = size.map((_, d) => `o${d}`)
  const body = L.loops(['n', ...out, 'g', 'o'], [x.type.shape[0], ...size, groups, O / groups], (...at) => {
    const [n, g, oc] = [at[0], at[D + 1], at[D + 2]]
    const o = L.add(L.mul(g, O / groups), oc)
    const [start, sum] = acc.start(o)
    const over = (d: number, xi: Expr[], ki: Expr[]): Stmt => {
      if (d === D)
        return L.loop('c', CG, (c) =>
          acc.step(sum, L.load(X, n, ...xi, L.add(L.mul(g, CG), c)), L.load(Wt, o, ...ki, c)),
        )
      return L.loop(`r${d}`, kernel[d], (r) => {
        const k = L.sub(L.int(kernel[d] - 1), r)
        const [declareT, t] = L.declare(`t${d}`, L.sub(L.add(at[d + 1], low[d]), L.mul(k, dilation[d])))
        const [declareI, i] = L.declare(`i${d}`, stride[d] === 1 ? t : L.op('div', t, stride[d]))
        const whole = stride[d] === 1 ? L.ge(t, 0) : L.and(L.ge(t, 0), L.op('eq', L.op('rem', t, stride[d]), 0))
        return L.block(
          declareT,
          declareI,
          L.when(L.and(whole, L.lt(i, spatial[d])), over(d + 1, [...xi, i], [...ki, k])),
        )
      })
    }
    return [start, over(0, [], []), L.store(Y, [n, ...at.slice(1, D + 1), o], acc.finish(sum, o))]
  })
  return {
    kernel: L.kernel('transpose_conv', [X, Wt, ...acc.bufs, Y], ...acc.head, body),
    args: [{ value: x }, { value: w }, ...acc.args, { value: y }],
  }
}

/** Calls `body` with every index of `shape`, the last axis fastest, and its flat number. */
function each(shape: readonly number[], body: (at: readonly number[], flat: number) => void): void {
  const at = shape.map(() => 0)
  for (let i = 0; i < count(shape); i++) {
    body(at, i)
    for (let d = shape.length - 1; d >= 0 && ++at[d] === shape[d]; d--) at[d] = 0
  }
}

/**
 * Transposed convolution x[N, ..., C] * w[O, ..., C / groups] + b[O] (optional) -> y[N, ...`size`, O]: element i adds
 * to outputs i * `stride` - `low` + k * `dilation`. Types and `clamp` as `conv2d`. TFLite TRANSPOSE_CONV, ONNX
 * ConvTranspose.
 */
export const transposeConv: Op<TransposeConv> = {
  name: 'transpose_conv',
  spelled: { tflite: [tfliteTransposeConv], onnx: [onnxConvTranspose] },
  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 2, 3)
    const [x, w] = node.inputs.slice(0, 2).map((v) => v!.type.shape)
    const { stride, dilation, low, size, groups } = node.attrs
    if (x.length < 3 || w.length !== x.length)
      throw new ModelError(where, `input is [${x}] and weight [${w}], both need as many dimensions, at least 3`)
    const C = x[x.length - 1]
    if (!Number.isInteger(groups) || groups < 1 || w[0] % groups !== 0 || w[w.length - 1] * groups !== C)
      throw new ModelError(
        where,
        `weight expects ${w[w.length - 1]} input channels in ${groups} groups, input has ${C}`,
      )
    if ([stride, dilation, low, size].some((a) => a.length !== x.length - 2))
      throw new ModelError(where, `has strides [${stride}] and size [${size}], input has ${x.length - 2} spatial axes`)
    if ([...stride, ...dilation, ...size].some((s) => !Number.isInteger(s) || s < 1))
      throw new ModelError(where, `stride [${stride}], dilation [${dilation}] and size [${size}] must be at least 1`)
    if (low.some((p) => !Number.isInteger(p) || Math.abs(p) >= 2 ** 30))
      throw new ModelError(where, `cuts off [${low}] elements, expected whole numbers`)
    const reach = size.map((n, d) => n + w[d + 1] * dilation[d] + stride[d])
    if (reach.some((r) => r >= 2 ** 30)) throw new ModelError(where, `reaches to [${reach}], beyond 2^30`)
    checkAccumulation(node, w[0], 0)
    expectOutputs(
      node,
      infer(
        node.inputs.map((v) => v?.type),
        node.attrs,
      ),
    )
  },

  eval(node, [x, w, b]) {
    const [X, W] = [numbers(x), numbers(w)]
    const { stride, dilation, low, size, groups } = node.attrs
    const [xs, ws] = [node.inputs[0]!.type.shape, node.inputs[1]!.type.shape]
    const [C, O, CG] = [xs[xs.length - 1], ws[0], ws[ws.length - 1]]
    const kernel = ws.slice(1, -1)
    const sum = evalSum(node, O, 'f64', b)
    const S = Float64Array.from({ length: count(node.outputs[0].type.shape) }, (_, i) => sum.start(i % O))
    each(xs.slice(0, -1), (from, i) => {
      for (let c = 0; c < C; c++) {
        const g = Math.floor(c / CG)
        each(kernel, (k, tap) => {
          const at = size.map((_, d) => from[d + 1] * stride[d] - low[d] + k[d] * dilation[d])
          if (at.some((p, d) => p < 0 || p >= size[d])) return
          const pixel = at.reduce((p, a, d) => p * size[d] + a, from[0])
          for (let o = g * (O / groups); o < (g + 1) * (O / groups); o++) {
            const wi = W[(o * count(kernel) + tap) * CG + (c - g * CG)]
            S[pixel * O + o] = sum.step(S[pixel * O + o], X[i * C + c], wi)
          }
        })
      }
    })
    const Y = numbers(newData(outputElem(node), S.length))
    for (let i = 0; i < Y.length; i++) Y[i] = sum.finish(S[i], i % O)
    return [Y]
  },

  lower,

  cost(node) {
    const [x, w] = node.inputs.slice(0, 2).map((v) => v!.type.shape)
    return costOf(node, (count(x) * count(w)) / x[x.length - 1] / node.attrs.groups)
  },

  absorb: (node, effect, other, side) => absorbEpilogue(node, effect, other, side),
  quantize: ({ attrs }) => ({ output: 'own', weights: { input: 1, axis: 0, clamp: attrs.clamp } }),
}
