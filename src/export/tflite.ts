// Writes a graph as a .tflite file (schema version 3), each node by the first of its operator's spellings that can
// express it. Reading the file back gives the same graph. Source: the TensorFlow Lite schema.

import { Builder, type Offset } from 'flatbuffers'
import { ModelError } from '../errors.ts'
import { initialState, uniqueNames } from '../import/tflite.ts'
import {
  BUFFER,
  IDENTIFIER,
  LARGEST_OLD_CODE,
  MODEL,
  OPERATOR,
  OPERATOR_CODE,
  QUANTIZATION,
  SUBGRAPH,
  TENSOR,
  TYPE_CODES,
} from '../import/tflite_schema.ts'
import { layer } from '../ir/build.ts'
import { type Graph, type Node, type Quant, type Value, valuesOf } from '../ir/graph.ts'
import type { TfliteRecord, TfliteSpelling } from '../ir/op.ts'
import { printNode } from '../ir/print.ts'
import { verify } from '../ir/verify.ts'
import type { Data } from '../loops/ir.ts'
import { type Fields, type Values, writeTable } from './flatbuffer.ts'

/**
 * The graph as a .tflite file; tensors' data is aligned to 16 bytes. Params are written as constants with their present
 * content. Throws ModelError that names the layer which TensorFlow Lite cannot express.
 */
export function writeTflite(graph: Graph): Uint8Array {
  verify(graph)
  const records = graph.nodes.map((node) => ({ node, ...spell(node) }))
  const values = [
    ...new Set([...valuesOf(graph), ...records.flatMap((r) => r.record.inputs.filter((v) => v !== undefined))]),
  ]
  const names = uniqueNames(values.map((v) => v.name))
  const numberOf = new Map(values.map((v, i) => [v, i]))
  const tensor = (v: Value | undefined): number => (v ? numberOf.get(v)! : -1)

  const b = new Builder(1024)
  const buffers = new Buffers(b)
  const tensors = values.map((v, i) => writeTensor(b, v, names[i], buffers))

  const codes = [...new Set(records.map((r) => r.spelling.code))]
  const operators = records.map(({ node, spelling, record }) =>
    writeTable(b, OPERATOR, {
      opcode_index: codes.indexOf(spelling.code),
      inputs: listed(record.inputs).map(tensor),
      outputs: node.outputs.map(tensor),
      ...(spelling.options && {
        builtin_options_type: spelling.options.id,
        builtin_options: writeTable(b, spelling.options.fields as Fields, record.options as Values<Fields>),
      }),
    }),
  )
  const main = writeTable(b, SUBGRAPH, {
    tensors,
    inputs: graph.inputs.map(tensor),
    outputs: graph.outputs.map(tensor),
    operators,
    name: graph.name,
  })
  const model = writeTable(b, MODEL, {
    version: 3,
    operator_codes: codes.map((code) =>
      writeTable(b, OPERATOR_CODE, {
        deprecated_builtin_code: Math.min(code, LARGEST_OLD_CODE),
        builtin_code: code,
      }),
    ),
    subgraphs: [main],
    description: 'mote',
    buffers: buffers.offsets,
  })
  b.finish(model, IDENTIFIER)
  return b.asUint8Array().slice()
}

function spell(node: Node): { spelling: TfliteSpelling; record: TfliteRecord } {
  for (const spelling of node.op.spelled.tflite ?? []) {
    const record = spelling.write?.(node)
    if (record) return { spelling, record }
  }
  throw new ModelError(
    layer(node),
    `TensorFlow Lite has no operator for ${printNode(node)}`,
    'export the model before it is optimised, or save it as a mote graph',
  )
}

/** TensorFlow Lite's convolutions refuse a last input, the bias, that is listed as absent; recurrent layers list several. */
function listed(inputs: TfliteRecord['inputs']): TfliteRecord['inputs'] {
  return inputs.at(-1) === undefined && inputs.at(-2) !== undefined ? inputs.slice(0, -1) : inputs
}

/** The file's data buffers: number 0 is empty, and values that share their data share a buffer. */
class Buffers {
  readonly offsets: Offset[] = []
  private readonly builder: Builder
  private readonly known = new Map<Data, number>()

  constructor(builder: Builder) {
    this.builder = builder
    this.offsets.push(writeTable(builder, BUFFER, {}))
  }

  add(data: Data): number {
    const known = this.known.get(data)
    if (known !== undefined) return known
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const number = this.offsets.push(writeTable(this.builder, BUFFER, { data: bytes })) - 1
    this.known.set(data, number)
    return number
  }
}

function writeTensor(b: Builder, v: Value, name: string, buffers: Buffers): Offset {
  const code = TYPE_CODES[v.type.dtype as keyof typeof TYPE_CODES]
  if (code === undefined)
    throw new ModelError(`tensor "${v.name}"`, `is ${v.type.dtype}, which TensorFlow Lite does not have`)
  const variable = v.storage === 'state'
  if (variable && !sameData(v.data!, initialState(v.type)))
    throw new ModelError(
      `state "${v.name}"`,
      'starts from values of its own; in TensorFlow Lite all variables start from zero',
      'save the model as a mote graph',
    )
  return writeTable(b, TENSOR, {
    shape: v.type.shape,
    type: code,
    buffer: v.data && !variable ? buffers.add(v.data) : 0,
    name,
    ...(v.type.quant && { quantization: writeQuantization(b, v.type.quant) }),
    is_variable: variable,
  })
}

function writeQuantization(b: Builder, { scale, zero, axis }: Quant): Offset {
  return writeTable(b, QUANTIZATION, {
    scale: [...scale],
    zero_point: [...zero],
    quantized_dimension: axis ?? 0,
  })
}

function sameData(a: Data, b: Data): boolean {
  return a.length === b.length && a.every((x: number | bigint, i: number) => x === b[i])
}
