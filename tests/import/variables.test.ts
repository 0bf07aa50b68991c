// Resource variables of .tflite files: handles, first contents and what is read before and after a write.

import { Builder, type Offset } from 'flatbuffers'
import { describe, expect, it } from 'vitest'
import { type Fields, type Values, writeTable } from '../../src/export/flatbuffer.ts'
import { readTflite } from '../../src/import/tflite.ts'
import {
  BUFFER,
  MODEL,
  OPERATOR,
  OPERATOR_CODE,
  QUANTIZATION,
  SUBGRAPH,
  TENSOR,
} from '../../src/import/tflite_schema.ts'
import { tfliteCallOnce, tfliteVarHandle } from '../../src/ops/state/tflite.ts'
import { reference } from '../../src/run/reference.ts'

const [ADD, VAR_HANDLE, READ, ASSIGN, CALL_ONCE] = [0, 142, 143, 144, 129]
const CODES = [ADD, VAR_HANDLE, READ, ASSIGN, CALL_ONCE]
const [FLOAT, INT8, RESOURCE] = [0, 9, 13]

interface Operator {
  code: number
  inputs?: number[]
  outputs?: number[]
  /** Of a handle, its variable's name; of CALL_ONCE, the subgraph. */
  of?: string | number
}

interface Part {
  tensors: { type: number; zero?: number; buffer?: number }[]
  inputs: number[]
  outputs: number[]
  operators: Operator[]
}

/** All tensors have two elements but handles, which have one. */
function file(parts: readonly Part[], constant = new Float32Array([5, 6])): Uint8Array {
  const b = new Builder()
  const quantised = (zero: number) => writeTable(b, QUANTIZATION, { scale: [0.5], zero_point: [zero] })
  const optionsOf = ({ code, of }: Operator): Values<typeof OPERATOR> => {
    const table = (fields: Fields, values: Values<Fields>) => writeTable(b, fields, values)
    if (code === VAR_HANDLE)
      return {
        builtin_options_type: tfliteVarHandle.options.id,
        builtin_options: table(tfliteVarHandle.options.fields, { shared_name: of as string }),
      }
    if (code !== CALL_ONCE) return {}
    return {
      builtin_options_type: tfliteCallOnce.options.id,
      builtin_options: table(tfliteCallOnce.options.fields, { init_subgraph_index: of as number }),
    }
  }
  const subgraphs = parts.map((part): Offset => {
    const tensors = part.tensors.map(({ type, zero, buffer }, i) =>
      writeTable(b, TENSOR, {
        type,
        name: `t${i}`,
        shape: type === RESOURCE ? [1] : [2],
        ...(buffer !== undefined && { buffer }),
        ...(zero !== undefined && { quantization: quantised(zero) }),
      }),
    )
    const operators = part.operators.map((o) =>
      writeTable(b, OPERATOR, {
        opcode_index: CODES.indexOf(o.code),
        inputs: o.inputs ?? [],
        outputs: o.outputs ?? [],
        ...optionsOf(o),
      }),
    )
    return writeTable(b, SUBGRAPH, { tensors, inputs: part.inputs, outputs: part.outputs, operators })
  })
  const model = writeTable(b, MODEL, {
    version: 3,
    operator_codes: CODES.map((code) =>
      writeTable(b, OPERATOR_CODE, { builtin_code: code, deprecated_builtin_code: Math.min(code, 127) }),
    ),
    subgraphs,
    buffers: [writeTable(b, BUFFER, {}), writeTable(b, BUFFER, { data: new Uint8Array(constant.buffer) })],
  })
  b.finish(model, 'TFL3')
  return b.asUint8Array()
}

/** Reads the variable, writes input + variable into it through a second handle, and gives what it read and what it wrote. */
function counter(type: number, zero?: number): Part {
  const value = { type, ...(zero !== undefined && { zero }) }
  return {
    tensors: [value, { type: RESOURCE }, value, value, { type: RESOURCE }],
    inputs: [0],
    outputs: [2, 3],
    operators: [
      { code: VAR_HANDLE, outputs: [1], of: 'sum' },
      { code: READ, inputs: [1], outputs: [2] },
      { code: ADD, inputs: [0, 2], outputs: [3] },
      { code: VAR_HANDLE, outputs: [4], of: 'sum' },
      { code: ASSIGN, inputs: [4, 3] },
    ],
  }
}

const first: Part = {
  tensors: [{ type: RESOURCE }, { type: FLOAT, buffer: 1 }],
  inputs: [],
  outputs: [],
  operators: [
    { code: VAR_HANDLE, outputs: [0], of: 'sum' },
    { code: ASSIGN, inputs: [0, 1] },
  ],
}

describe('resource variables', () => {
  it('live between runs, and what was read before a write stays', () => {
    const model = reference(readTflite(file([counter(FLOAT)])))
    expect(model.run([Float32Array.of(1, 2)])).toEqual([Float32Array.of(0, 0), Float32Array.of(1, 2)])
    expect(model.run([Float32Array.of(1, 2)])).toEqual([Float32Array.of(1, 2), Float32Array.of(2, 4)])
  })

  it('start at the zero point where they are int8', () => {
    const model = reference(readTflite(file([counter(INT8, 7)])))
    expect(model.run([Int8Array.of(7, 9)])).toEqual([Int8Array.of(7, 7), Int8Array.of(7, 9)])
  })

  it('start with what CALL_ONCE assigns', () => {
    const part = counter(FLOAT)
    const called = { ...part, operators: [{ code: CALL_ONCE, of: 1 }, ...part.operators] }
    const model = reference(readTflite(file([called, first])))
    expect(model.run([Float32Array.of(1, 2)])).toEqual([Float32Array.of(5, 6), Float32Array.of(6, 8)])
  })

  it('refuse first contents that are computed, subgraphs that are missing, and handles that are none', () => {
    const part = counter(FLOAT)
    const called = (of: number): Part => ({ ...part, operators: [{ code: CALL_ONCE, of }, ...part.operators] })
    expect(() => readTflite(file([called(0)]))).toThrow(/CALL_ONCE: runs READ_VARIABLE|runs ADD|runs CALL_ONCE/)
    expect(() => readTflite(file([called(9), first]))).toThrow(/runs subgraph 9/)
    const loose = { ...part, operators: [...part.operators, { code: ASSIGN, inputs: [0, 2] }] }
    expect(() => readTflite(file([loose]))).toThrow(/reads tensor 0, which is no handle/)
  })
})
