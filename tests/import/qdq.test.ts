import { expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { readOnnx } from '../../src/import/onnx.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { roundEven } from '../../src/loops/float.ts'
import { runPasses } from '../../src/passes/index.ts'
import { reference } from '../../src/run/reference.ts'
import { instantiateWasm } from '../../src/run/wasm.ts'
import { type FileGraph, type FileNode, type FileTensor, floats, longs, onnxFile } from '../support/onnx_file.ts'

const [FLOAT, UINT8, INT8, INT32] = [1, 2, 3, 6]
const random = new Xorshift32(7)

const scalar = (name: string, scale: number, zero: number, type = UINT8): FileTensor[] => [
  { name: `${name}_scale`, type: FLOAT, dims: [], data: Float32Array.of(scale) },
  { name: `${name}_zero`, type, dims: [], data: type === UINT8 ? Uint8Array.of(zero) : Int8Array.of(zero) },
]
const bytes = (name: string, dims: number[]): FileTensor => ({
  name,
  type: INT8,
  dims,
  data: Int8Array.from({ length: dims.reduce((p, d) => p * d, 1) }, () => random.between(-127, 127)),
})
const quantize = (x: string, y: string, q = y): FileNode => ({
  op: 'QuantizeLinear',
  inputs: [x, `${q}_scale`, `${q}_zero`],
  outputs: [y],
})
const dequantize = (x: string, y: string, q = x, axis?: number): FileNode => ({
  op: 'DequantizeLinear',
  inputs: [x, `${q}_scale`, `${q}_zero`],
  outputs: [y],
  ...(axis !== undefined && { attrs: { axis } }),
})

/** float -> quantised x -> `nodes` from "x_real" to "y_real" -> quantised y -> float; or y_real as the output. */
const qdq =
  (dims: number[], y: [number, number], nodes: FileNode[], constants: FileTensor[] = []) =>
  (whole: boolean) => {
    const graph: FileGraph = {
      inputs: [{ name: 'input', type: FLOAT, dims }],
      constants: [...scalar('x', 0.02, 120), ...scalar('y', ...y), ...constants],
      nodes: [
        quantize('input', 'x'),
        dequantize('x', 'x_real'),
        ...nodes,
        quantize('y_real', 'y'),
        dequantize('y', 'out'),
      ],
      outputs: [whole ? 'out' : 'y_real'],
    }
    return readOnnx(onnxFile(graph))
  }

const WEIGHT: FileTensor[] = [
  bytes('w', [4, 3, 3, 3]),
  { name: 'w_scale', type: FLOAT, dims: [4], data: Float32Array.of(0.01, 0.02, 0.005, 0.03) },
  { name: 'w_zero', type: INT8, dims: [4], data: new Int8Array(4) },
  { name: 'b', type: INT32, dims: [4], data: Int32Array.of(900, -1200, 33, 5000) },
  {
    name: 'b_scale',
    type: FLOAT,
    dims: [4],
    data: Float32Array.from([0.01, 0.02, 0.005, 0.03], (s) => Math.fround(Math.fround(0.02) * Math.fround(s))),
  },
  { name: 'b_zero', type: INT32, dims: [4], data: new Int32Array(4) },
]
const CONV: FileNode[] = [
  dequantize('w', 'w_real', 'w', 0),
  dequantize('b', 'b_real', 'b', 0),
  { op: 'Conv', inputs: ['x_real', 'w_real', 'b_real'], outputs: ['conv'], attrs: { pads: [1, 1, 1, 1] } },
]
const MATRIX: FileTensor[] = [bytes('m', [6, 5]), ...scalar('m', 0.01, 3, INT8)]

const RELU: FileNode = { op: 'Relu', inputs: ['conv'], outputs: ['y_real'] }

interface Net {
  readonly dims: number[]
  readonly y: [scale: number, zero: number]
  readonly nodes: FileNode[]
  readonly constants?: FileTensor[]
  readonly ops: string[]
  /** Not one output may differ from float32's. */
  readonly exact?: boolean
}

const NETS: Record<string, Net> = {
  'a convolution with a scale for each channel, then Relu': {
    dims: [1, 3, 5, 6],
    y: [0.07, 3],
    nodes: [...CONV, RELU],
    constants: WEIGHT,
    ops: ['conv2d'],
  },
  'a convolution, then Clip': {
    dims: [1, 3, 5, 6],
    y: [0.07, 100],
    nodes: [...CONV, { op: 'Clip', inputs: ['conv', 'lo', 'hi'], outputs: ['y_real'] }],
    constants: [...WEIGHT, floats('lo', [], [-2]), floats('hi', [], [6])],
    ops: ['conv2d'],
  },
  'a depthwise convolution': {
    dims: [1, 4, 6, 6],
    y: [0.03, 90],
    nodes: [
      dequantize('d', 'd_real', 'd', 0),
      { op: 'Conv', inputs: ['x_real', 'd_real'], outputs: ['y_real'], attrs: { group: 4 } },
    ],
    constants: [
      bytes('d', [4, 1, 3, 3]),
      floats('d_scale', [4], [0.01, 0.02, 0.005, 0.03]),
      { name: 'd_zero', type: INT8, dims: [4], data: new Int8Array(4) },
    ],
    ops: ['depthwise_conv2d'],
  },
  'a product with a constant matrix': {
    dims: [30, 6],
    y: [0.05, 128],
    nodes: [dequantize('m', 'm_real'), { op: 'MatMul', inputs: ['x_real', 'm_real'], outputs: ['y_real'] }],
    constants: MATRIX,
    ops: ['fully_connected'],
  },
  'Gemm with bias, B transposed': {
    dims: [30, 5],
    y: [0.05, 128],
    nodes: [
      dequantize('m', 'm_real'),
      dequantize('b', 'b_real'),
      { op: 'Gemm', inputs: ['x_real', 'm_real', 'b_real'], outputs: ['y_real'], attrs: { transB: 1 } },
    ],
    constants: [
      ...MATRIX,
      { name: 'b', type: INT32, dims: [6], data: Int32Array.of(900, -1200, 33, 5000, 0, -7) },
      floats('b_scale', [], [Math.fround(0.02) * Math.fround(0.01)]),
      { name: 'b_zero', type: INT32, dims: [], data: new Int32Array(1) },
    ],
    ops: ['fully_connected'],
  },
  'a product of two computed tensors': {
    dims: [6, 6],
    y: [0.05, 128],
    nodes: [{ op: 'MatMul', inputs: ['x_real', 'x_real'], outputs: ['y_real'] }],
    ops: ['matmul'],
  },
  'a sum': {
    dims: [2, 9],
    y: [0.04, 120],
    nodes: [{ op: 'Add', inputs: ['x_real', 'x_real'], outputs: ['y_real'] }],
    ops: ['add'],
    exact: true,
  },
  'a product of elements': {
    dims: [2, 9],
    y: [0.04, 20],
    nodes: [{ op: 'Mul', inputs: ['x_real', 'x_real'], outputs: ['y_real'] }],
    ops: ['mul'],
    exact: true,
  },
  'a slice': {
    dims: [1, 2, 4, 6],
    y: [0.02, 120],
    nodes: [{ op: 'Slice', inputs: ['x_real', 'from', 'to'], outputs: ['y_real'] }],
    constants: [longs('from', [0, 0, 1, 1]), longs('to', [1, 2, 3, 5])],
    ops: ['slice'],
    exact: true,
  },
  'chosen rows': {
    dims: [4, 6],
    y: [0.02, 120],
    nodes: [{ op: 'Gather', inputs: ['x_real', 'rows'], outputs: ['y_real'] }],
    constants: [longs('rows', [2, 0])],
    ops: ['gather'],
    exact: true,
  },
  tiles: {
    dims: [4, 6],
    y: [0.02, 120],
    nodes: [{ op: 'Tile', inputs: ['x_real', 'times'], outputs: ['y_real'] }],
    constants: [longs('times', [2, 2])],
    ops: [],
    exact: true,
  },
  'an expanded row': {
    dims: [1, 6],
    y: [0.02, 120],
    nodes: [{ op: 'Expand', inputs: ['x_real', 'shape'], outputs: ['y_real'] }],
    constants: [longs('shape', [3, 6])],
    ops: ['expand'],
    exact: true,
  },
  'depth to space': {
    dims: [1, 8, 3, 2],
    y: [0.02, 120],
    nodes: [{ op: 'DepthToSpace', inputs: ['x_real'], outputs: ['y_real'], attrs: { blocksize: 2 } }],
    ops: [],
    exact: true,
  },
  'space to depth': {
    dims: [1, 2, 4, 6],
    y: [0.02, 120],
    nodes: [{ op: 'SpaceToDepth', inputs: ['x_real'], outputs: ['y_real'], attrs: { blocksize: 2 } }],
    ops: [],
    exact: true,
  },
  'resizing to the nearest element': {
    dims: [1, 2, 3, 4],
    y: [0.02, 120],
    nodes: [
      {
        op: 'Resize',
        inputs: ['x_real', '', 'scales'],
        outputs: ['y_real'],
        attrs: { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
      },
    ],
    constants: [floats('scales', [4], [1, 1, 2, 2])],
    ops: ['gather'],
    exact: true,
  },
  'operators that move elements': {
    dims: [1, 2, 4, 6],
    y: [0.02, 120],
    nodes: [
      { op: 'MaxPool', inputs: ['x_real'], outputs: ['p'], attrs: { kernel_shape: [2, 2], strides: [2, 2] } },
      { op: 'Concat', inputs: ['p', 'p'], outputs: ['c'], attrs: { axis: 1 } },
      { op: 'Transpose', inputs: ['c'], outputs: ['t'], attrs: { perm: [0, 2, 3, 1] } },
      { op: 'Identity', inputs: ['t'], outputs: ['i'] },
      { op: 'Relu', inputs: ['i'], outputs: ['r'] },
      { op: 'Flatten', inputs: ['r'], outputs: ['y_real'] },
    ],
    ops: ['max_pool2d', 'concat'],
    exact: true,
  },
}

const inputsOf = (graph: Graph) =>
  graph.inputs.map((v) =>
    Float32Array.from({ length: v.type.shape.reduce((p, d) => p * d, 1) }, () => random.between(-300, 300) / 100),
  )

/** The operators that read float32, but for those that only bring elements into another order. */
function computedOnFloats(graph: Graph): string[] {
  const readers = graph.nodes.filter((n) => n.inputs.some((v) => v?.type.dtype === 'f32'))
  return readers.map((n) => n.op.name).filter((name) => name !== 'transpose' && name !== 'reshape')
}

/** What the quantised output is in float32 where y_real is `real`. */
function throughInt8(real: Float32Array, [scale, zero]: readonly [number, number]): Float32Array {
  const s = Math.fround(scale)
  return real.map((r) => Math.fround(s * (Math.min(255, Math.max(0, roundEven(Math.fround(r / s)) + zero)) - zero)))
}

test.each(Object.entries(NETS))('%s between DequantizeLinear and QuantizeLinear runs on int8', async (_, net) => {
  const of = qdq(net.dims, net.y, net.nodes, net.constants)
  const [graph, real] = [of(true), of(false)]
  const optimised = runPasses(graph)
  const onFloats = computedOnFloats(optimised)
  expect(onFloats).toEqual(['quantize'])
  for (const op of net.ops) expect(optimised.nodes.map((n) => n.op.name)).toContain(op)
  const inputs = inputsOf(graph)
  const program = compile(graph)
  const outputs = (await instantiateWasm(program.wasm!, program.plan)).run(inputs)
  expect(outputs).toEqual(reference(graph).run(inputs))
  expect(outputs).toEqual(reference(optimised).run(inputs))
  const expected = throughInt8(reference(real).run(inputs)[0] as Float32Array, net.y)
  const steps = expected.map((e, i) => Math.round(Math.abs(e - (outputs[0] as Float32Array)[i]) / net.y[0]))
  expect(new Set(expected).size).toBeGreaterThan(3)
  expect(Math.max(...steps)).toBeLessThanOrEqual(net.exact ? 0 : 1)
  expect(steps.filter((d) => d > 0).length).toBeLessThanOrEqual(steps.length / 20)
})

test('a scale that changes between operators that move elements keeps them in float32', () => {
  const optimised = runPasses(
    qdq([2, 3], [0.03, 120], [{ op: 'Identity', inputs: ['x_real'], outputs: ['y_real'] }])(true),
  )
  expect(computedOnFloats(optimised)).toEqual(['quantize', 'quantize'])
})

test('a bias of another scale than that of the sums keeps a convolution in float32', () => {
  const other = WEIGHT.map((t) => (t.name === 'b_scale' ? { ...t, data: new Float32Array(4).fill(0.01) } : t))
  const graph = qdq(
    [1, 3, 5, 6],
    [0.07, 3],
    [...CONV, { op: 'Relu', inputs: ['conv'], outputs: ['y_real'] }],
    other,
  )(true)
  const conv = runPasses(graph).nodes.find((n) => n.op.name === 'conv2d')
  expect(conv?.inputs[0]?.type.dtype).toBe('f32')
})
