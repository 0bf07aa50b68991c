// The sliding window that convolutions and pools share: strides, dilation, explicit padding, output sizes, and the
// loops over one window with its bounds conditions. Activations are NHWC.

import { ModelError } from '../errors.ts'
import { type Node, sameQuant, type Value } from '../ir/graph.ts'
import type { Attrs, Effect, OptionField, OptionValue, Range, Region } from '../ir/op.ts'
import * as L from '../loops/build.ts'
import type { Expr, Stmt } from '../loops/ir.ts'
import { type Pad, pad } from './shape/pad.ts'

/** [height, width] strides and dilations; [top, left, bottom, right] padding in elements. */
export type Window = {
  readonly stride: readonly number[]
  readonly dilation: readonly number[]
  readonly pad: readonly number[]
}

/** Output [height, width] of a window of `kernel` over `input` (both [height, width]). */
export function windowOutput(input: readonly number[], kernel: readonly number[], w: Window): number[] {
  return [0, 1].map((d) => {
    const span = (kernel[d] - 1) * w.dilation[d] + 1
    return Math.floor((input[d] + w.pad[d] + w.pad[d + 2] - span) / w.stride[d]) + 1
  })
}

/** Refuses windows whose places do not fit 32-bit arithmetic. `kernel` and `output` are [height, width]. */
export function expectWindow(w: Window, kernel: readonly number[], output: readonly number[], where: string): void {
  const { stride, dilation, pad } = w
  const whole = [...stride, ...dilation, ...kernel].every((n) => Number.isInteger(n) && n >= 1)
  if (stride.length !== 2 || dilation.length !== 2 || kernel.length !== 2 || !whole)
    throw new ModelError(where, `window [${kernel}], stride [${stride}] and dilation [${dilation}] must be at least 1`)
  if (pad.length !== 4 || pad.some((p) => !Number.isInteger(p) || Math.abs(p) >= 2 ** 31))
    throw new ModelError(where, `padding is [${pad}], expected whole numbers`)
  const reach = [0, 1].map((d) => output[d] * stride[d] + kernel[d] * dilation[d])
  if (reach.some((r) => !(r < 2 ** 31)))
    throw new ModelError(where, `stride [${stride}] and dilation [${dilation}] reach to [${reach}], beyond 2^31`)
}

/**
 * For output pixel `row` of images [N, OH, OW, ...]: the number of the first element of the pixel of x[N, H, W, C] under
 * each tap of the window, -1 in the padding.
 */
export function pixels(
  [, H, W, C]: readonly number[],
  [, OH, OW]: readonly number[],
  { stride, dilation, pad }: Window,
  row: number,
): (kh: number, kw: number) => number {
  const n = Math.floor(row / (OH * OW))
  const top = (Math.floor(row / OW) % OH) * stride[0] - pad[0]
  const left = (row % OW) * stride[1] - pad[1]
  return (kh, kw) => {
    const [ih, iw] = [top + kh * dilation[0], left + kw * dilation[1]]
    return ih < 0 || ih >= H || iw < 0 || iw >= W ? -1 : ((n * H + ih) * W + iw) * C
  }
}

/** TFLite's SAME (0) or VALID (1) as explicit padding; the odd element goes to the bottom and right. */
export function padOfTflite(
  padding: OptionValue,
  input: readonly number[],
  kernel: readonly number[],
  stride: readonly number[],
  dilation: readonly number[],
): number[] {
  if (padding === 1) return [0, 0, 0, 0]
  const total = [0, 1].map((d) => {
    const out = Math.ceil(input[d] / stride[d])
    return Math.max(0, (out - 1) * stride[d] + (kernel[d] - 1) * dilation[d] + 1 - input[d])
  })
  return [total[0] >> 1, total[1] >> 1, total[0] - (total[0] >> 1), total[1] - (total[1] >> 1)]
}

/** The inverse: 0 (SAME), 1 (VALID), or undefined where the padding is neither. */
export function padToTflite(w: Window, input: readonly number[], kernel: readonly number[]): number | undefined {
  const is = (padding: number) =>
    padOfTflite(padding, input, kernel, w.stride, w.dilation).every((p, i) => p === w.pad[i])
  return is(1) ? 1 : is(0) ? 0 : undefined
}

/**
 * For padding that has no word in the schema: a node that widens the input by `value`, and this node without padding.
 * Undefined where nothing is padded, or less than nothing.
 */
export function padFirst<A extends Attrs & Pick<Window, 'pad'>>(
  node: Node<A>,
  value: number,
): readonly Node[] | undefined {
  const [top, left, bottom, right] = node.attrs.pad
  const x = node.inputs[0]!
  if (node.attrs.pad.some((p) => p < 0) || node.attrs.pad.every((p) => p === 0)) return undefined
  const attrs = { low: [0, top, left, 0], high: [0, bottom, right, 0], value }
  const shape = x.type.shape.map((e, d) => attrs.low[d] + e + attrs.high[d])
  const wide: Value = { name: `${node.outputs[0].name}/padded`, type: { ...x.type, shape }, storage: 'temp' }
  const padding: Node<Pad> = { op: pad, attrs, inputs: [x], outputs: [wide], from: node.from }
  const bare = { ...node, attrs: { ...node.attrs, pad: [0, 0, 0, 0] }, inputs: [wide, ...node.inputs.slice(1)] }
  return [padding as Node, bare as Node]
}

/** The slots that the schema's windowed option tables share. */
export const WINDOW_FIELDS = {
  padding: { slot: 0, type: 'i8', default: 0 },
  stride_w: { slot: 1, type: 'i32', default: 0 },
  stride_h: { slot: 2, type: 'i32', default: 0 },
} as const satisfies Record<string, OptionField>

/** The conditions for an input row or column to exist, false where it lies in the padding. */
function inside(i: Expr, extent: number): Expr {
  return L.and(L.ge(i, 0), L.lt(i, extent))
}

/**
 * Loops over the window of output (oh, ow) that skip what lies in the padding: `body(ih, iw, kh, kw)`.
 * `input` and `kernel` are [height, width].
 */
export function overWindow(
  w: Window,
  input: readonly number[],
  kernel: readonly number[],
  oh: Expr,
  ow: Expr,
  body: (ih: Expr, iw: Expr, kh: Expr, kw: Expr) => Stmt | Stmt[],
): Stmt {
  return L.loop('kh', kernel[0], (kh) => {
    const ih = L.add(L.add(L.mul(oh, w.stride[0]), L.mul(kh, w.dilation[0])), -w.pad[0])
    return L.when(
      inside(ih, input[0]),
      L.loop('kw', kernel[1], (kw) => {
        const iw = L.add(L.add(L.mul(ow, w.stride[1]), L.mul(kw, w.dilation[1])), -w.pad[1])
        return L.when(inside(iw, input[1]), body(ih, iw, kh, kw))
      }),
    )
  })
}

/** The same for `eval`: calls `body` for each tap that lies inside. */
export function eachTap(
  w: Window,
  input: readonly number[],
  kernel: readonly number[],
  oh: number,
  ow: number,
  body: (ih: number, iw: number, kh: number, kw: number) => void,
): void {
  for (let kh = 0; kh < kernel[0]; kh++) {
    const ih = oh * w.stride[0] + kh * w.dilation[0] - w.pad[0]
    if (ih < 0 || ih >= input[0]) continue
    for (let kw = 0; kw < kernel[1]; kw++) {
      const iw = ow * w.stride[1] + kw * w.dilation[1] - w.pad[1]
      if (iw >= 0 && iw < input[1]) body(ih, iw, kh, kw)
    }
  }
}

/**
 * The rectangle of the input (`extents` [height, width]) under a rectangle of the output, and the padding that a node for it
 * alone has; undefined where nothing of it lies inside the image. `kernel` is [height, width].
 */
export function windowRegion(
  w: Window,
  extents: readonly number[],
  kernel: readonly number[],
  { rows, columns }: Region,
): { readonly input: Region; readonly pad: number[] } | undefined {
  const axis = (d: number, out: Range) => {
    const first = out.from * w.stride[d] - w.pad[d]
    const end = (out.to - 1) * w.stride[d] - w.pad[d] + (kernel[d] - 1) * w.dilation[d] + 1
    const range = { from: Math.max(0, first), to: Math.min(extents[d], end) }
    return { range, pad: [Math.max(0, -first), Math.max(0, end - extents[d])] }
  }
  const [h, v] = [axis(0, rows), axis(1, columns)]
  if ([h, v].some(({ range, pad }, d) => range.to <= range.from || pad[1] > kernel[d] * w.dilation[d])) return undefined
  return { input: { rows: h.range, columns: v.range }, pad: [h.pad[0], v.pad[0], h.pad[1], v.pad[1]] }
}

/** `windowRegion` for an operator whose input 0 is an image and whose other inputs are constants. */
export function regionOfWindow<A extends Attrs & Window>(node: Node<A>, kernel: readonly number[], out: Region) {
  const under = windowRegion(node.attrs, node.inputs[0]!.type.shape.slice(1, 3), kernel, out)
  if (!under) return undefined
  const inputs = node.inputs.map((_, i) => (i === 0 ? under.input : undefined))
  return { inputs, attrs: { ...node.attrs, pad: under.pad } }
}

/** Takes over a pad of height and width whose elements mean zero: such taps add nothing to a sum. */
export function absorbPad<A extends Attrs & Window>(
  node: Node<A>,
  effect: Effect,
  other: Node,
  side: 'before' | 'after',
  input: number,
): Node<A> | undefined {
  if (side !== 'before' || input !== 0 || effect.does !== 'pad') return undefined
  const { low, high, value } = effect
  const type = other.inputs[0]!.type
  if (low.length !== 4 || [low[0], high[0], low[3], high[3]].some((p) => p !== 0)) return undefined
  if (value !== (type.quant?.zero[0] ?? 0) || !sameQuant(type.quant, node.inputs[0]!.type.quant)) return undefined
  const extra = [low[1], low[2], high[1], high[2]]
  if (extra.some((p) => p < 0)) return undefined
  const pad = node.attrs.pad.map((p, i) => p + extra[i])
  return { ...node, attrs: { ...node.attrs, pad }, inputs: [other.inputs[0], ...node.inputs.slice(1)] }
}
