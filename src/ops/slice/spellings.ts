// How the file formats say which part of a tensor they want. Bounds follow Python's slices: negative ones count from the
// end, those outside are clamped.

import { ModelError } from '../../errors.ts'
import type { OnnxSpelling, TfliteSpelling } from '../../ir/op.ts'
import { axisOf, listOf } from '../onnx.ts'
import { reshape } from '../shape/reshape.ts'
import { constantNumbers, operand, reading } from '../tflite.ts'
import { type Slice, slice } from './op.ts'

/** One axis of a Python slice: `begin` or `end` undefined where the file leaves it out. */
function range(extent: number, begin: number | undefined, end: number | undefined, step: number) {
  const [low, high] = step > 0 ? [0, extent] : [-1, extent - 1]
  const bound = (b: number) => Math.min(high, Math.max(low, b < 0 ? b + extent : b))
  const first = begin === undefined ? (step > 0 ? low : high) : bound(begin)
  const last = end === undefined ? (step > 0 ? high : low) : bound(end)
  const size = Math.ceil((last - first) / step)
  return size > 0 ? { begin: first, step, size } : { begin: Math.max(0, first), step: 1, size: 0 }
}

const MASKS = ['begin_mask', 'end_mask', 'ellipsis_mask', 'new_axis_mask', 'shrink_axis_mask'] as const

export const tfliteStridedSlice: TfliteSpelling<Slice> = {
  name: 'STRIDED_SLICE',
  code: 45,
  options: {
    id: 32,
    fields: {
      ...(Object.fromEntries(MASKS.map((name, slot) => [name, { slot, type: 'i32', default: 0 }])) as Record<
        (typeof MASKS)[number],
        { slot: number; type: 'i32'; default: number }
      >),
      offset: { slot: 5, type: 'bool', default: false },
    },
  },
  read(build, node) {
    const where = reading('strided_slice', node)
    const x = operand(node, 0, 'input', where)
    const extents = x.type.shape
    const begins = constantNumbers(node, 1, 'begin', where)
    const ends = constantNumbers(node, 2, 'end', where)
    const strides = constantNumbers(node, 3, 'strides', where)
    const has = (mask: (typeof MASKS)[number], i: number) => (((node.options[mask] as number) >> i) & 1) === 1
    const attrs = { begin: [] as number[], step: [] as number[], size: [] as number[] }
    const shape: number[] = []
    const take = (r: { begin: number; step: number; size: number }, keep: boolean): void => {
      attrs.begin.push(r.begin)
      attrs.step.push(r.step)
      attrs.size.push(r.size)
      if (keep) shape.push(r.size)
    }
    const added = begins.filter((_, i) => has('new_axis_mask', i) && !has('ellipsis_mask', i)).length
    const ellipses = begins.filter((_, i) => has('ellipsis_mask', i)).length
    const free = extents.length - (begins.length - added - ellipses)
    begins.forEach((b, i) => {
      if (has('ellipsis_mask', i)) {
        for (let k = 0; k < free; k++) take(range(extents[attrs.size.length], undefined, undefined, 1), true)
        return
      }
      if (has('new_axis_mask', i)) {
        shape.push(1)
        return
      }
      const extent = extents[attrs.size.length]
      if (extent === undefined)
        throw new ModelError(where, `slices ${begins.length} dimensions, input has ${extents.length}`)
      if (strides[i] === 0) throw new ModelError(where, `stride along axis ${attrs.size.length} is 0`)
      const first = has('begin_mask', i) ? undefined : b
      if (has('shrink_axis_mask', i)) {
        const at = axisOf(first ?? 0, extent, where)
        take({ begin: at, step: 1, size: 1 }, false)
        return
      }
      const end = has('end_mask', i) ? undefined : node.options.offset === true ? b + ends[i] : ends[i]
      take(range(extent, first, end, strides[i]), true)
    })
    while (attrs.size.length < extents.length) take(range(extents[attrs.size.length], undefined, undefined, 1), true)
    const same = shape.length === attrs.size.length && shape.every((d, i) => d === attrs.size[i])
    if (same) return build.add(slice, [x], attrs, node.result)
    const part = build.one(slice, [x], attrs, { from: node.result.from, names: [`${node.result.names?.[0]}/slice`] })
    return build.add(reshape, [part], { shape }, node.result)
  },
}

export const tfliteSlice: TfliteSpelling<Slice> = {
  name: 'SLICE',
  code: 65,
  options: { id: 48, fields: {} },
  read(build, node) {
    const where = reading('slice', node)
    const x = operand(node, 0, 'input', where)
    const begin = constantNumbers(node, 1, 'begin', where)
    const sizes = constantNumbers(node, 2, 'size', where)
    const size = sizes.map((s, d) => (s === -1 ? x.type.shape[d] - begin[d] : s))
    return build.add(slice, [x], { begin, step: begin.map(() => 1), size }, node.result)
  },
}

export const tfliteReverse: TfliteSpelling<Slice> = {
  name: 'REVERSE_V2',
  code: 105,
  options: { id: 81, fields: {} },
  read(build, node) {
    const where = reading('reverse', node)
    const x = operand(node, 0, 'input', where)
    const { shape } = x.type
    const axes = constantNumbers(node, 1, 'axis', where).map((a) => axisOf(a, shape.length, where))
    const attrs = {
      begin: shape.map((d, i) => (axes.includes(i) && d > 0 ? d - 1 : 0)),
      step: shape.map((d, i) => (axes.includes(i) && d > 0 ? -1 : 1)),
      size: shape,
    }
    return build.add(slice, [x], attrs, node.result)
  },
}

export const onnxSlice: OnnxSpelling<Slice> = {
  name: 'Slice',
  read(build, node) {
    const where = reading('slice', node)
    const x = operand(node, 0, 'data', where)
    const { shape } = x.type
    const starts = listOf(node, 'starts', 1, where) ?? []
    const ends = listOf(node, 'ends', 2, where) ?? []
    const axes = (listOf(node, 'axes', 3, where) ?? starts.map((_, i) => i)).map((a) => axisOf(a, shape.length, where))
    const steps = listOf(node, 'steps', 4, where) ?? starts.map(() => 1)
    const ranges = shape.map((extent, d) => {
      const i = axes.indexOf(d)
      if (i < 0) return range(extent, undefined, undefined, 1)
      if (steps[i] === 0) throw new ModelError(where, `step along axis ${d} is 0`)
      return range(extent, starts[i], ends[i], steps[i])
    })
    const attrs = {
      begin: ranges.map((r) => r.begin),
      step: ranges.map((r) => r.step),
      size: ranges.map((r) => r.size),
    }
    return build.add(slice, [x], attrs, node.result)
  },
}
