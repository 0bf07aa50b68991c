// What mote reads of .tflite files, tried operator by operator: docs/tflite-operators.md.

import { describe, expect, test } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { Table } from '../../src/import/flatbuffer.ts'
import {
  CUSTOM,
  dtypeOfCode,
  MODEL,
  OPERATOR,
  OPERATOR_CODE,
  operatorName,
  QUANTIZATION,
  SUBGRAPH,
  TENSOR,
} from '../../src/import/tflite_schema.ts'
import { Builder } from '../../src/ir/build.ts'
import { type DType, elemOf, type Graph, quantOf, type TensorType } from '../../src/ir/graph.ts'
import type { TfliteSpelling } from '../../src/ir/op.ts'
import { verify } from '../../src/ir/verify.ts'
import { count, newData } from '../../src/loops/ir.ts'
import { OPS } from '../../src/ops/index.ts'
import { TFLITE_READINGS } from '../../src/ops/readings.ts'
import { reference } from '../../src/run/reference.ts'
import { CASES } from '../ops/harness.ts'
import { EXAMPLES } from './tflite_examples.ts'

const SPELLINGS: readonly TfliteSpelling[] = [
  ...[...OPS.values()].flatMap((op) => op.spelled.tflite ?? []),
  ...TFLITE_READINGS,
].filter((s) => s.read)
const byName = new Map(SPELLINGS.map((s) => [s.name, s]))

/** The last builtin operator of the schema that is TensorFlow Lite's own. */
const LAST = 161
const BUILTIN = Array.from({ length: LAST + 1 }, (_, code) => code)
  .filter((code) => code !== CUSTOM && !['DELEGATE', 'PLACEHOLDER_FOR_GREATER_OP_CODES'].includes(operatorName(code)))
  .map(operatorName)

const plain = (dtype: DType): TensorType => ({ dtype, shape: [] })
const CANDIDATES: readonly TensorType[] = [
  ...(['f32', 'i32', 'i64', 'bool', 'i8', 'i16'] as const).map(plain),
  ...(['i8', 'i16'] as const).map((dtype) => ({ ...plain(dtype), quant: quantOf(1, 0) })),
]

/** `i8*` for elements with a scale. */
const label = (dtype: string, quantised: boolean) => (quantised ? `${dtype}*` : dtype)

/** An example in one type: the graph that its reading makes. */
function read(name: string, type: TensorType): Graph {
  const b = new Builder(name)
  const { inputs, options, outputs } = EXAMPLES[name].make(b, (shape) => ({ ...type, shape }))
  const result = {
    types: outputs,
    names: outputs.map((_, i) => `y${i}`),
    indices: outputs.map((_, i) => i),
    from: name,
  }
  return verify(b.graph(byName.get(name)!.read!(b, { inputs, options: options ?? {}, result })))
}

/** The graph, or undefined where the type is refused. */
function attempted(name: string, type: TensorType): Graph | undefined {
  try {
    return read(name, type)
  } catch (error) {
    if (error instanceof ModelError) return undefined
    throw error
  }
}

type Types = Map<string, Set<string>>

function note(types: Types, name: string, type: string): void {
  types.set(name, (types.get(name) ?? new Set()).add(type))
}

/** For each operator the types of its first input that is not constant, in the files that the cases are written as. */
function typesInFiles(): Types {
  const types: Types = new Map()
  for (const c of CASES) {
    const bytes = (() => {
      try {
        return writeTflite(c.graph())
      } catch (error) {
        if (error instanceof ModelError) return undefined
        throw error
      }
    })()
    if (!bytes) continue
    const model = Table.root(bytes)
    const [main] = model.get(MODEL.subgraphs)!
    const codes = model.get(MODEL.operator_codes)!.map((t) => t.get(OPERATOR_CODE.builtin_code))
    const tensors = main.get(SUBGRAPH.tensors)!
    for (const operator of main.get(SUBGRAPH.operators) ?? []) {
      const inputs = (operator.get(OPERATOR.inputs) ?? []).filter((t) => t >= 0).map((t) => tensors[t])
      const first = inputs.find((t) => t.get(TENSOR.buffer) === 0) ?? inputs[0]
      const scales = first.get(TENSOR.quantization)?.get(QUANTIZATION.scale)?.length ?? 0
      const name = operatorName(codes[operator.get(OPERATOR.opcode_index)])
      note(types, name, label(dtypeOfCode(first.get(TENSOR.type))!, scales > 0))
    }
  }
  return types
}

/** For each of our operators the types of the first input in its cases. */
function typesInCases(): Types {
  const types: Types = new Map()
  for (const { op, inputs } of CASES.flatMap((c) => c.graph().nodes))
    if (inputs[0]) note(types, op.name, label(inputs[0].type.dtype, inputs[0].type.quant !== undefined))
  return types
}

/** What variables become is the importer's doing. */
const VARIABLES: Readonly<Record<string, string>> = {
  VAR_HANDLE: 'a state',
  CALL_ONCE: 'first contents of states',
  READ_VARIABLE: '`reshape`',
  ASSIGN_VARIABLE: '`assign`',
}

function rows(): { name: string; types: string; as: string }[] {
  const [inFiles, inCases] = [typesInFiles(), typesInCases()]
  return [...byName.values()]
    .filter((s) => s.code !== CUSTOM)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name }) => {
      const own = [...OPS.values()].filter((op) => op.spelled.tflite?.some((s) => s.name === name))
      const types = new Set(inFiles.get(name))
      const nodes = new Set(own.map((op) => op.name))
      if (EXAMPLES[name])
        for (const type of CANDIDATES) {
          const graph = attempted(name, type)
          const first = graph?.inputs[0]
          if (first) types.add(label(first.type.dtype, first.type.quant !== undefined))
          for (const node of graph?.nodes ?? []) nodes.add(node.op.name)
        }
      for (const op of own)
        if (types.size === 0 || op.spelled.tflite?.length === 1)
          for (const type of inCases.get(op.name) ?? []) types.add(type)
      const as = [...nodes].map((n) => `\`${n}\``).join(', ')
      return { name, types: [...types].sort().join(', '), as: VARIABLES[name] ?? (as || 'a constant') }
    })
}

describe('an operator that is read as others', () => {
  test.each(Object.keys(EXAMPLES))('%s gives what TensorFlow Lite gives', (name) => {
    const { expected } = EXAMPLES[name]
    const types = CANDIDATES.filter((t) => t.dtype !== 'bool' && attempted(name, t))
    expect(types.length).toBeGreaterThan(0)
    for (const type of types) {
      const graph = read(name, type)
      const inputs = graph.inputs.map(({ type: t }) => {
        const data = newData(elemOf(t.dtype)!, count(t.shape))
        for (let i = 0; i < data.length; i++) data[i] = data instanceof BigInt64Array ? BigInt(i) : i
        return data
      })
      const got = reference(graph)
        .run(inputs)
        .flatMap((data) => Array.from(data as ArrayLike<number | bigint>, Number))
      const whole = elemOf(graph.outputs[0].type.dtype)!.startsWith('i')
      expect(got, type.dtype).toEqual(whole ? expected.map(Math.round) : expected)
    }
  })
})

test('averages of uint8 that is read as int8 round halves up', () => {
  const b = new Builder('pool')
  const type = { dtype: 'i8', shape: [1, 2, 2, 1], quant: quantOf(1, -128) } as const
  const options = {
    padding: 1,
    stride_w: 1,
    stride_h: 1,
    filter_width: 2,
    filter_height: 2,
    fused_activation_function: 0,
  }
  const node = (unsigned: boolean) => ({
    inputs: [b.input('x', type)],
    options,
    unsigned,
    result: { types: [{ ...type, shape: [1, 1, 1, 1] }], from: 'pool' },
  })
  const spelling = byName.get('AVERAGE_POOL_2D')!
  const graph = b.graph([true, false].flatMap((unsigned) => spelling.read!(b, node(unsigned))))
  const x = Int8Array.of(-128, -127, -128, -127)
  expect(reference(verify(graph)).run([x, x])).toEqual([Int8Array.of(-127), Int8Array.of(-128)])
})

// `npx vitest run tests/import/tflite_operators.test.ts -u` writes the page.
test('docs/tflite-operators.md lists what is read, in the types that are tried', async () => {
  const all = rows()
  const missing = BUILTIN.filter((name) => !byName.has(name)).sort()
  const page = [
    '# TensorFlow Lite operators',
    '',
    'Made by `npx vitest run tests/import/tflite_operators.test.ts -u`, which tries every operator in the types that are listed:',
    'those of its first input, `*` with a scale. uint8 tensors with a scale are read as int8, 128 lower; constants of 4 and 2 bits',
    'as int8. Quantised operators give the bits of TensorFlow Lite Micro where it has them. Whatever is not supported is refused',
    'with an error that names the layer.',
    '',
    '| operator | types | read as |',
    '|---|---|---|',
    ...all.map(({ name, types, as }) => `| ${name} | ${types} | ${as} |`),
    '',
    `Custom operators: ${[...byName.values()]
      .filter((s) => s.code === CUSTOM)
      .map((s) => s.name)
      .sort()
      .join(', ')}.`,
    '',
    '## Not read',
    '',
    `${missing.join(', ')}, and the STABLEHLO operators.`,
    '',
  ].join('\n')
  await expect(page).toMatchFileSnapshot('../../docs/tflite-operators.md')
})
