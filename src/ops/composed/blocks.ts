// Moves between space, depth and batch, as reshapes around one transposition: TFLite's DEPTH_TO_SPACE, SPACE_TO_DEPTH,
// SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, ONNX's DepthToSpace and SpaceToDepth.

import { ModelError } from '../../errors.ts'
import type { Builder, NodeOptions } from '../../ir/build.ts'
import type { Value } from '../../ir/graph.ts'
import type { OnnxSpelling, TfliteSpelling } from '../../ir/op.ts'
import { count } from '../../loops/ir.ts'
import { numberAttr, stringAttr } from '../onnx.ts'
import { pad } from '../shape/pad.ts'
import { reshape } from '../shape/reshape.ts'
import { transpose } from '../shape/transpose.ts'
import { slice } from '../slice/op.ts'
import { constantNumbers, operand, reading } from '../tflite.ts'

interface Move {
  readonly split: readonly number[]
  readonly perm: readonly number[]
  readonly shape: readonly number[]
}

/** Reshape to `split`, transpose by `perm`, reshape to `shape`. */
function move(build: Builder, x: Value, { split, perm, shape }: Move, result: NodeOptions, where: string): Value[] {
  if (count(split) !== count(x.type.shape) || split.some((d) => !Number.isInteger(d) || d < 1))
    throw new ModelError(where, `input [${x.type.shape}] does not divide into blocks`)
  const inner = (what: string) => ({ from: result.from, names: [`${result.names?.[0] ?? 'blocks'}/${what}`] })
  const apart = build.one(reshape, [x], { shape: split }, inner('apart'))
  const moved = build.one(transpose, [apart], { perm }, inner('moved'))
  return build.add(reshape, [moved], { shape }, result)
}

function image(x: Value, where: string): readonly number[] {
  if (x.type.shape.length !== 4) throw new ModelError(where, `input is [${x.type.shape}], expected 4 dimensions`)
  return x.type.shape
}

export const tfliteDepthToSpace: TfliteSpelling = {
  name: 'DEPTH_TO_SPACE',
  code: 5,
  options: { id: 94, fields: { block_size: { slot: 0, type: 'i32', default: 0 } } },
  read(build, node) {
    const where = reading('depth_to_space', node)
    const x = operand(node, 0, 'input', where)
    const [n, h, w, c] = image(x, where)
    const b = node.options.block_size as number
    const d = c / (b * b)
    const plan = { split: [n, h, w, b, b, d], perm: [0, 1, 3, 2, 4, 5], shape: [n, h * b, w * b, d] }
    return move(build, x, plan, node.result, where)
  },
}

export const tfliteSpaceToDepth: TfliteSpelling = {
  name: 'SPACE_TO_DEPTH',
  code: 26,
  options: { id: 19, fields: { block_size: { slot: 0, type: 'i32', default: 0 } } },
  read(build, node) {
    const where = reading('space_to_depth', node)
    const x = operand(node, 0, 'input', where)
    const [n, h, w, c] = image(x, where)
    const b = node.options.block_size as number
    const plan = {
      split: [n, h / b, b, w / b, b, c],
      perm: [0, 1, 3, 2, 4, 5],
      shape: [n, h / b, w / b, b * b * c],
    }
    return move(build, x, plan, node.result, where)
  },
}

export const onnxDepthToSpace: OnnxSpelling = {
  name: 'DepthToSpace',
  read(build, node) {
    const where = reading('depth_to_space', node)
    const x = operand(node, 0, 'input', where)
    const [n, c, h, w] = image(x, where)
    const b = numberAttr(node, 'blocksize', 0)
    const d = c / (b * b)
    const crd = stringAttr(node, 'mode', 'DCR') === 'CRD'
    const plan = {
      split: crd ? [n, d, b, b, h, w] : [n, b, b, d, h, w],
      perm: crd ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2],
      shape: [n, d, h * b, w * b],
    }
    return move(build, x, plan, node.result, where)
  },
}

export const onnxSpaceToDepth: OnnxSpelling = {
  name: 'SpaceToDepth',
  read(build, node) {
    const where = reading('space_to_depth', node)
    const x = operand(node, 0, 'input', where)
    const [n, c, h, w] = image(x, where)
    const b = numberAttr(node, 'blocksize', 0)
    const plan = {
      split: [n, c, h / b, b, w / b, b],
      perm: [0, 3, 5, 1, 2, 4],
      shape: [n, c * b * b, h / b, w / b],
    }
    return move(build, x, plan, node.result, where)
  },
}

export const tfliteSpaceToBatch: TfliteSpelling = {
  name: 'SPACE_TO_BATCH_ND',
  code: 38,
  options: { id: 25, fields: {} },
  read(build, node) {
    const where = reading('space_to_batch_nd', node)
    const x = operand(node, 0, 'input', where)
    const block = constantNumbers(node, 1, 'block shape', where)
    const paddings = constantNumbers(node, 2, 'paddings', where)
    const rank = x.type.shape.length
    const low = x.type.shape.map((_, d) => (d >= 1 && d <= block.length ? paddings[2 * (d - 1)] : 0))
    const high = x.type.shape.map((_, d) => (d >= 1 && d <= block.length ? paddings[2 * (d - 1) + 1] : 0))
    const names = [`${node.result.names?.[0] ?? 'blocks'}/padded`]
    const value = x.type.quant?.zero[0] ?? 0
    const padded = build.one(pad, [x], { low, high, value }, { from: node.result.from, names })
    const [n, ...rest] = padded.type.shape
    const M = block.length
    const outer = block.map((b, i) => rest[i] / b)
    const inner = rest.slice(M)
    const split = [n, ...block.flatMap((b, i) => [outer[i], b]), ...inner]
    const perm = [
      ...block.map((_, i) => 2 + 2 * i),
      0,
      ...block.map((_, i) => 1 + 2 * i),
      ...inner.map((_, i) => 1 + 2 * M + i),
    ]
    const shape = [n * count(block), ...outer, ...inner]
    if (shape.length !== rank)
      throw new ModelError(where, `block shape [${block}] does not fit input [${x.type.shape}]`)
    return move(build, padded, { split, perm, shape }, node.result, where)
  },
}

export const tfliteBatchToSpace: TfliteSpelling = {
  name: 'BATCH_TO_SPACE_ND',
  code: 37,
  options: { id: 24, fields: {} },
  read(build, node) {
    const where = reading('batch_to_space_nd', node)
    const x = operand(node, 0, 'input', where)
    const block = constantNumbers(node, 1, 'block shape', where)
    const crops = constantNumbers(node, 2, 'crops', where)
    const M = block.length
    const [batch, ...rest] = x.type.shape
    const n = batch / count(block)
    const inner = rest.slice(M)
    const perm = [M, ...block.flatMap((_, i) => [M + 1 + i, i]), ...inner.map((_, i) => 2 * M + 1 + i)]
    const wide = [n, ...block.map((b, i) => rest[i] * b), ...inner]
    const names = [`${node.result.names?.[0] ?? 'blocks'}/uncropped`]
    const plan = { split: [...block, n, ...rest], perm, shape: wide }
    const [whole] = move(build, x, plan, { from: node.result.from, names }, where)
    const begin = wide.map((_, d) => (d >= 1 && d <= M ? crops[2 * (d - 1)] : 0))
    const size = wide.map((e, d) => (d >= 1 && d <= M ? e - crops[2 * (d - 1)] - crops[2 * (d - 1) + 1] : e))
    return build.add(slice, [whole], { begin, step: wide.map(() => 1), size }, node.result)
  },
}
