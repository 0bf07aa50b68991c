// Average, maximum and Lp norm over windows of NHWC images: x[N, H, W, C] -> y[N, OH, OW, C]. Only what lies inside the
// image counts, in averages also the padding of `counted`. int8 and int16 work on stored values and round averages half away
// from zero (TensorFlow Lite Micro's reference kernels, which ask for one quantisation on both sides).

import { ModelError } from '../../errors.ts'
import { type Builder, layer } from '../../ir/build.ts'
import type { DType, Node, Quant, TensorType, Value } from '../../ir/graph.ts'
import { tableLength } from '../../ir/limits.ts'
import type { Attrs, Op, TfliteNode, TfliteSpelling } from '../../ir/op.ts'
import { newData } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { together } from '../channels.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import {
  bothClamps,
  type Clamp,
  clampOfTflite,
  clampRange,
  clampToTflite,
  expectDtype,
  perTensor,
  rangeOf,
} from '../quant.ts'
import { quantize } from '../quantize/op.ts'
import {
  eachTap,
  expectWindow,
  padFirst,
  padOfTflite,
  padToTflite,
  WINDOW_FIELDS,
  type Window,
  windowOutput,
  windowRegion,
} from '../window.ts'
import { lowerAverage, lowerMax, lowerNorm } from './lower.ts'
import { onnxPool } from './onnx.ts'

/**
 * [height, width] of the window, of its steps and of the steps inside it; [top, left, bottom, right] padding, and how much
 * of it counts as zeros in an average.
 */
export type Pool = Attrs & {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly pad: readonly number[]
  readonly clamp: Clamp
  readonly dilation?: readonly number[]
  readonly counted?: readonly number[]
  /** Of an Lp norm: 1 or 2, and whether the sum is divided by the number of elements. */
  readonly p?: number
  readonly mean?: boolean
}

export const FLOAT_LOWEST = -3.4028234663852886e38

export function windowOf({ stride, pad, dilation }: Pool): Window {
  return { stride, pad, dilation: dilation ?? [1, 1] }
}

/** For each output row (d = 0) or column (d = 1), how many of the window's lie in the image and its counted padding. */
export function tapsAlong(d: 0 | 1, extent: number, outputs: number, a: Pool): number[] {
  const { stride, pad, dilation } = windowOf(a)
  const [low, high] = a.counted ? [a.counted[d], a.counted[d + 2]] : [0, 0]
  return Array.from({ length: outputs }, (_, o) => {
    const start = o * stride[d] - pad[d]
    const first = Math.max(0, Math.ceil((-low - start) / dilation[d]))
    const last = Math.min(a.kernel[d] - 1, Math.floor((extent + high - 1 - start) / dilation[d]))
    return Math.max(0, last - first + 1)
  })
}

function infer(inputs: readonly (TensorType | undefined)[], a: Pool): TensorType[] {
  const x = inputs[0]!
  const [oh, ow] = windowOutput(x.shape.slice(1, 3), a.kernel, windowOf(a))
  return [{ dtype: x.dtype, shape: [x.shape[0], oh, ow, x.shape[3]], ...(x.quant && { quant: x.quant }) }]
}

function check(node: Node<Pool>, dtypes: readonly DType[]): void {
  const where = layer(node)
  expectInputs(node, 1)
  const x = node.inputs[0]!.type
  const { kernel, pad } = node.attrs
  if (x.shape.length !== 4) throw new ModelError(where, `input is [${x.shape}], expected 4 dimensions`)
  expectDtype(x, dtypes, 'input', where)
  const outputs = node.outputs[0].type.shape.slice(1, 3)
  expectWindow(windowOf(node.attrs), kernel, outputs, where)
  for (const n of outputs) tableLength(n, 'the number of windows along an axis', where)
  if (pad.some((p) => !Number.isInteger(p) || p < 0))
    throw new ModelError(where, `padding [${pad}] must not be negative`)
  expectOutputs(
    node,
    infer(
      node.inputs.map((v) => v?.type),
      node.attrs,
    ),
  )
  const taken = { ...node.attrs, counted: undefined }
  if (([0, 1] as const).some((d) => tapsAlong(d, x.shape[d + 1], node.outputs[0].type.shape[d + 1], taken).includes(0)))
    throw new ModelError(where, `padding [${pad}] leaves windows [${kernel}] without an element of [${x.shape}]`)
  if (!x.quant) {
    if (x.dtype !== 'f32' && node.op.name === 'average_pool2d') perTensor(x, 'input', where)
    return
  }
  const [from, to] = [perTensor(x, 'input', where), perTensor(node.outputs[0].type, 'output', where)]
  if (Math.abs(Math.fround(from.scale - to.scale)) > 1e-6 || from.zero !== to.zero)
    throw new ModelError(
      where,
      `output has scale ${to.scale} and zero point ${to.zero}, input has ${from.scale} and ${from.zero}; they must agree`,
    )
}

/** Averages of uint8 that is read 128 lower round halves up: they are formed on what the file holds. */
function unsignedAverage(build: Builder, x: Value, attrs: Pool, result: TfliteNode['result']): Value[] {
  const inner = (what: string, { scale, zero }: Quant) => ({
    from: result.from,
    names: [`${result.names?.[0] ?? result.from}/${what}`],
    quant: { scale, zero: zero.map((z) => z + 128) },
  })
  const [y] = result.types
  const raw = x.type.dtype === 'u8' ? x : build.one(quantize, [x], { dtype: 'u8' }, inner('uint8', x.type.quant!))
  if (y.dtype === 'u8') return build.add(averagePool2d, [raw], attrs, result)
  const average = build.one(averagePool2d, [raw], attrs, inner('average', y.quant!))
  return build.add(quantize, [average], { dtype: 'i8' }, result)
}

function spelling(name: string, code: number, op: () => Op<Pool>): TfliteSpelling<Pool> {
  return {
    name,
    code,
    options: {
      id: 5,
      fields: {
        ...WINDOW_FIELDS,
        filter_width: { slot: 3, type: 'i32', default: 0 },
        filter_height: { slot: 4, type: 'i32', default: 0 },
        fused_activation_function: { slot: 5, type: 'i8', default: 0 },
      },
    },
    read(build, { inputs, options: o, unsigned, result }) {
      const where = `${op().name} "${result.from}"`
      const [x] = inputs
      if (x?.type.shape.length !== 4) throw new ModelError(where, `input is [${x?.type.shape}], expected 4 dimensions`)
      const kernel = [o.filter_height as number, o.filter_width as number]
      const stride = [o.stride_h as number, o.stride_w as number]
      const pad = padOfTflite(o.padding, x.type.shape.slice(1, 3), kernel, stride, [1, 1])
      const clamp = clampOfTflite(o.fused_activation_function, where)
      const norm = code === 12 ? { p: 2, mean: true } : {}
      const attrs = { kernel, stride, pad, clamp, ...norm }
      if (name === 'AVERAGE_POOL_2D' && (unsigned || (x.type.quant && result.types[0]?.dtype === 'u8')))
        return unsignedAverage(build, x, attrs, result)
      return build.add(op(), [x], attrs, result)
    },
    write(node) {
      const { inputs, attrs: a } = node
      const { type } = inputs[0]!
      if (windowOf(a).dilation.some((d) => d !== 1) || a.p === 1 || a.mean === false) return undefined
      if (a.counted?.some((c) => c !== 0)) {
        const whole = type.dtype === 'f32' && a.counted.every((c, i) => c === a.pad[i])
        return whole ? padFirst({ ...node, attrs: { ...a, counted: undefined } }, 0) : undefined
      }
      const padding = padToTflite(windowOf(a), type.shape.slice(1, 3), a.kernel)
      const activation = clampToTflite(a.clamp)
      if (activation === undefined) return undefined
      if (padding === undefined)
        return name === 'MAX_POOL_2D'
          ? padFirst(node, type.dtype === 'f32' ? FLOAT_LOWEST : rangeOf(type.dtype).min)
          : undefined
      return {
        inputs,
        options: {
          padding,
          stride_w: a.stride[1],
          stride_h: a.stride[0],
          filter_width: a.kernel[1],
          filter_height: a.kernel[0],
          fused_activation_function: activation,
        },
      }
    },
  }
}

/** The activation range; unquantised integers have none. */
export function limitsOf(node: Node<Pool>): { lo: number; hi: number } {
  const { type } = node.outputs[0]
  if (type.quant || type.dtype === 'f32') return clampRange(type, node.attrs.clamp)
  const { min, max } = rangeOf(type.dtype)
  return { lo: min, hi: max }
}

/** Everything but the arithmetic of a window: `of` turns its elements, in the order of rows and columns, into the output. */
function pool(
  name: string,
  dtypes: readonly DType[],
  spelled: Op<Pool>['spelled'],
  lower: Op<Pool>['lower'],
  of: (elements: readonly number[], float: boolean, taps: number, attrs: Pool, dtype: DType) => number,
): Op<Pool> {
  return {
    name,
    spelled,
    infer,
    check: (node) => check(node, dtypes),
    eval(node, [x]) {
      const X = numbers(x)
      const [, H, W, C] = node.inputs[0]!.type.shape
      const [N, OH, OW] = node.outputs[0].type.shape
      const { lo, hi } = limitsOf(node)
      const float = node.inputs[0]!.type.dtype === 'f32'
      const Y = numbers(newData(outputElem(node), N * OH * OW * C))
      const [rows, columns] = [tapsAlong(0, H, OH, node.attrs), tapsAlong(1, W, OW, node.attrs)]
      const { dtype } = node.outputs[0].type
      for (let n = 0, i = 0; n < N; n++)
        for (let oh = 0; oh < OH; oh++)
          for (let ow = 0; ow < OW; ow++)
            for (let c = 0; c < C; c++, i++) {
              const elements: number[] = []
              eachTap(windowOf(node.attrs), [H, W], node.attrs.kernel, oh, ow, (ih, iw) => {
                elements.push(X[((n * H + ih) * W + iw) * C + c])
              })
              const v = of(elements, float, rows[oh] * columns[ow], node.attrs, dtype)
              const low = v < lo ? lo : v
              Y[i] = hi < low ? hi : low
            }
      return [Y]
    },
    lower,
    quantize: () => (name === 'lp_pool2d' ? undefined : { output: 'shared', subByte: true }),
    cost: (node) => costOf(node, 0),
    region(node, out) {
      const { kernel, counted } = node.attrs
      if (counted) return undefined
      const under = windowRegion(windowOf(node.attrs), node.inputs[0]!.type.shape.slice(1, 3), kernel, out)
      return under && { inputs: [under.input], attrs: { ...node.attrs, pad: under.pad } }
    },
    absorb(node, effect, other, side) {
      if (side !== 'after' || effect.does !== 'clamp') return undefined
      return { ...node, attrs: { ...node.attrs, clamp: bothClamps(node.attrs.clamp, effect) }, outputs: other.outputs }
    },
    bounds(node, [x]) {
      const { lo, hi } = limitsOf(node)
      const counted = node.attrs.counted?.some((c) => c !== 0)
      const limited = (v: number) => Math.min(hi, Math.max(lo, v))
      return (
        x && {
          least: x.least.map((v) => limited(counted ? Math.min(0, v) : v)),
          most: x.most.map((v) => limited(counted ? Math.max(0, v) : v)),
        }
      )
    },
    narrow: (node, free) => together(node, free),
  }
}

/**
 * Means over windows of x[N, H, W, C] -> y[N, OH, OW, C]; only elements inside the image count, and the padding that
 * `counted` names as zeros. `kernel`, `stride`, `dilation` [height, width], `pad` [top, left, bottom, right]. f32, i8
 * and i16 with equal scales on both sides. Refuses windows without an element. TFLite AVERAGE_POOL_2D, ONNX
 * AveragePool.
 */
export const averagePool2d: Op<Pool> = pool(
  'average_pool2d',
  ['f32', 'i8', 'u8', 'i16', 'u4', 'u2'],
  {
    tflite: [spelling('AVERAGE_POOL_2D', 1, () => averagePool2d)],
    onnx: [onnxPool('AveragePool', () => averagePool2d)],
  },
  lowerAverage,
  (elements, float, n) => {
    if (float) return Math.fround(elements.reduce((s, e) => Math.fround(s + e), 0) / n)
    const sum = elements.reduce((s, e) => (s + e) | 0, 0)
    return Math.trunc((sum > 0 ? sum + Math.floor(n / 2) : sum - Math.floor(n / 2)) / n)
  },
)

/**
 * Greatest elements of windows of x[N, H, W, C]; attributes as `averagePool2d`. f32, i8, u8, i16. TFLite MAX_POOL_2D,
 * ONNX MaxPool.
 */
export const maxPool2d: Op<Pool> = pool(
  'max_pool2d',
  ['f32', 'i8', 'u8', 'i16', 'u4', 'u2'],
  { tflite: [spelling('MAX_POOL_2D', 17, () => maxPool2d)], onnx: [onnxPool('MaxPool', () => maxPool2d)] },
  lowerMax,
  (elements, float, _, __, dtype) =>
    elements.reduce((best, e) => (best < e ? e : best), float ? FLOAT_LOWEST : rangeOf(dtype).min),
)

/**
 * Norms of windows of x[N, H, W, C]: sum |x|^p, divided by the number of elements with `mean`, to the power 1 / p; `p`
 * 1 or 2, the rest as `averagePool2d`. f32. TFLite L2_POOL_2D, ONNX LpPool.
 */
export const lpPool2d: Op<Pool> = pool(
  'lp_pool2d',
  ['f32'],
  { tflite: [spelling('L2_POOL_2D', 12, () => lpPool2d)], onnx: [onnxPool('LpPool', () => lpPool2d)] },
  lowerNorm,
  (elements, _, n, { p, mean }) => {
    const f = Math.fround
    const sum = elements.reduce((s, e) => f(s + (p === 1 ? Math.abs(e) : f(e * e))), 0)
    const whole = mean ? f(sum / n) : sum
    return p === 1 ? whole : f(Math.sqrt(whole))
  },
)
