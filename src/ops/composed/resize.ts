// ONNX's Resize and Upsample and TFLite's RESIZE_BILINEAR, an axis at a time: nearest neighbours are gathered, linear and
// cubic values are weighted sums. All tables are made while the model is read.

import { ModelError } from '../../errors.ts'
import type { Builder, NodeOptions } from '../../ir/build.ts'
import type { Value } from '../../ir/graph.ts'
import { tableLength } from '../../ir/limits.ts'
import type { OnnxNode, OnnxSpelling, TfliteSpelling } from '../../ir/op.ts'
import { gather } from '../gather/op.ts'
import { axisOf, listAttr, listOf, numberAttr, stringAttr } from '../onnx.ts'
import { resample } from '../resample/op.ts'
import { RESIZE_OPTIONS, readStored } from '../resize_bilinear/op.ts'
import { reshape } from '../shape/reshape.ts'
import { constantNumbers, operand, reading } from '../tflite.ts'
import { axisTable, type Coordinates, coordinate, type Interpolation, nearestPosition } from './coordinates.ts'

const MODES: readonly Coordinates['mode'][] = [
  'half_pixel',
  'half_pixel_symmetric',
  'pytorch_half_pixel',
  'align_corners',
  'asymmetric',
  'tf_half_pixel_for_nn',
  'tf_crop_and_resize',
]

/** One axis to resize: its extent afterwards and where its positions come from. */
interface Axis {
  readonly axis: number
  readonly to: number
  readonly coordinates: Coordinates
}

type Step = (x: Value, axis: Axis, options: NodeOptions) => Value

/** Applies `step` along each axis; the last one gets the names of the result. */
function along(build: Builder, x: Value, axes: readonly Axis[], result: NodeOptions, step: Step): Value[] {
  if (axes.length === 0) return build.add(reshape, [x], { shape: x.type.shape }, result)
  let v = x
  axes.forEach((a, i) => {
    const names = [`${result.names?.[0] ?? result.from ?? 'resize'}/axis_${a.axis}`]
    v = step(v, a, i === axes.length - 1 ? result : { from: result.from, names })
  })
  return [v]
}

function nearestStep(build: Builder, mode: string): Step {
  return (x, { axis, to, coordinates }, options) => {
    const from = x.type.shape[axis]
    const positions = Int32Array.from({ length: to }, (_, i) =>
      nearestPosition(coordinate(i, from, to, coordinates), from, mode),
    )
    const name = `${options.names?.[0] ?? 'resize'}/positions`
    const indices = build.const(name, { dtype: 'i32', shape: [to] }, positions)
    return build.one(gather, [x, indices], { axis, batchDims: 0 }, options)
  }
}

function filterStep(build: Builder, interpolation: Interpolation): Step {
  return (x, { axis, to, coordinates }, options) =>
    build.one(resample, [x], { axis, ...axisTable(x.type.shape[axis], to, coordinates, interpolation) }, options)
}

/** Scale and extent of each axis that `Resize` names, as its sizes or scales and its policy say. */
function targets(node: OnnxNode, x: Value, axes: readonly number[], where: string): { to: number; scale: number }[] {
  const from = axes.map((a) => x.type.shape[a])
  const sizes = node.inputs[3] ? constantNumbers(node, 3, 'sizes', where) : undefined
  if (sizes && sizes.length > 0) {
    if (sizes.length !== axes.length) throw new ModelError(where, `has ${sizes.length} sizes for ${axes.length} axes`)
    const scales = sizes.map((s, i) => s / from[i])
    const policy = stringAttr(node, 'keep_aspect_ratio_policy', 'stretch')
    if (policy === 'stretch') return sizes.map((to, i) => ({ to, scale: scales[i] }))
    const scale = policy === 'not_larger' ? Math.min(...scales) : Math.max(...scales)
    return from.map((n) => ({ to: Math.floor(scale * n + 0.5), scale }))
  }
  const scales = listOf(node, 'scales', node.opset < 11 ? 1 : 2, where)
  if (!scales || scales.length !== axes.length)
    throw new ModelError(where, `has ${scales?.length ?? 0} scales for ${axes.length} axes`)
  return scales.map((scale, i) => ({ to: Math.floor(scale * from[i]), scale }))
}

function resize(build: Builder, node: OnnxNode, mode: Coordinates['mode'], nearestMode: string): readonly Value[] {
  const where = reading('resize', node)
  const x = operand(node, 0, 'X', where)
  const rank = x.type.shape.length
  const axes = (listAttr(node, 'axes') ?? x.type.shape.map((_, d) => d)).map((a) => axisOf(a, rank, where))
  const roi = mode === 'tf_crop_and_resize' ? constantNumbers(node, 1, 'roi', where) : []
  const extrapolation = numberAttr(node, 'extrapolation_value', 0)
  const wanted = targets(node, x, axes, where)
  const all = axes.map((axis, i): Axis => {
    const [start, end] = roi.length ? [roi[i], roi[i + axes.length]] : [0, 1]
    const to = tableLength(wanted[i].to, `axis ${axis} after resizing`, where)
    return { axis, to, coordinates: { mode, scale: wanted[i].scale, start, end, extrapolation } }
  })
  const cropped = (a: Axis) => a.coordinates.start !== 0 || a.coordinates.end !== 1
  const changed = all.filter((a) => a.to !== x.type.shape[a.axis] || a.coordinates.scale !== 1 || cropped(a))
  const kind = stringAttr(node, 'mode', 'nearest')
  if (kind === 'nearest') {
    if (mode === 'tf_crop_and_resize') throw new ModelError(where, 'nearest with tf_crop_and_resize is not supported')
    return along(build, x, changed, node.result, nearestStep(build, nearestMode))
  }
  if (!['linear', 'bilinear', 'trilinear', 'cubic'].includes(kind))
    throw new ModelError(where, `mode is "${kind}", supported are nearest, linear and cubic`)
  const interpolation: Interpolation = {
    kind: kind === 'cubic' ? 'cubic' : 'linear',
    a: numberAttr(node, 'cubic_coeff_a', -0.75),
    excludeOutside: numberAttr(node, 'exclude_outside', 0) !== 0,
    antialias: numberAttr(node, 'antialias', 0) !== 0,
  }
  return along(build, x, changed, node.result, filterStep(build, interpolation))
}

export const onnxResize: OnnxSpelling = {
  name: 'Resize',
  read(build, node) {
    const named = stringAttr(node, 'coordinate_transformation_mode', node.opset < 11 ? 'asymmetric' : 'half_pixel')
    const mode = MODES.find((m) => m === named)
    if (!mode)
      throw new ModelError(
        reading('resize', node),
        `coordinate_transformation_mode is "${named}", supported are ${MODES.join(', ')}`,
      )
    const nearestMode = stringAttr(node, 'nearest_mode', node.opset < 11 ? 'floor' : 'round_prefer_floor')
    return resize(build, node, mode, nearestMode)
  },
}

export const onnxUpsample: OnnxSpelling = {
  name: 'Upsample',
  read: (build, node) => resize(build, node, 'asymmetric', 'floor'),
}

export const tfliteResizeBilinear: TfliteSpelling = {
  name: 'RESIZE_BILINEAR',
  code: 23,
  options: RESIZE_OPTIONS,
  read(build, node) {
    const where = reading('resize_bilinear', node)
    const x = operand(node, 0, 'input', where)
    if (x.type.shape.length !== 4) throw new ModelError(where, `input is [${x.type.shape}], expected 4 dimensions`)
    const { align_corners: aligned, half_pixel_centers: half } = node.options
    if (x.type.dtype !== 'f32') return readStored(build, node)
    const mode = aligned ? 'align_corners' : half ? 'half_pixel' : 'asymmetric'
    const axes = constantNumbers(node, 1, 'size', where).map((size, d): Axis => {
      const to = tableLength(size, `axis ${d + 1} after resizing`, where)
      const scale = to / x.type.shape[d + 1]
      return { axis: d + 1, to, coordinates: { mode, scale, start: 0, end: 1, extrapolation: 0 } }
    })
    const linear: Interpolation = { kind: 'linear', a: 0, excludeOutside: false, antialias: false }
    return along(build, x, axes, node.result, filterStep(build, linear))
  },
}
