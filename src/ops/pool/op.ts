// Average and maximum over windows of NHWC images: x[N, H, W, C] -> y[N, OH, OW, C], f32 and int8. Only what lies inside
// the image counts. int8 works on stored values and rounds averages half away from zero (TensorFlow Lite Micro's
// reference kernels, which ask for one quantisation on both sides).

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import type { Attrs, Op, TfliteSpelling } from '../../ir/op.ts'
import { newData } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
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
import { eachTap, padOfTflite, padToTflite, WINDOW_FIELDS, type Window, windowOutput } from '../window.ts'
import { lowerAverage, lowerMax } from './lower.ts'

/** [height, width] of the window and of its steps; [top, left, bottom, right] padding, less than the window. */
export type Pool = Attrs & {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly pad: readonly number[]
  readonly clamp: Clamp
}

export const FLOAT_LOWEST = -3.4028234663852886e38

export function windowOf({ stride, pad }: Pool): Window {
  return { stride, pad, dilation: [1, 1] }
}

function infer(inputs: readonly (TensorType | undefined)[], a: Pool): TensorType[] {
  const x = inputs[0]!
  const [oh, ow] = windowOutput(x.shape.slice(1, 3), a.kernel, windowOf(a))
  return [{ dtype: x.dtype, shape: [x.shape[0], oh, ow, x.shape[3]], ...(x.quant && { quant: x.quant }) }]
}

function check(node: Node<Pool>): void {
  const where = layer(node)
  expectInputs(node, 1)
  const x = node.inputs[0]!.type
  const { kernel, stride, pad } = node.attrs
  if (x.shape.length !== 4) throw new ModelError(where, `input is [${x.shape}], expected 4 dimensions`)
  expectDtype(x, ['f32', 'i8'], 'input', where)
  if ([...kernel, ...stride].some((s) => !Number.isInteger(s) || s < 1))
    throw new ModelError(where, `window [${kernel}] and stride [${stride}] must be at least 1`)
  if (pad.some((p, i) => !Number.isInteger(p) || p < 0 || p >= kernel[i % 2]))
    throw new ModelError(where, `padding [${pad}] must be less than the window [${kernel}], so that none is empty`)
  expectOutputs(
    node,
    infer(
      node.inputs.map((v) => v?.type),
      node.attrs,
    ),
  )
  if (x.dtype === 'f32') return
  const [from, to] = [perTensor(x, 'input', where), perTensor(node.outputs[0].type, 'output', where)]
  if (Math.abs(Math.fround(from.scale - to.scale)) > 1e-6 || from.zero !== to.zero)
    throw new ModelError(
      where,
      `output has scale ${to.scale} and zero point ${to.zero}, input has ${from.scale} and ${from.zero}; they must agree`,
    )
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
    read(build, { inputs, options: o, result }) {
      const where = `${op().name} "${result.from}"`
      const [x] = inputs
      if (x?.type.shape.length !== 4) throw new ModelError(where, `input is [${x?.type.shape}], expected 4 dimensions`)
      const kernel = [o.filter_height as number, o.filter_width as number]
      const stride = [o.stride_h as number, o.stride_w as number]
      const pad = padOfTflite(o.padding, x.type.shape.slice(1, 3), kernel, stride, [1, 1])
      const clamp = clampOfTflite(o.fused_activation_function, where)
      return build.add(op(), [x], { kernel, stride, pad, clamp }, result)
    },
    write({ inputs, attrs: a }) {
      const padding = padToTflite(windowOf(a), inputs[0]!.type.shape.slice(1, 3), a.kernel)
      const activation = clampToTflite(a.clamp)
      if (padding === undefined || activation === undefined) return undefined
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

/** Everything but the arithmetic of a window: `of` turns its elements, in the order of rows and columns, into the output. */
function pool(
  name: string,
  spelled: TfliteSpelling<Pool>,
  lower: Op<Pool>['lower'],
  of: (elements: readonly number[], float: boolean) => number,
): Op<Pool> {
  return {
    name,
    spelled: { tflite: [spelled] },
    infer,
    check,
    eval(node, [x]) {
      const X = numbers(x)
      const [, H, W, C] = node.inputs[0]!.type.shape
      const [N, OH, OW] = node.outputs[0].type.shape
      const { lo, hi } = clampRange(node.outputs[0].type, node.attrs.clamp)
      const float = node.inputs[0]!.type.dtype === 'f32'
      const Y = numbers(newData(outputElem(node), N * OH * OW * C))
      for (let n = 0, i = 0; n < N; n++)
        for (let oh = 0; oh < OH; oh++)
          for (let ow = 0; ow < OW; ow++)
            for (let c = 0; c < C; c++, i++) {
              const elements: number[] = []
              eachTap(windowOf(node.attrs), [H, W], node.attrs.kernel, oh, ow, (ih, iw) => {
                elements.push(X[((n * H + ih) * W + iw) * C + c])
              })
              const v = of(elements, float)
              const low = v < lo ? lo : v
              Y[i] = hi < low ? hi : low
            }
      return [Y]
    },
    lower,
    cost: (node) => costOf(node, 0),
    absorb(node, effect, other, side) {
      if (side !== 'after' || effect.does !== 'clamp') return undefined
      return { ...node, attrs: { ...node.attrs, clamp: bothClamps(node.attrs.clamp, effect) }, outputs: other.outputs }
    },
  }
}

export const averagePool2d: Op<Pool> = pool(
  'average_pool2d',
  spelling('AVERAGE_POOL_2D', 1, () => averagePool2d),
  lowerAverage,
  (elements, float) => {
    const n = elements.length
    if (float) return Math.fround(elements.reduce((s, e) => Math.fround(s + e), 0) / n)
    const sum = elements.reduce((s, e) => (s + e) | 0, 0)
    return Math.trunc((sum > 0 ? sum + Math.floor(n / 2) : sum - Math.floor(n / 2)) / n)
  },
)

export const maxPool2d: Op<Pool> = pool(
  'max_pool2d',
  spelling('MAX_POOL_2D', 17, () => maxPool2d),
  lowerMax,
  (elements, float) => elements.reduce((best, e) => (best < e ? e : best), float ? FLOAT_LOWEST : rangeOf('i8').min),
)
