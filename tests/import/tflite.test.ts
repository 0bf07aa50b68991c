import { Builder, type Offset } from 'flatbuffers'
import { describe, expect, it } from 'vitest'
import { ModelError } from '../../src/errors.ts'
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

const MAX_POOL_2D = 17
const FULLY_CONNECTED = 9
const POOL_OPTIONS = { padding: 1, stride_w: 1, stride_h: 1, filter_width: 1, filter_height: 1 }
const POOL_FIELDS = {
  padding: { slot: 0, type: 'i8' },
  stride_w: { slot: 1, type: 'i32' },
  stride_h: { slot: 2, type: 'i32' },
  filter_width: { slot: 3, type: 'i32' },
  filter_height: { slot: 4, type: 'i32' },
} as const satisfies Fields

interface FileTensor extends Omit<Values<typeof TENSOR>, 'quantization' | 'sparsity'> {
  quant?: Values<typeof QUANTIZATION>
  sparse?: boolean
}

interface File {
  version?: number
  tensors: FileTensor[]
  inputs?: number[]
  outputs: number[]
  codes?: Values<typeof OPERATOR_CODE>[]
  operators: { inputs: number[]; outputs: number[]; opcode_index?: number; options?: number; plain?: boolean }[]
  buffers?: Values<typeof BUFFER>[]
  /** How often the list of operators refers to the same operators. */
  repeat?: number
}

/** A .tflite file made by hand; operators are 1x1 max pools unless their code says otherwise. */
function file(f: File): Uint8Array {
  const b = new Builder()
  const all = <F extends Fields>(fields: F, list: Values<F>[]): Offset[] => list.map((v) => writeTable(b, fields, v))
  const tensors = f.tensors.map(({ quant, sparse, ...tensor }) =>
    writeTable(b, TENSOR, {
      ...tensor,
      ...(quant && { quantization: writeTable(b, QUANTIZATION, quant) }),
      ...(sparse && { sparsity: writeTable(b, {}, {}) }),
    }),
  )
  const operators = f.operators.map(({ options, plain, ...operator }) =>
    writeTable(b, OPERATOR, {
      ...operator,
      ...(!plain && {
        builtin_options_type: options ?? 5,
        builtin_options: writeTable(b, POOL_FIELDS, POOL_OPTIONS),
      }),
    }),
  )
  const main = writeTable(b, SUBGRAPH, {
    tensors,
    inputs: f.inputs ?? [0],
    outputs: f.outputs,
    operators: new Array(f.repeat ?? 1).fill(operators).flat(),
  })
  const model = writeTable(b, MODEL, {
    version: f.version ?? 3,
    operator_codes: all(OPERATOR_CODE, f.codes ?? [{ builtin_code: MAX_POOL_2D }]),
    subgraphs: [main],
    buffers: all(BUFFER, f.buffers ?? [{}]),
  })
  b.finish(model, 'TFL3')
  return b.asUint8Array()
}

const image: FileTensor = { shape: [1, 2, 2, 1], type: 0, name: 'image' }
const pooled: FileTensor = { ...image, name: 'pooled' }
const onePool: File = { tensors: [image, pooled], outputs: [1], operators: [{ inputs: [0], outputs: [1] }] }
const floats = (n: number) => new Uint8Array(new Float32Array(n).fill(0.5).buffer)

function errorOf(f: File | Uint8Array): ModelError {
  try {
    readTflite(f instanceof Uint8Array ? f : file(f))
  } catch (e) {
    if (e instanceof ModelError) return e
    throw e
  }
  throw new Error('the file was read')
}

describe('readTflite', () => {
  it('reads the old field for operator codes, the new one, and both', () => {
    for (const code of [
      { builtin_code: MAX_POOL_2D },
      { deprecated_builtin_code: MAX_POOL_2D },
      { deprecated_builtin_code: MAX_POOL_2D, builtin_code: MAX_POOL_2D },
    ])
      expect(readTflite(file({ ...onePool, codes: [code] })).nodes[0].op.name).toBe('max_pool2d')
  })

  it('numbers values as the file does, names layers by their first output, and makes names unique', () => {
    const graph = readTflite(
      file({
        ...onePool,
        tensors: [image, pooled, { ...image, name: '' }, pooled],
        outputs: [3],
        operators: [
          { inputs: [0], outputs: [2] },
          { inputs: [2], outputs: [1] },
          { inputs: [1], outputs: [3] },
        ],
      }),
    )
    expect(graph.nodes.map((n) => n.from)).toEqual(['tensor_2', 'pooled', 'pooled#1'])
    expect(graph.nodes.map((n) => n.outputs[0].index)).toEqual([2, 1, 3])
    expect(graph.inputs[0].index).toBe(0)
  })

  it('takes defaults for the options that an operator leaves out', () => {
    expect(errorOf({ ...onePool, operators: [{ inputs: [0], outputs: [1], plain: true }] }).message).toMatch(/pool/)
    const dense: File = {
      tensors: [
        { shape: [1, 2], type: 0, name: 'x' },
        { shape: [2, 2], type: 0, name: 'w', buffer: 1 },
        { shape: [1, 2], type: 0, name: 'y' },
      ],
      codes: [{ builtin_code: FULLY_CONNECTED }],
      outputs: [2],
      operators: [{ inputs: [0, 1, -1], outputs: [2], plain: true }],
      buffers: [{}, { data: floats(4) }],
    }
    const [node] = readTflite(file(dense)).nodes
    expect(node.inputs[2]).toBeUndefined()
    expect(node.attrs.clamp).toEqual({})
  })

  it('reads data that lies outside the FlatBuffer', () => {
    const at = (offset: number): File => ({
      ...onePool,
      tensors: [image, { ...image, name: 'w', buffer: 1 }],
      buffers: [{}, { offset, size: 16 }],
      operators: [],
    })
    const inside = file(at(99_999))
    const bytes = new Uint8Array(inside.length + 16)
    bytes.set(file(at(inside.length)))
    bytes.set(floats(4), inside.length)
    expect(readTflite(bytes).outputs[0].data).toEqual(new Float32Array(4).fill(0.5))
    expect(errorOf(inside).message).toMatch(/data at byte 99999 needs 16 bytes, the file ends at byte \d+/)
  })

  it('copies constants, so that bytes at any address and in a pooled buffer do', () => {
    const w: File = {
      ...onePool,
      tensors: [image, { ...image, buffer: 1 }],
      buffers: [{}, { data: floats(4) }],
      operators: [],
    }
    const bytes = file(w)
    const shifted = Buffer.alloc(bytes.length + 1).subarray(1)
    shifted.set(bytes)
    const [value] = readTflite(shifted).outputs
    shifted.fill(0)
    expect(value.data).toEqual(new Float32Array(4).fill(0.5))
  })

  it('reads constants of every element type', () => {
    const types: [code: number, data: unknown][] = [
      [0, new Float32Array(new Uint8Array(16).fill(1).buffer)],
      [1, new Uint16Array(4).fill(0x0101)],
      [2, new Int32Array(4).fill(0x01010101)],
      [3, new Uint8Array(4).fill(1)],
      [4, new BigInt64Array(4).fill(0x0101010101010101n)],
      [6, new Uint8Array(4).fill(1)],
      [7, new Int16Array(4).fill(0x0101)],
      [9, new Int8Array(4).fill(1)],
      [10, new Float64Array(new Uint8Array(32).fill(1).buffer)],
    ]
    for (const [type, data] of types) {
      const bytes = new Uint8Array((data as Uint8Array).byteLength).fill(1)
      const graph = readTflite(
        file({
          ...onePool,
          tensors: [image, { shape: [4], type, buffer: 1 }],
          operators: [],
          buffers: [{}, { data: bytes }],
        }),
      )
      expect(graph.outputs[0].data).toEqual(data)
    }
  })

  it('unpacks constants of 4 and 2 bits to int8, the first element from the low bits', () => {
    const unpacked = (type: number, data: Uint8Array, n: number) =>
      readTflite(
        file({
          ...onePool,
          tensors: [image, { shape: [n], type, buffer: 1, quant: { scale: [0.5], zero_point: [0] } }],
          operators: [],
          buffers: [{}, { data }],
        }),
      ).outputs[0]
    const four = unpacked(17, Uint8Array.of(0x71, 0x8f, 0x0e), 5)
    expect(four.data).toEqual(Int8Array.of(1, 7, -1, -8, -2))
    expect(four.type).toMatchObject({ dtype: 'i8', shape: [5] })
    expect(unpacked(19, Uint8Array.of(0b10110100, 0b01), 5).data).toEqual(Int8Array.of(0, 1, -1, -2, 1))
    expect(() => unpacked(17, Uint8Array.of(0x71, 0x8f), 5)).toThrow(/5 elements of 4 bits, that is 3 bytes.*has 2/)
  })

  it('starts int8 variables at their zero point and all others at zero', () => {
    const variable = (type: number, zero: number): File => ({
      ...onePool,
      tensors: [image, { shape: [3], type, is_variable: true, quant: { scale: [0.5], zero_point: [zero] } }],
      operators: [],
    })
    const stateOf = (f: File) => readTflite(file(f)).outputs[0]
    expect(stateOf(variable(9, -7)).data).toEqual(new Int8Array(3).fill(-7))
    expect(stateOf(variable(7, 5)).data).toEqual(new Int16Array(3))
    expect(stateOf(variable(7, 5)).storage).toBe('state')
  })

  it('reads one scale as per tensor, several along their axis, and none as not quantised', () => {
    const quantOf = (shape: number[], quant: Values<typeof QUANTIZATION>) =>
      readTflite(file({ ...onePool, tensors: [{ shape, type: 9, quant }], outputs: [0], operators: [] })).inputs[0].type
        .quant
    expect(quantOf([2, 3], { scale: [0.1], zero_point: [4], quantized_dimension: 1 })).toEqual({
      scale: Float64Array.of(Math.fround(0.1)),
      zero: Int32Array.of(4),
    })
    expect(quantOf([2, 3], { scale: [1, 2, 3], zero_point: [0, 0, 0], quantized_dimension: 1 })).toEqual({
      scale: Float64Array.of(1, 2, 3),
      zero: new Int32Array(3),
      axis: 1,
    })
    expect(quantOf([2, 3], { scale: [], zero_point: [] })).toBeUndefined()
  })
})

describe('a file that cannot be read names the place, what it found, and what to do', () => {
  const table: [string, File | Uint8Array, RegExp][] = [
    ['too short', new Uint8Array(3), /does not have "TFL3"/],
    ['schema version', { ...onePool, version: 2 }, /schema version 2, supported is 3/],
    [
      'operator that is not supported, and all others',
      {
        ...onePool,
        codes: [{ builtin_code: 131 }, { builtin_code: 32, custom_code: 'Mine' }, { builtin_code: 400 }],
        tensors: [image, pooled, { ...image, name: 'b' }, { ...image, name: 'c' }],
        operators: [
          { inputs: [0], outputs: [1] },
          { inputs: [1], outputs: [2], opcode_index: 1 },
          { inputs: [2], outputs: [3], opcode_index: 2 },
        ],
      },
      /^layer "pooled": operator RFFT2D is not supported, nor are custom "Mine", number 400$/,
    ],
    [
      'operator code',
      { ...onePool, operators: [{ inputs: [0], outputs: [1], opcode_index: 9 }] },
      /code number 9, the file has 1/,
    ],
    ['tensor number', { ...onePool, operators: [{ inputs: [7], outputs: [1] }] }, /refers to tensor 7, the file has 2/],
    ['negative tensor number', { ...onePool, outputs: [-2] }, /refers to tensor -2/],
    [
      'operators out of order',
      {
        ...onePool,
        tensors: [image, pooled, { ...image, name: 'z' }],
        operators: [
          { inputs: [2], outputs: [1] },
          { inputs: [0], outputs: [2] },
        ],
      },
      /^MAX_POOL_2D "pooled": reads "z" before MAX_POOL_2D computes it$/,
    ],
    ['operator that reads itself', { ...onePool, operators: [{ inputs: [1], outputs: [1] }] }, /reads "pooled" before/],
    [
      'tensor that nothing computes',
      { ...onePool, operators: [] },
      /"pooled", which has no data and which nothing computes/,
    ],
    [
      'tensor computed twice',
      { ...onePool, operators: [{ inputs: [0], outputs: [1, 1] }] },
      /computes "pooled", which is an input or computed already/,
    ],
    [
      'input that is computed',
      { ...onePool, operators: [{ inputs: [0], outputs: [0] }] },
      /computes "image", which is an input/,
    ],
    [
      'more outputs than the operator has',
      { ...onePool, tensors: [image, pooled, image], operators: [{ inputs: [0], outputs: [1, 2] }] },
      /2 outputs/,
    ],
    ['operator without inputs', { ...onePool, operators: [{ inputs: [], outputs: [1] }] }, /has no first input/],
    [
      'options of another operator',
      { ...onePool, operators: [{ inputs: [0], outputs: [1], options: 4 }] },
      /options of kind 4, expected 5/,
    ],
    ['element type', { ...onePool, tensors: [{ ...image, type: 5 }, pooled] }, /type STRING; supported are f32/],
    ['unknown shape', { ...onePool, tensors: [{ ...image, shape: [-1, 2] }, pooled] }, /unknown shape \[-1,2\]/],
    [
      'too many dimensions',
      { ...onePool, tensors: [{ ...image, shape: new Array(9).fill(1) }, pooled] },
      /9 dimensions/,
    ],
    [
      'huge tensor',
      { ...onePool, tensors: [{ ...image, shape: [65536, 65536] }, pooled] },
      /more than 2147483647 bytes/,
    ],
    ['sparse tensor', { ...onePool, tensors: [{ ...image, sparse: true }, pooled] }, /stored sparse/],
    ['data in another file', { ...onePool, tensors: [image, { ...image, external_buffer: 1 }] }, /in another file/],
    [
      'quantised in blocks',
      { ...onePool, tensors: [{ ...image, type: 9, quant: { details_type: 2 } }, pooled] },
      /in blocks/,
    ],
    [
      'zero scale',
      { ...onePool, tensors: [{ ...image, type: 9, quant: { scale: [0], zero_point: [0] } }, pooled] },
      /scale 0,/,
    ],
    [
      'zero point',
      { ...onePool, tensors: [{ ...image, type: 9, quant: { scale: [1], zero_point: [128] } }, pooled] },
      /zero point 128, those of i8 lie in \[-128, 127\]/,
    ],
    [
      'zero point of 64 bits',
      { ...onePool, tensors: [{ ...image, type: 4, quant: { scale: [1], zero_point: [2 ** 40] } }, pooled] },
      /zero point 1099511627776/,
    ],
    [
      'scales and zero points',
      { ...onePool, tensors: [{ ...image, type: 9, quant: { scale: [1, 1, 1], zero_point: [0, 0] } }, pooled] },
      /3 scales and 2 zero points/,
    ],
    [
      'scales that miss their axis',
      {
        ...onePool,
        tensors: [{ ...image, type: 9, quant: { scale: [1, 1], zero_point: [0, 0], quantized_dimension: 3 } }, pooled],
      },
      /2 scales along axis 3, its shape is \[1,2,2,1\]/,
    ],
    [
      'data of the wrong size',
      { ...onePool, tensors: [image, { ...pooled, buffer: 1 }], operators: [], buffers: [{}, { data: floats(3) }] },
      /that is 16 bytes, its data has 12/,
    ],
    [
      'buffer number',
      { ...onePool, tensors: [image, { ...pooled, buffer: 5 }], operators: [] },
      /buffer 5, the file has 1 buffers/,
    ],
    [
      'constant that is computed',
      { ...onePool, tensors: [image, { ...pooled, buffer: 1 }], buffers: [{}, { data: floats(4) }] },
      /which is a constant or a variable/,
    ],
    ['input listed twice', { ...onePool, inputs: [0, 0] }, /is listed twice/],
    ['no outputs', { ...onePool, outputs: [] }, /has no outputs/],
  ]

  it.each(table)('%s', (_, f, message) => {
    const error = errorOf(f)
    expect(error.message).toMatch(message)
    expect(error.where).toBeTruthy()
  })

  it('a small file that refers to one operator a great many times', () => {
    const bytes = file({ ...onePool, operators: [{ inputs: new Array(2000).fill(0), outputs: [1] }], repeat: 2000 })
    expect(bytes.length).toBeLessThan(20_000)
    expect(errorOf(bytes).message).toMatch(/again and again/)
  })
})
