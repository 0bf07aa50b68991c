// Writes a graph as an .onnx file, each node by the first of its operator's spellings that can express it. Reading the
// file back gives the same bits. Tensors with scales are plain integers in the file, the scales stand at the operators.
// The operator set is the first from 20 on that has all operators of the file. Source: the ONNX standard
// (https://onnx.ai/onnx/repo-docs/IR.html).

import { ModelError } from '../errors.ts'
import { uniqueNames } from '../import/names.ts'
import { encodeModel, type OnnxAttribute, type OnnxTensor, type OnnxValueInfo } from '../import/onnx_schema.ts'
import { ELEMENT_TYPES } from '../import/onnx_tensor.ts'
import { layer } from '../ir/build.ts'
import { type Graph, inputsOf, type Node, type Value } from '../ir/graph.ts'
import type { OnnxAttr, OnnxRecord } from '../ir/op.ts'
import { printNode } from '../ir/print.ts'
import { verify } from '../ir/verify.ts'
import { ONNX_WRITINGS } from '../ops/writings.ts'
import { ONNX_INTEGER_WRITINGS } from '../ops/writings_integer.ts'
import { tidy, type Written } from './onnx_tidy.ts'

/** Operators that the standard has in this form only since an operator set after 20. */
const SINCE: ReadonlyMap<string, number> = new Map([
  ['GroupNormalization', 21],
  ['RMSNormalization', 23],
  ['Swish', 24],
])
/** Versions of the file format, by the operator set that they came with. */
const IR_VERSIONS: readonly (readonly [opset: number, version: bigint])[] = [
  [24, 12n],
  [23, 11n],
  [21, 10n],
  [20, 9n],
]

const ELEMENTS = new Map([...ELEMENT_TYPES].map(([number, dtype]) => [dtype, number]))

/** Attributes that the standard declares as floats: whole values of others are integers. */
const FLOAT_ATTRS: ReadonlySet<string> = new Set('alpha beta gamma lambd bias epsilon cubic_coeff_a'.split(' '))

/**
 * The graph as an .onnx file. Params are written as constants with their present content. Throws ModelError that names
 * the layer which ONNX cannot express: state, and the integer arithmetic of .tflite, among them.
 */
export function writeOnnx(graph: Graph): Uint8Array {
  verify(graph)
  const records = tidy(graph.nodes.flatMap(spell), graph)
  const opset = Math.max(20, ...records.flatMap((r) => SINCE.get(r.name) ?? []))
  const values = [
    ...new Set([
      ...graph.inputs,
      ...graph.outputs,
      ...records.flatMap((r) => [...r.inputs.filter((v) => v !== undefined), ...r.outputs]),
    ]),
  ]
  const names = new Map(uniqueNames(values.map((v) => v.name)).map((name, i) => [values[i], name]))
  const layers = uniqueNames(records.map((r) => r.from))
  const nameOf = (v: Value | undefined) => (v ? names.get(v)! : '')
  const info = (v: Value): OnnxValueInfo => ({
    name: nameOf(v),
    type: { tensor: { elem: element(v), shape: { dims: v.type.shape.map((d) => ({ value: BigInt(d) })) } } },
  })
  return encodeModel({
    irVersion: IR_VERSIONS.find(([first]) => opset >= first)![1],
    opsets: [
      { domain: '', version: BigInt(opset) },
      ...[...new Set(records.flatMap((r) => r.domain || []))].map((domain) => ({ domain, version: 1n })),
    ],
    graph: {
      name: graph.name,
      nodes: records.map((r, i) => ({
        name: layers[i],
        opType: r.name,
        ...(r.domain && { domain: r.domain }),
        // operators count their operands: absent ones at the end are none
        inputs: r.inputs.slice(0, r.inputs.findLastIndex((v) => v !== undefined) + 1).map(nameOf),
        outputs: r.outputs.map(nameOf),
        attributes: Object.entries(r.attrs).flatMap(([name, value]) => attribute(name, value)),
      })),
      initializers: values.filter((v) => v.data).map((v) => tensor(v, nameOf(v))),
      sparse: [],
      inputs: graph.inputs.map(info),
      outputs: graph.outputs.map(info),
    },
    functions: [],
  })
}

/** Whether ONNX has an operator, or several, that compute the same. */
export function isWritable(node: Node): boolean {
  return recordsOf(node) !== undefined
}

function spell(node: Node): Written[] {
  const all = [...inputsOf(node), ...node.outputs]
  const state = all.find((v) => v.storage === 'state')
  if (state) refused(node, `state "${state.name}"`)
  const written = recordsOf(node)
  if (written) return written
  const scaled = all.find((v) => v.type.quant)
  refused(node, scaled && `.tflite's integer arithmetic, with the scales of "${scaled.name}",`)
}

function recordsOf(node: Node): Written[] | undefined {
  const finish = (written: OnnxRecord | readonly OnnxRecord[], name = '', domain?: string): Written[] =>
    ('inputs' in written ? [written] : written).map((r) => ({
      name,
      domain,
      outputs: node.outputs,
      ...r,
      from: node.from,
    }))
  if ([...inputsOf(node), ...node.outputs].some((v) => v.type.quant)) {
    const written = ONNX_INTEGER_WRITINGS.get(node.op.name)?.(node)
    return written && finish(written)
  }
  for (const spelling of node.op.spelled.onnx ?? []) {
    const written = spelling.write?.(node)
    if (written) return finish(written, spelling.name, spelling.domain)
  }
  const written = ONNX_WRITINGS.get(node.op.name)?.(node)
  return written && finish(written)
}

function refused(node: Node, why = 'an operator'): never {
  throw new ModelError(
    layer(node),
    `ONNX export has no way to write ${why} for ${printNode(node)}`,
    'write the model as .tflite, or save it as a mote graph',
  )
}

function element(v: Value): number {
  const number = ELEMENTS.get(v.type.dtype)
  if (number !== undefined) return number
  throw new ModelError(
    `tensor "${v.name}"`,
    `is ${v.type.dtype}; written to ONNX are ${[...ELEMENTS.keys()].join(', ')}`,
    'write the model as .tflite, or save it as a mote graph',
  )
}

function tensor(v: Value, name: string): OnnxTensor {
  const data = v.data!
  return {
    name,
    type: element(v),
    dims: v.type.shape.map(BigInt),
    raw: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    floats: [],
    int32s: [],
    int64s: [],
    doubles: [],
    external: [],
  }
}

function attribute(name: string, value: OnnxAttr): OnnxAttribute[] {
  if (value === undefined) return []
  const empty = { name, floats: [], ints: [], strings: [] }
  const bytes = (s: string) => new TextEncoder().encode(s)
  if (typeof value === 'string') return [{ ...empty, type: 3, s: bytes(value) }]
  if (typeof value === 'number')
    return FLOAT_ATTRS.has(name) || !Number.isInteger(value)
      ? [{ ...empty, type: 1, f: value }]
      : [{ ...empty, type: 2, i: BigInt(value) }]
  if ('storage' in value) return [{ ...empty, type: 4, t: tensor(value, value.name) }]
  if (value.every((v) => typeof v === 'string')) return [{ ...empty, type: 8, strings: value.map(bytes) }]
  const numbers = value as readonly number[]
  return numbers.every(Number.isInteger)
    ? [{ ...empty, type: 7, ints: numbers.map(BigInt) }]
    : [{ ...empty, type: 6, floats: numbers }]
}
