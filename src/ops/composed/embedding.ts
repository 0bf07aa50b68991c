// TFLite's EMBEDDING_LOOKUP: rows of a table by index; rows of an int8 table become float32 once they are chosen.

import { ModelError } from '../../errors.ts'
import type { TfliteSpelling } from '../../ir/op.ts'
import { gather } from '../gather/op.ts'
import { dequantize } from '../quantize/op.ts'
import { operand, reading } from '../tflite.ts'

export const tfliteEmbeddingLookup: TfliteSpelling = {
  name: 'EMBEDDING_LOOKUP',
  code: 7,
  read(build, node) {
    const where = reading('embedding_lookup', node)
    const [ids, table] = [operand(node, 0, 'ids', where), operand(node, 1, 'table', where)]
    const attrs = { axis: 0, batchDims: 0 }
    if (table.type.dtype === node.result.types[0]?.dtype) return build.add(gather, [table, ids], attrs, node.result)
    if (table.type.dtype !== 'i8' || table.type.quant?.scale.length !== 1)
      throw new ModelError(where, `table is ${table.type.dtype}, supported are the output's type and i8 with one scale`)
    const rows = build.one(gather, [table, ids], attrs, {
      from: node.result.from,
      names: [`${node.result.names?.[0] ?? 'embedding'}/rows`],
    })
    return build.add(dequantize, [rows], {}, node.result)
  },
}
