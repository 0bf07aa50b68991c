// Bilinear resizing of stored images in fixed point, x[N, H, W, C] -> y[N, OH, OW, C]: positions with 10 fraction bits, as
// TensorFlow Lite's integer reference kernel has them. Scale and zero point stay.

import { ModelError } from '../../errors.ts'
import { type Builder, layer } from '../../ir/build.ts'
import { type Node, sameQuant, type TensorType, type Value } from '../../ir/graph.ts'
import { tableLength } from '../../ir/limits.ts'
import type { Attrs, Op, TfliteNode, TfliteSpelling } from '../../ir/op.ts'
import { count, newData } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { expectDtype } from '../quant.ts'
import { constantNumbers, int32Constant, reading } from '../tflite.ts'
import { lower } from './lower.ts'

/** `size`: height and width of the output. */
export type ResizeBilinear = Attrs & {
  readonly size: readonly number[]
  readonly alignCorners: boolean
  readonly halfPixelCenters: boolean
}

export const RESIZE_OPTIONS = {
  id: 15,
  fields: {
    align_corners: { slot: 2, type: 'bool', default: false },
    half_pixel_centers: { slot: 3, type: 'bool', default: false },
  },
} as const satisfies TfliteSpelling['options']

/** Fraction bits of a position, of one axis and of both. */
export const BITS = 10

/** Between which input positions each output position lies, and how far from the first, in 1 / 1024. */
export function positions(from: number, to: number, { alignCorners, halfPixelCenters }: ResizeBilinear) {
  const unit = 2 ** BITS
  const [extent, steps] = alignCorners && to > 1 ? [from - 1, to - 1] : [from, to]
  const scale = Math.floor((unit * extent + Math.floor(steps / 2)) / steps)
  const at = Array.from({ length: to }, (_, i) => i * scale + (halfPixelCenters ? Math.trunc(scale / 2) - unit / 2 : 0))
  const first = at.map((p) => Math.max(0, Math.trunc(p / unit)))
  return {
    first: Int32Array.from(first),
    second: Int32Array.from(at, (p) => Math.min(from - 1, Math.trunc((p + unit - 1) / unit))),
    fraction: Int32Array.from(at, (p, i) => p - unit * first[i]),
  }
}

function infer([x]: readonly (TensorType | undefined)[], { size }: ResizeBilinear): TensorType[] {
  return [{ ...x!, shape: [x!.shape[0], size[0], size[1], x!.shape[3]] }]
}

export function axesOf(node: Node<ResizeBilinear>) {
  const [, H, W] = node.inputs[0]!.type.shape
  const { size } = node.attrs
  return [positions(H, size[0], node.attrs), positions(W, size[1], node.attrs)] as const
}

/**
 * x[N, H, W, C] at `size` [height, width], between the four nearest elements in fixed point (positions in 1 / 1024);
 * `alignCorners` or `halfPixelCenters`, not both. i8, i16; the scale stays. TFLite RESIZE_BILINEAR (floats:
 * `resample`).
 */
/** RESIZE_BILINEAR of stored elements. */
export function readStored(build: Builder, node: TfliteNode): Value[] {
  const where = reading('resize_bilinear', node)
  const { align_corners: aligned, half_pixel_centers: half } = node.options
  const attrs = {
    size: constantNumbers(node, 1, 'size', where),
    alignCorners: aligned === true,
    halfPixelCenters: half === true,
  }
  return build.add(resizeBilinear, [node.inputs[0]], attrs, node.result)
}

/**
 * Images of another size, each pixel from its four neighbours: x[N, H, W, C], int8 in TensorFlow Lite's fixed-point
 * arithmetic, to y[N, OH, OW, C] of the same scale. TensorFlow Lite's RESIZE_BILINEAR.
 */
export const resizeBilinear: Op<ResizeBilinear> = {
  name: 'resize_bilinear',

  spelled: {
    tflite: [
      {
        name: 'RESIZE_BILINEAR',
        code: 23,
        options: RESIZE_OPTIONS,
        read: readStored,
        write: ({ inputs, attrs, from }) => ({
          inputs: [inputs[0], int32Constant(`${from}/size`, attrs.size, [2])],
          options: { align_corners: attrs.alignCorners, half_pixel_centers: attrs.halfPixelCenters },
        }),
      },
    ],
  },

  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    const { size, alignCorners, halfPixelCenters } = node.attrs
    if (x.shape.length !== 4) throw new ModelError(where, `input is [${x.shape}], expected 4 dimensions`)
    expectDtype(x, ['i8', 'i16'], 'input', where)
    if (size.length !== 2 || size.some((s) => !Number.isInteger(s) || s < 1))
      throw new ModelError(where, `size is [${size}], expected a height and a width of at least 1`)
    size.forEach((s, d) => {
      tableLength(s, `axis ${d + 1} after resizing`, where)
    })
    if (alignCorners && halfPixelCenters) throw new ModelError(where, 'aligns corners and has half-pixel centres')
    expectOutputs(node, infer([x], node.attrs))
    if (!sameQuant(x.quant, node.outputs[0].type.quant))
      throw new ModelError(where, 'output is quantised otherwise than the input; resizing keeps scale and zero point')
  },

  eval(node, [x]) {
    const X = numbers(x)
    const [N, H, W, C] = node.inputs[0]!.type.shape
    const [rows, columns] = axesOf(node)
    const { size } = node.attrs
    const unit = 2 ** BITS
    const Y = numbers(newData(outputElem(node), N * size[0] * size[1] * C))
    let i = 0
    for (let n = 0; n < N; n++)
      for (let oh = 0; oh < size[0]; oh++)
        for (let ow = 0; ow < size[1]; ow++)
          for (let c = 0; c < C; c++) {
            const at = (ih: number, iw: number) => X[((n * H + ih) * W + iw) * C + c]
            const [y0, y1, fy] = [rows.first[oh], rows.second[oh], rows.fraction[oh]]
            const [x0, x1, fx] = [columns.first[ow], columns.second[ow], columns.fraction[ow]]
            const upper = at(y0, x0) * (unit - fx) + at(y0, x1) * fx
            const lower = at(y1, x0) * (unit - fx) + at(y1, x1) * fx
            const sum = upper * (unit - fy) + lower * fy
            Y[i++] = Math.trunc((sum + (sum > 0 ? 0.5 : -0.5) * unit * unit) / (unit * unit))
          }
    return [Y]
  },

  lower,
  cost: (node) => costOf(node, 4 * count(node.outputs[0].type.shape)),
}
