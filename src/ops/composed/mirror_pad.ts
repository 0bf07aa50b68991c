// TFLite's MIRROR_PAD: reflections gathered by constant indices, an axis at a time.

import { ModelError } from '../../errors.ts'
import { tableLength } from '../../ir/limits.ts'
import type { TfliteSpelling } from '../../ir/op.ts'
import { gather } from '../gather/op.ts'
import { reshape } from '../shape/reshape.ts'
import { constantNumbers, operand, reading } from '../tflite.ts'

/** Position `i` of an axis continued by its mirror image; `symmetric` repeats the edge. */
function mirrored(i: number, extent: number, symmetric: boolean): number {
  const edge = symmetric ? 1 : 0
  if (i < 0) return -i - edge
  return i < extent ? i : 2 * (extent - 1) - i + edge
}

export const tfliteMirrorPad: TfliteSpelling = {
  name: 'MIRROR_PAD',
  code: 100,
  options: { id: 77, fields: { mode: { slot: 0, type: 'i8', default: 0 } } },
  read(build, node) {
    const where = reading('mirror_pad', node)
    const x = operand(node, 0, 'input', where)
    const { shape } = x.type
    const paddings = constantNumbers(node, 1, 'paddings', where)
    const symmetric = node.options.mode === 1
    if (paddings.length !== 2 * shape.length)
      throw new ModelError(where, `paddings have ${paddings.length} numbers, input has ${shape.length} dimensions`)
    const padded = shape.flatMap((_, d) => (paddings[2 * d] || paddings[2 * d + 1] ? [d] : []))
    const name = node.result.names?.[0] ?? 'mirror_pad'
    let v = x
    for (const d of padded) {
      const [low, high] = [paddings[2 * d], paddings[2 * d + 1]]
      const most = shape[d] - (symmetric ? 0 : 1)
      if (low < 0 || high < 0 || low > most || high > most)
        throw new ModelError(where, `pads axis ${d} by ${low} and ${high}, at most ${most} elements can be mirrored`)
      const n = tableLength(low + shape[d] + high, `axis ${d} after padding`, where)
      const from = Int32Array.from({ length: n }, (_, i) => mirrored(i - low, shape[d], symmetric))
      const indices = build.const(`${name}/from_${d}`, { dtype: 'i32', shape: [n] }, from)
      const options = d === padded.at(-1) ? node.result : { from: node.result.from, names: [`${name}/axis_${d}`] }
      v = build.one(gather, [v, indices], { axis: d, batchDims: 0 }, options)
    }
    return padded.length ? [v] : build.add(reshape, [x], { shape }, node.result)
  },
}
