// ONNX's RotaryEmbedding: pairs of each head's elements turned by angles whose cosines and sines are given, as slices,
// products and a concatenation. x is [batch, heads, positions, size], or [batch, positions, heads * size].

import { ModelError } from '../../errors.ts'
import type { Value } from '../../ir/graph.ts'
import type { OnnxSpelling } from '../../ir/op.ts'
import { add, mul, sub } from '../binary/op.ts'
import { gather } from '../gather/op.ts'
import { inner } from '../matmul/spellings.ts'
import { numberAttr } from '../onnx.ts'
import { concat } from '../shape/concat.ts'
import { reshape } from '../shape/reshape.ts'
import { transpose } from '../shape/transpose.ts'
import { slice } from '../slice/op.ts'
import { operand, reading } from '../tflite.ts'

export const onnxRotaryEmbedding: OnnxSpelling = {
  name: 'RotaryEmbedding',
  read(build, node) {
    const where = reading('rotary_embedding', node)
    const x = operand(node, 0, 'input', where)
    const rank = x.type.shape.length
    const given = numberAttr(node, 'num_heads', 0)
    if (rank !== 4 && (rank !== 3 || given < 1))
      throw new ModelError(
        where,
        `input is [${x.type.shape}] with num_heads ${given}, expected 4 dimensions, or 3 and heads`,
      )
    const [B, S] = [x.type.shape[0], x.type.shape[rank === 4 ? 2 : 1]]
    const H = rank === 4 ? x.type.shape[1] : given
    const D = rank === 4 ? x.type.shape[3] : x.type.shape[2] / H
    const R = numberAttr(node, 'rotary_embedding_dim', 0) || D
    const half = R / 2
    if (!Number.isInteger(D) || !Number.isInteger(half) || R > D)
      throw new ModelError(where, `turns ${R} of ${D} elements of each of ${H} heads`)

    const last = (v: Value, begin: number, size: number, what: string) => {
      const { shape } = v.type
      const end = shape.length - 1
      return build.one(
        slice,
        [v],
        {
          begin: shape.map((_, d) => (d === end ? begin : 0)),
          step: shape.map(() => 1),
          size: shape.map((e, d) => (d === end ? size : e)),
        },
        inner(node, what),
      )
    }
    const shaped = (v: Value, shape: readonly number[], what: string) =>
      build.one(reshape, [v], { shape: [...shape] }, inner(node, what))

    // Heads after positions in both forms, so that angles broadcast over what follows the positions
    const byPosition =
      rank === 4
        ? build.one(transpose, [x], { perm: [0, 2, 1, 3] }, inner(node, 'by_position'))
        : shaped(x, [B, S, H, D], 'heads')
    const positions = node.inputs[3]
    const [cos, sin] = [1, 2].map((i) => {
      const table = operand(node, i, i === 1 ? 'cosines' : 'sines', where)
      const name = i === 1 ? 'cos' : 'sin'
      const rows = positions
        ? build.one(gather, [table, positions], { axis: 0, batchDims: 0 }, inner(node, `${name}_rows`))
        : table
      const width = rows.type.shape.at(-1)!
      if (width < half) throw new ModelError(where, `${name} has ${width} columns, expected ${half}`)
      const used = width === half ? rows : last(rows, 0, half, `${name}_used`)
      return shaped(used, [B, S, 1, half], name)
    })

    const turning = R === D ? byPosition : last(byPosition, 0, R, 'turning')
    const interleaved = numberAttr(node, 'interleaved', 0) !== 0
    const pairs = interleaved ? shaped(turning, [B, S, H, half, 2], 'pairs') : turning
    const parts = [0, 1].map((i) =>
      interleaved
        ? shaped(last(pairs, i, 1, `part${i}_column`), [B, S, H, half], `part${i}`)
        : last(pairs, i * half, half, `part${i}`),
    )
    const times = (a: Value, b: Value, what: string) => build.one(mul, [a, b], { clamp: {} }, inner(node, what))
    const real = build.one(
      sub,
      [times(parts[0], cos, 'real_cos'), times(parts[1], sin, 'imaginary_sin')],
      { clamp: {} },
      inner(node, 'real'),
    )
    const imaginary = build.one(
      add,
      [times(parts[0], sin, 'real_sin'), times(parts[1], cos, 'imaginary_cos')],
      { clamp: {} },
      inner(node, 'imaginary'),
    )
    const joined = interleaved
      ? build.one(
          concat,
          [shaped(real, [B, S, H, half, 1], 'real_column'), shaped(imaginary, [B, S, H, half, 1], 'imaginary_column')],
          { axis: 4 },
          inner(node, 'joined'),
        )
      : build.one(concat, [real, imaginary], { axis: 3 }, inner(node, 'joined'))
    const turned = interleaved ? shaped(joined, [B, S, H, R], 'turned') : joined
    const full =
      R === D
        ? turned
        : build.one(concat, [turned, last(byPosition, R, D - R, 'kept')], { axis: 3 }, inner(node, 'full'))
    return rank === 4
      ? build.add(transpose, [full], { perm: [0, 2, 1, 3] }, node.result)
      : build.add(reshape, [full], { shape: [...x.type.shape] }, node.result)
  },
}
