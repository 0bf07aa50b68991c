// Repeats a whole tensor along its axes, as a broadcast between two reshapes: TFLite's TILE, ONNX's Tile.

import { ModelError } from '../../errors.ts'
import type { Builder, NodeOptions } from '../../ir/build.ts'
import type { Value } from '../../ir/graph.ts'
import type { OnnxSpelling, TfliteSpelling } from '../../ir/op.ts'
import { expand } from '../expand/op.ts'
import { reshape } from '../shape/reshape.ts'
import { constantNumbers, operand, reading } from '../tflite.ts'

function tile(build: Builder, x: Value, repeats: readonly number[], result: NodeOptions, where: string): Value[] {
  const { shape } = x.type
  if (repeats.length !== shape.length || repeats.some((r) => r < 1))
    throw new ModelError(
      where,
      `repeats [${repeats}] times, input is [${shape}]; expected a count of at least 1 for each`,
    )
  const inner = (what: string) => ({ from: result.from, names: [`${result.names?.[0] ?? 'tile'}/${what}`] })
  const apart = build.one(reshape, [x], { shape: shape.flatMap((d) => [1, d]) }, inner('apart'))
  const repeated = build.one(expand, [apart], { shape: shape.flatMap((d, i) => [repeats[i], d]) }, inner('repeated'))
  return build.add(reshape, [repeated], { shape: shape.map((d, i) => d * repeats[i]) }, result)
}

export const tfliteTile: TfliteSpelling = {
  name: 'TILE',
  code: 69,
  options: { id: 51, fields: {} },
  read(build, node) {
    const where = reading('tile', node)
    const x = operand(node, 0, 'input', where)
    return tile(build, x, constantNumbers(node, 1, 'multiples', where), node.result, where)
  },
}

export const onnxTile: OnnxSpelling = {
  name: 'Tile',
  read(build, node) {
    const where = reading('tile', node)
    const x = operand(node, 0, 'input', where)
    return tile(build, x, constantNumbers(node, 1, 'repeats', where), node.result, where)
  },
}
