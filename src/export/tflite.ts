// Writes a graph as a .tflite file (schema version 3), each node by the first of its operator's spellings that can
// express it. Reading the file back gives the same graph. Source: the TensorFlow Lite schema.

import { Builder, type Offset } from 'flatbuffers'
import { encode } from 'flatbuffers/js/flexbuffers.js'
import { ModelError } from '../errors.ts'
import { uniqueNames } from '../import/names.ts'
import {
  BUFFER,
  CUSTOM,
  IDENTIFIER,
  keyOf,
  LARGEST_OLD_CODE,
  MODEL,
  OPERATOR,
  OPERATOR_CODE,
  QUANTIZATION,
  SUBGRAPH,
  TENSOR,
  TYPE_CODES,
} from '../import/tflite_schema.ts'
import { initialState } from '../import/tflite_tables.ts'
import { layer } from '../ir/build.ts'
import { type Graph, type Node, type Quant, readers, type Value } from '../ir/graph.ts'
import type { Surroundings, TfliteRecord, TfliteSpelling } from '../ir/op.ts'
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
  const records = recordsOf(graph)
  const values = [
    ...new Set([
      ...graph.inputs,
      ...records.flatMap((r) => [...r.inputs.filter((v) => v !== undefined), ...r.outputs]),
      ...graph.outputs,
    ]),
  ]
  const names = uniqueNames(values.map((v) => v.name))
  const numberOf = new Map(values.map((v, i) => [v, i]))
  const tensor = (v: Value | undefined): number => (v ? numberOf.get(v)! : -1)

  const b = new Builder(1024)
  const buffers = new Buffers(b)
  const tensors = values.map((v, i) => writeTensor(b, v, names[i], buffers))

  const codes = [...new Map(records.map(({ spelling }) => [keyOf(spelling), spelling])).values()]
  const numbers = new Map(codes.map((spelling, i) => [keyOf(spelling), i]))
  const operators = records.map(({ spelling, inputs, outputs, options }) =>
    writeTable(b, OPERATOR, {
      opcode_index: numbers.get(keyOf(spelling)),
      inputs: listed(inputs).map(tensor),
      outputs: outputs.map(tensor),
      ...(spelling.code === CUSTOM
        ? { custom_options: encode(options) }
        : spelling.options && {
            builtin_options_type: spelling.options.id,
            builtin_options: writeTable(b, spelling.options.fields as Fields, options as Values<Fields>),
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
    operator_codes: codes.map(({ code, name }) =>
      writeTable(b, OPERATOR_CODE, {
        deprecated_builtin_code: Math.min(code, LARGEST_OLD_CODE),
        builtin_code: code,
        ...(code === CUSTOM && { custom_code: name }),
      }),
    ),
    subgraphs: [main],
    description: 'mote',
    buffers: buffers.offsets,
  })
  b.finish(model, IDENTIFIER)
  return b.asUint8Array().slice()
}

/** An operator of the file. */
interface Written extends TfliteRecord {
  readonly spelling: TfliteSpelling
  readonly outputs: readonly Value[]
}

/** The graph's operators, without nodes whose work the operators of other nodes do. Throws ModelError for what has none. */
function recordsOf(graph: Graph): Written[] {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((v) => [v, node])))
  const reading = readers(graph)
  const around: Surroundings = {
    producer: (v) => producers.get(v),
    readers: (v) => reading.get(v) ?? [],
    isOutput: (v) => graph.outputs.includes(v),
  }
  const written = new Map(graph.nodes.map((node) => [node, spell(node, around)]))
  const covered = new Set([...written.values()].flatMap((all) => all?.flatMap((r) => r.covers ?? []) ?? []))
  const records = graph.nodes.filter((node) => !covered.has(node)).map((node) => written.get(node) ?? refused(node))
  const needed = new Set([...records.flat().flatMap((r) => r.inputs), ...graph.outputs])
  const given = new Set(records.flat().flatMap((r) => r.outputs))
  for (const node of covered) if (node.outputs.some((v) => needed.has(v) && !given.has(v))) refused(node)
  return records.flat()
}

function spell(node: Node, around: Surroundings): Written[] | undefined {
  for (const spelling of node.op.spelled.tflite ?? []) {
    const written = spelling.write?.(node, around)
    if (!written) continue
    if ('inputs' in written) return [{ outputs: node.outputs, ...written, spelling }]
    const parts = written.map((part) => spell(part, around))
    if (parts.every((part) => part !== undefined)) return parts.flat()
  }
  return undefined
}

function refused(node: Node): never {
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

  add(data: Data, packed: boolean): number {
    const known = this.known.get(data)
    if (known !== undefined) return known
    const bytes = packed ? nibbles(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const number = this.offsets.push(writeTable(this.builder, BUFFER, { data: bytes })) - 1
    this.known.set(data, number)
    return number
  }
}

/** Two elements a byte, the first in the low bits. */
function nibbles(data: Data): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(data.length / 2))
  for (let i = 0; i < data.length; i++) bytes[i >> 1] |= (Number(data[i]) & 15) << (4 * (i & 1))
  return bytes
}

function writeTensor(b: Builder, v: Value, name: string, buffers: Buffers): Offset {
  const packed = v.type.quant?.bits === 4 && v.storage === 'const'
  const code = TYPE_CODES[packed ? 'i4' : (v.type.dtype as keyof typeof TYPE_CODES)]
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
    buffer: v.data && !variable ? buffers.add(v.data, packed) : 0,
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
