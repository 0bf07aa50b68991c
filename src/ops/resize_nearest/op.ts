// Nearest-neighbour resizing of NHWC images: y[n, oh, ow, c] = x[n, row(oh), column(ow), c], f32 and int8. Which row is
// nearest is decided in float32 arithmetic, in the order in which TensorFlow Lite Micro's reference kernel does it.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { sameQuant, type TensorType, type Value } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import { newData } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { expectDtype, roundAway } from '../quant.ts'
import { lower } from './lower.ts'

/** `size`: [height, width] of the output. */
export type ResizeNearest = Attrs & {
  readonly size: readonly number[]
  readonly alignCorners: boolean
  readonly halfPixelCenters: boolean
}

/** For each of `to` positions, the nearest of `from`. */
export function nearest(from: number, to: number, alignCorners: boolean, halfPixelCenters: boolean): Int32Array {
  const f = Math.fround
  const scale = alignCorners && to > 1 ? f(f(from - 1) / f(to - 1)) : f(f(from) / f(to))
  return Int32Array.from({ length: to }, (_, i) => {
    const at = f(f(i + (halfPixelCenters ? 0.5 : 0)) * scale)
    return Math.min(alignCorners ? roundAway(at) : Math.floor(at), from - 1)
  })
}

function infer(inputs: readonly (TensorType | undefined)[], { size }: ResizeNearest): TensorType[] {
  const x = inputs[0]!
  return [{ dtype: x.dtype, shape: [x.shape[0], ...size, x.shape[3]], ...(x.quant && { quant: x.quant }) }]
}

/**
 * x[N, H, W, C] at `size` [height, width], each element that of the nearest place, which `alignCorners` and
 * `halfPixelCenters` define as TensorFlow Lite does. f32, i8, i16; the scale stays. TFLite RESIZE_NEAREST_NEIGHBOR.
 */
export const resizeNearest: Op<ResizeNearest> = {
  name: 'resize_nearest',

  spelled: {
    tflite: [
      {
        name: 'RESIZE_NEAREST_NEIGHBOR',
        code: 97,
        options: {
          id: 74,
          fields: {
            align_corners: { slot: 0, type: 'bool', default: false },
            half_pixel_centers: { slot: 1, type: 'bool', default: false },
          },
        },
        read(build, { inputs: [x, size], options: o, result }) {
          const where = `resize_nearest "${result.from}"`
          if (!size?.data || size.storage !== 'const' || size.type.dtype !== 'i32' || size.data.length !== 2)
            throw new ModelError(
              where,
              `size "${size?.name}" is ${size?.storage} ${size?.type.dtype}[${size?.type.shape}], must be a constant of two i32`,
            )
          const attrs = {
            size: Array.from(size.data as Int32Array),
            alignCorners: o.align_corners === true,
            halfPixelCenters: o.half_pixel_centers === true,
          }
          return build.add(resizeNearest, [x], attrs, result)
        },
        write({ inputs, attrs, from }) {
          const data = Int32Array.from(attrs.size)
          const size: Value = { name: `${from}/size`, type: { dtype: 'i32', shape: [2] }, storage: 'const', data }
          return {
            inputs: [inputs[0], size],
            options: { align_corners: attrs.alignCorners, half_pixel_centers: attrs.halfPixelCenters },
          }
        },
      },
    ],
  },

  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    const { size } = node.attrs
    if (x.shape.length !== 4) throw new ModelError(where, `input is [${x.shape}], expected 4 dimensions`)
    expectDtype(x, ['f32', 'i8', 'i16'], 'input', where)
    if (size.length !== 2 || size.some((s) => !Number.isInteger(s) || s < 1))
      throw new ModelError(where, `size is [${size}], expected a height and a width of at least 1`)
    expectOutputs(
      node,
      infer(
        node.inputs.map((v) => v?.type),
        node.attrs,
      ),
    )
    if (!sameQuant(x.quant, node.outputs[0].type.quant))
      throw new ModelError(where, 'output is quantised otherwise than the input; resizing copies stored values')
  },

  eval(node, [x]) {
    const X = numbers(x)
    const [N, H, W, C] = node.inputs[0]!.type.shape
    const { size, alignCorners, halfPixelCenters } = node.attrs
    const rows = nearest(H, size[0], alignCorners, halfPixelCenters)
    const columns = nearest(W, size[1], alignCorners, halfPixelCenters)
    const Y = numbers(newData(outputElem(node), N * size[0] * size[1] * C))
    let i = 0
    for (let n = 0; n < N; n++)
      for (const ih of rows)
        for (const iw of columns) for (let c = 0; c < C; c++) Y[i++] = X[((n * H + ih) * W + iw) * C + c]
    return [Y]
  },

  lower,

  quantize: () => ({ output: 'shared' }),
  cost: (node) => costOf(node, 0),
}
