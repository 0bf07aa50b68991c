// Small .onnx files: an operator with its attributes each, and a few that follow one another.

import { Xorshift32 } from '../../src/ir/random.ts'
import { count } from '../../src/loops/ir.ts'
import {
  type FileFunction,
  type FileGraph,
  type FileNode,
  type FileTensor,
  floats,
  longs,
  onnxFile,
} from '../support/onnx_file.ts'

type Operand = readonly number[] | FileTensor

function weights(dims: readonly number[]): FileTensor {
  const random = new Xorshift32(count(dims))
  const values = Array.from({ length: count(dims) }, () => random.between(-8, 8) / 4)
  return { ...floats('', dims, values) }
}

function bytes(type: 2 | 3, dims: readonly number[]): FileTensor {
  const random = new Xorshift32(7)
  return { name: '', type, dims, data: Uint8Array.from({ length: count(dims) }, () => random.between(0, 255)) }
}

const scalar = (x: number): FileTensor => floats('', [], [x])
const byteScalar = (x: number): FileTensor => ({ name: '', type: 3, dims: [], data: Int8Array.of(x) })
const list = (...values: number[]): FileTensor => longs('', values)

/** One node: operands are shapes of inputs, or constants. */
function net(op: string, operands: readonly Operand[], attrs: FileNode['attrs'] = {}, outputs = 1): FileGraph {
  const named = operands.map((o, i) => ({ name: `a${i}`, o }))
  const isTensor = (o: Operand): o is FileTensor => 'dims' in o
  const names = Array.from({ length: outputs }, (_, i) => `y${i}`)
  return {
    inputs: named.flatMap(({ name, o }) => (isTensor(o) ? [] : [{ name, dims: o }])),
    constants: named.flatMap(({ name, o }) => (isTensor(o) ? [{ ...o, name }] : [])),
    nodes: [{ op, inputs: named.map(({ name }) => name), outputs: names, attrs }],
    outputs: names,
  }
}

const CHAIN: FileGraph = {
  inputs: [{ name: 'x', dims: ['N', 3, 6, 5] }],
  constants: [
    { ...weights([4, 3, 3, 3]), name: 'w' },
    { ...weights([4]), name: 'b' },
    { ...weights([7, 4]), name: 'fc' },
    longs('to', [0, -1]),
  ],
  nodes: [
    { op: 'Conv', inputs: ['x', 'w', 'b'], outputs: ['c'], attrs: { pads: [1, 1, 1, 1], strides: [2, 2] } },
    { op: 'Relu', inputs: ['c'], outputs: ['r'] },
    { op: 'MaxPool', inputs: ['r'], outputs: ['m'], attrs: { kernel_shape: [2, 2] } },
    { op: 'GlobalAveragePool', inputs: ['m'], outputs: ['p'] },
    { op: 'Reshape', inputs: ['p', 'to'], outputs: ['f'] },
    { op: 'Gemm', inputs: ['f', 'fc'], outputs: ['g'], attrs: { transB: 1, alpha: 0.5 } },
    { op: 'Softmax', inputs: ['g'], outputs: ['y'], attrs: { axis: -1 } },
  ],
  outputs: ['y'],
}

const SHAPES: FileGraph = {
  inputs: [{ name: 'x', dims: [2, 3, 4] }],
  constants: [longs('zero', [0]), longs('two', [2]), longs('last', [-1]), longs('axes', [0])],
  nodes: [
    { op: 'Shape', inputs: ['x'], outputs: ['s'] },
    { op: 'Slice', inputs: ['s', 'zero', 'two', 'axes'], outputs: ['head'] },
    { op: 'Concat', inputs: ['head', 'last'], outputs: ['to'], attrs: { axis: 0 } },
    { op: 'Reshape', inputs: ['x', 'to'], outputs: ['y'] },
  ],
  outputs: ['y'],
}

const NETS: Readonly<Record<string, FileGraph>> = {
  chain: CHAIN,
  shapes: SHAPES,
  conv: net('Conv', [[1, 4, 5, 6], weights([4, 2, 3, 2])], { group: 2, dilations: [1, 2], auto_pad: 'SAME_UPPER' }),
  'conv 1d': net('Conv', [[1, 2, 9], weights([3, 2, 3])], { pads: [1, 0], strides: [2] }),
  'conv 3d': net('Conv', [[1, 2, 3, 4, 3], weights([2, 1, 2, 2, 2])], { group: 2, pads: [1, 0, 1, 0, 0, 0] }),
  'transposed conv': net('ConvTranspose', [[1, 2, 4, 3], weights([2, 3, 3, 3])], {
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    output_padding: [1, 0],
  }),
  gemm: net('Gemm', [[3, 4], weights([4, 5]), weights([5])], { alpha: 0.5, beta: 2.5 }),
  matmul: net('MatMul', [
    [2, 3, 4],
    [2, 4, 5],
  ]),
  'max pool': net('MaxPool', [[1, 3, 6, 7]], {
    kernel_shape: [3, 2],
    pads: [1, 0, 1, 0],
    strides: [2, 1],
    ceil_mode: 1,
  }),
  'max pool with indices': net(
    'MaxPool',
    [[1, 2, 4, 5]],
    { kernel_shape: [3, 2], pads: [1, 0, 1, 0], strides: [2, 1] },
    2,
  ),
  'average pool 3d': net('AveragePool', [[1, 2, 3, 4, 3]], { kernel_shape: [2, 2, 2], pads: [1, 0, 0, 0, 0, 1] }),
  'average pool': net('AveragePool', [[1, 3, 6, 7]], {
    kernel_shape: [3, 2],
    pads: [1, 0, 1, 1],
    count_include_pad: 1,
  }),
  add: net('Add', [
    [2, 3, 4],
    [3, 1],
  ]),
  div: net('Div', [[2, 3], weights([3])]),
  pow: net('Pow', [[2, 3], scalar(2.5)]),
  exp: net('Exp', [[2, 3]]),
  erf: net('Erf', [[2, 3]]),
  'leaky relu': net('LeakyRelu', [[2, 3]], { alpha: 0.25 }),
  elu: net('Elu', [[2, 3]], { alpha: 1.5 }),
  clip: net('Clip', [[2, 3], scalar(-0.5), scalar(0.5)]),
  softmax: net('Softmax', [[2, 3, 4]], { axis: 1 }),
  'log softmax': net('LogSoftmax', [[2, 3]], { axis: -1 }),
  'reduce mean': net('ReduceMean', [[2, 3, 4]], { axes: [1, -1], keepdims: 0 }),
  'reduce l2': net('ReduceL2', [[2, 3, 4]], { axes: [0], keepdims: 1 }),
  'arg max': net('ArgMax', [[2, 3, 4]], { axis: 2, keepdims: 0, select_last_index: 1 }),
  'top k': net('TopK', [[2, 6], list(3)], { axis: -1, largest: 0 }, 2),
  'cum sum': net('CumSum', [[2, 3], list(1)], { exclusive: 1, reverse: 1 }),
  transpose: net('Transpose', [[2, 3, 4]], { perm: [2, 0, 1] }),
  concat: net('Concat', [[2, 3], [2, 2], weights([2, 1])], { axis: 1 }),
  split: net('Split', [[2, 6], list(1, 2, 3)], { axis: 1 }, 3),
  slice: net('Slice', [[4, 6], list(1, -1), list(4, -6), list(0, 1), list(2, -2)]),
  pad: net('Pad', [[2, 3], list(1, 0, 2, 1), scalar(0.5)], { mode: 'constant' }),
  'reflected pad': net('Pad', [[3, 4], list(1, 2, 1, 1)], { mode: 'reflect' }),
  gather: net('Gather', [[4, 3], list(0, 2, -1)], { axis: 0 }),
  'gather elements': net('GatherElements', [[3, 2], { ...list(0, 2, 1, 0), dims: [2, 2] }], { axis: 0 }),
  'gather nd': net('GatherND', [[3, 2], { ...list(0, 1, 2, 0), dims: [2, 2] }]),
  'scatter elements': net('ScatterElements', [[3, 2], { ...list(0, 2), dims: [1, 2] }, weights([1, 2])], { axis: 0 }),
  'scatter nd': net('ScatterND', [[4, 2], { ...list(0, 3), dims: [2, 1] }, weights([2, 2])]),
  expand: net('Expand', [[3, 1], list(2, 3, 4)]),
  tile: net('Tile', [[2, 3], list(2, 3)]),
  'one hot': net('OneHot', [list(0, 2, 1), list(4), floats('', [2], [0, 1])], { axis: -1 }),
  range: net('Range', [scalar(0), scalar(4), scalar(0.5)]),
  'constant of shape': net('ConstantOfShape', [list(2, 3)], { value: floats('', [1], [1.5]) }),
  resize: net('Resize', [[1, 1, 3, 4], floats('', [0], []), floats('', [4], [1, 1, 2, 1.5])], { mode: 'linear' }),
  'nearest resize': net('Resize', [[1, 1, 3, 4], floats('', [0], []), floats('', [0], []), list(1, 1, 5, 2)], {
    mode: 'nearest',
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'floor',
  }),
  'batch norm': net(
    'BatchNormalization',
    [[1, 3, 2, 2], weights([3]), weights([3]), weights([3]), floats('', [3], [1, 2, 3])],
    { epsilon: 0.001 },
  ),
  'layer norm': net('LayerNormalization', [[2, 3, 4], weights([4]), weights([4])], { axis: -1, epsilon: 0.01 }),
  'instance norm': net('InstanceNormalization', [[1, 3, 2, 2], weights([3]), weights([3])], { epsilon: 0.01 }),
  lrn: net('LRN', [[1, 5, 2, 2]], { size: 3, alpha: 0.5, beta: 0.75, bias: 1.5 }),
  cast: net('Cast', [[2, 3]], { to: 3 }),
  where: net('Where', [{ name: '', type: 9, dims: [3], data: Uint8Array.of(1, 0, 1) }, [2, 3], [2, 1]]),
  'depth to space': net('DepthToSpace', [[1, 8, 2, 3]], { blocksize: 2, mode: 'CRD' }),
  quantize: net('QuantizeLinear', [[2, 3], floats('', [3], [0.5, 0.25, 1]), bytes(3, [3])], { axis: 1 }),
  'quantize in blocks': net(
    'QuantizeLinear',
    [[2, 4], weights([2, 2]), { ...bytes(3, [2, 2]), data: new Int8Array(4) }],
    {
      axis: 1,
      block_size: 2,
    },
  ),
  dequantize: net('DequantizeLinear', [bytes(3, [2, 3]), scalar(0.5), byteScalar(3)]),
  'quantised conv': {
    inputs: [{ name: 'x', type: 3, dims: [1, 2, 4, 4] }],
    constants: [
      { ...scalar(0.5), name: 's' },
      { ...byteScalar(3), name: 'z' },
      { ...bytes(3, [3, 2, 3, 3]), name: 'w' },
      { ...byteScalar(0), name: 'zw' },
    ],
    nodes: [{ op: 'QLinearConv', inputs: ['x', 's', 'z', 'w', 's', 'zw', 's', 'z'], outputs: ['y'] }],
    outputs: ['y'],
  },
  lstm: net('LSTM', [[3, 1, 2], weights([1, 12, 2]), weights([1, 12, 3])], { hidden_size: 3 }, 1),
  gru: net('GRU', [[3, 1, 2], weights([1, 9, 2]), weights([1, 9, 3])], { hidden_size: 3, linear_before_reset: 1 }, 1),
}

const CALLS: FileGraph = {
  inputs: [{ name: 'x', dims: [2, 3] }],
  nodes: [
    { op: 'F', domain: 'own', inputs: ['x'], outputs: ['a'], attrs: { axis: 0 } },
    { op: 'F', domain: 'own', inputs: ['a', 'x'], outputs: ['y'] },
  ],
  outputs: ['y'],
}
const FUNCTIONS: readonly FileFunction[] = [
  {
    name: 'F',
    domain: 'own',
    inputs: ['x', 'high'],
    outputs: ['y'],
    defaults: { axis: 1 },
    nodes: [
      { op: 'G', domain: 'own', inputs: ['x'], outputs: ['g'] },
      { op: 'Softmax', inputs: ['g'], outputs: ['y'], attrs: { axis: { ref: 'axis' } } },
    ],
  },
  { name: 'G', domain: 'own', inputs: ['x'], outputs: ['y'], nodes: [{ op: 'Neg', inputs: ['x'], outputs: ['y'] }] },
]

/** The files by name. */
export function onnxNets(): { name: string; bytes: Uint8Array }[] {
  const nets = Object.entries(NETS).map(([name, graph]) => ({
    name,
    bytes: onnxFile(graph, ['reduce mean', 'reduce l2'].includes(name) ? 13 : 17),
  }))
  return [...nets, { name: 'functions', bytes: onnxFile(CALLS, 17, FUNCTIONS) }]
}
