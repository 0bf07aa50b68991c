import { describe, expect, it } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { type OnnxOptions, readOnnx } from '../../src/import/onnx.ts'
import { readModel } from '../../src/import/read.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { verify } from '../../src/ir/verify.ts'
import { count } from '../../src/loops/ir.ts'
import { INFERENCE, runPasses } from '../../src/passes/index.ts'
import { reference } from '../../src/run/reference.ts'
import { type FileGraph, floats, longs, onnxFile } from '../support/onnx_file.ts'

const values = (n: number, seed = 1) => {
  const random = new Xorshift32(seed)
  return Array.from({ length: n }, () => random.between(-8, 8) / 4)
}
const constant = (name: string, dims: number[], seed = 1) => floats(name, dims, values(count(dims), seed))

const CNN: FileGraph = {
  inputs: [{ name: 'x', dims: ['N', 3, 6, 5] }],
  constants: [
    constant('w', [4, 3, 3, 3]),
    constant('b', [4], 2),
    constant('v', [4, 1, 3, 3], 3),
    constant('fc', [7, 4], 4),
  ],
  nodes: [
    { op: 'Conv', inputs: ['x', 'w', 'b'], outputs: ['c'], attrs: { pads: [1, 1, 1, 1], strides: [2, 2] } },
    { op: 'Relu', inputs: ['c'], outputs: ['r'] },
    { op: 'Conv', inputs: ['r', 'v'], outputs: ['d'], attrs: { pads: [1, 0, 1, 0], group: 4 } },
    { op: 'Sigmoid', inputs: ['d'], outputs: ['s'] },
    { op: 'GlobalAveragePool', inputs: ['s'], outputs: ['p'] },
    { op: 'Flatten', inputs: ['p'], outputs: ['f'] },
    { op: 'Gemm', inputs: ['f', 'fc'], outputs: ['y'], attrs: { transB: 1 } },
  ],
  outputs: ['y'],
}

function refusal(g: FileGraph | Uint8Array, options?: OnnxOptions): ModelError {
  try {
    readOnnx(g instanceof Uint8Array ? g : onnxFile(g), options)
  } catch (error) {
    if (error instanceof ModelError) return error
    throw error
  }
  throw new Error('was read')
}

const shapeOf = (g: Graph, i = 0) => g.outputs[i].type.shape

describe('readOnnx', () => {
  it('computes a convolution in the layout of the file', () => {
    const g = readOnnx(onnxFile(CNN))
    expect(g.inputs[0].type.shape).toEqual([1, 3, 6, 5])
    const convOnly: FileGraph = { ...CNN, nodes: CNN.nodes.slice(0, 1), outputs: ['c'] }
    const x = Float32Array.from(values(90, 9))
    const [w, b] = [values(108), values(4, 2)]
    const [y] = reference(readOnnx(onnxFile(convOnly))).run([x])
    const expected: number[] = []
    for (let o = 0; o < 4; o++)
      for (let i = 0; i < 3; i++)
        for (let j = 0; j < 3; j++) {
          let sum = b[o]
          for (let c = 0; c < 3; c++)
            for (let k = 0; k < 3; k++)
              for (let l = 0; l < 3; l++) {
                const [h, v] = [2 * i + k - 1, 2 * j + l - 1]
                if (h >= 0 && h < 6 && v >= 0 && v < 5) sum += x[(c * 6 + h) * 5 + v] * w[((o * 3 + c) * 3 + k) * 3 + l]
              }
          expected.push(sum)
        }
    expect([...y]).toEqual(expected)
  })

  it('keeps the names of layers, inputs and outputs', () => {
    const g = readOnnx(onnxFile(CNN))
    expect(g.inputs.map((v) => v.name)).toEqual(['x'])
    expect(g.outputs.map((v) => v.name)).toEqual(['y'])
    expect(new Set(g.nodes.map((n) => n.from))).toEqual(new Set(['c', 'r', 'd', 's', 'p', 'f', 'y']))
  })

  it('leaves a channels-first network at most one transposition', () => {
    const g = runPasses(readOnnx(onnxFile(CNN)))
    expect(g.nodes.filter((n) => n.op.name === 'transpose').length).toBeLessThanOrEqual(1)
    const x = Float32Array.from(values(90, 5))
    expect(reference(g).run([x])).toEqual(reference(readOnnx(onnxFile(CNN))).run([x]))
  })

  it('is what readModel reads', () => {
    expect(readModel(onnxFile(CNN)).nodes.length).toBe(readOnnx(onnxFile(CNN)).nodes.length)
  })

  it('computes shapes while reading: Shape, Gather, Concat and Reshape are gone', () => {
    const g = readOnnx(
      onnxFile({
        inputs: [{ name: 'x', dims: [2, 3, 4] }],
        constants: [longs('zero', [0]), longs('rest', [-1])],
        nodes: [
          { op: 'Shape', inputs: ['x'], outputs: ['s'] },
          { op: 'Gather', inputs: ['s', 'zero'], outputs: ['n'], attrs: { axis: 0 } },
          { op: 'Concat', inputs: ['n', 'rest'], outputs: ['t'], attrs: { axis: 0 } },
          { op: 'Reshape', inputs: ['x', 't'], outputs: ['y'] },
        ],
        outputs: ['y'],
      }),
    )
    expect(g.nodes.map((n) => n.op.name)).toEqual(['reshape'])
    expect(shapeOf(g)).toEqual([2, 12])
  })

  it('takes the branch that a constant condition chooses', () => {
    const branch = (op: string): FileGraph => ({
      nodes: [{ op, inputs: ['x'], outputs: ['inner'] }],
      outputs: ['inner'],
    })
    const cond = { name: 'c', type: 9, dims: [], data: Uint8Array.of(0) }
    const file = (inputs: FileGraph['inputs'], constants: FileGraph['constants']): FileGraph => ({
      inputs: [{ name: 'x', dims: [3] }, ...(inputs ?? [])],
      constants,
      nodes: [
        {
          op: 'If',
          inputs: ['c'],
          outputs: ['y'],
          attrs: { then_branch: branch('Sigmoid'), else_branch: branch('Relu') },
        },
      ],
      outputs: ['y'],
    })
    const [y] = reference(readOnnx(onnxFile(file([], [cond])))).run([Float32Array.of(-1, 0, 2)])
    expect([...y]).toEqual([0, 0, 2])
    expect(refusal(file([{ name: 'c', type: 9, dims: [] }], [])).message).toMatch(/while the model runs/)
  })

  it('reads data from another file through the reader it is given, and says so without one', () => {
    const file: FileGraph = {
      inputs: [{ name: 'x', dims: [2] }],
      constants: [{ name: 'k', type: 1, dims: [2], external: { location: 'w.bin', offset: '4', length: '8' } }],
      nodes: [{ op: 'Add', inputs: ['x', 'k'], outputs: ['y'] }],
      outputs: ['y'],
    }
    const bytes = new Uint8Array(Float32Array.of(9, 1, 2).buffer)
    const g = readOnnx(onnxFile(file), { external: (path) => (path === 'w.bin' ? bytes : new Uint8Array(0)) })
    expect([...reference(g).run([Float32Array.of(10, 20)])[0]]).toEqual([11, 22])
    expect(refusal(file).message).toMatch(/another file, "w.bin"/)
    expect(refusal(file, { external: () => bytes.subarray(0, 8) }).message).toMatch(/bytes 4 to 12/)
  })

  it('asks for the shape of inputs with open dimensions, and takes it', () => {
    const file: FileGraph = {
      inputs: [{ name: 'x', dims: ['batch', 3, 'H'] }],
      nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }],
      outputs: ['y'],
    }
    expect(refusal(file).hint).toMatch(/--shape x=/)
    expect(shapeOf(readOnnx(onnxFile(file), { shapes: { x: [2, 3, 5] } }))).toEqual([2, 3, 5])
    expect(refusal(file, { shapes: { x: [2, 4, 5] } }).message).toMatch(/asked for is \[2,4,5\]/)
  })

  it('treats inputs with an initializer, and those given as constants, as constants', () => {
    const file: FileGraph = {
      inputs: [
        { name: 'x', dims: [2] },
        { name: 'k', dims: [2] },
      ],
      nodes: [{ op: 'Mul', inputs: ['x', 'k'], outputs: ['y'] }],
      outputs: ['y'],
    }
    const data = Float32Array.of(3, 4)
    const ways = [
      readOnnx(onnxFile({ ...file, constants: [floats('k', [2], [3, 4])] })),
      readOnnx(onnxFile(file), { constants: { k: { type: { dtype: 'f32', shape: [2] }, data } } }),
    ]
    for (const g of ways) expect([...reference(g).run([Float32Array.of(2, 5)])[0]]).toEqual([6, 20])
  })

  it('gives outputs that are inputs or constants a value of their own', () => {
    const g = readOnnx(
      onnxFile({
        inputs: [{ name: 'x', dims: [2] }],
        constants: [floats('k', [1], [7])],
        nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['r'] }],
        outputs: ['x', 'k', 'r', 'r'],
      }),
    )
    expect(
      reference(g)
        .run([Float32Array.of(-1, 1)])
        .map((d) => [...d]),
    ).toEqual([[-1, 1], [7], [0, 1], [0, 1]])
  })

  it.each<[string, FileGraph, RegExp]>([
    [
      'an unknown operator',
      { ...CNN, nodes: [{ op: 'NonZero', inputs: ['x'], outputs: ['y'] }] },
      /"y".*NonZero \(opset 17\)/,
    ],
    [
      'another domain',
      { ...CNN, nodes: [{ op: 'Relu', domain: 'acme', inputs: ['x'], outputs: ['y'] }] },
      /acme\.Relu/,
    ],
    ['an undefined name', { ...CNN, nodes: [{ op: 'Relu', inputs: ['q'], outputs: ['y'] }] }, /reads "q"/],
    ['no outputs', { ...CNN, outputs: [] }, /no outputs/],
    ['text', { ...CNN, inputs: [{ name: 'x', type: 8, dims: [1] }] }, /type string/],
    ['a huge input', { ...CNN, inputs: [{ name: 'x', dims: [1, 3, 1e6, 1e6] }] }, /more than/],
    [
      'data that is too short',
      { ...CNN, constants: [{ ...constant('w', [4, 3, 3, 3]), dims: [5, 3, 3, 3] }] },
      /bytes/,
    ],
    [
      'the second output of a pool',
      { ...CNN, nodes: [{ op: 'LpPool', inputs: ['x'], outputs: ['y', 'i'], attrs: { kernel_shape: [2, 2] } }] },
      /outputs/,
    ],
  ])('refuses %s', (_, file, message) => {
    expect(refusal(file).message).toMatch(message)
  })

  it('broadcasts from the axis that files before opset 7 name', () => {
    const file: FileGraph = {
      inputs: [{ name: 'x', dims: [1, 2, 2] }],
      constants: [floats('b', [2], [10, 20])],
      nodes: [{ op: 'Add', inputs: ['x', 'b'], outputs: ['y'], attrs: { broadcast: 1, axis: 1 } }],
      outputs: ['y'],
    }
    const sum = (opset: number) => [...reference(readOnnx(onnxFile(file, opset))).run([Float32Array.of(1, 2, 3, 4)])[0]]
    expect(sum(6)).toEqual([11, 12, 23, 24])
    expect(sum(7)).toEqual([11, 22, 13, 24])
  })

  it('refuses an operator set that it does not know', () => {
    expect(refusal(onnxFile(CNN, 99)).message).toMatch(/opset 99/)
  })

  it('does not compute constants that are far larger than the file', () => {
    const bomb: FileGraph = {
      constants: [longs('s', [20000, 20000])],
      nodes: [
        { op: 'ConstantOfShape', inputs: ['s'], outputs: ['a'] },
        { op: 'Exp', inputs: ['a'], outputs: ['y'] },
      ],
      outputs: ['y'],
    }
    expect(refusal(bomb).message).toMatch(/more than/)
  })

  it('answers every damaged file with a graph or a ModelError', () => {
    const whole = onnxFile(CNN)
    const random = new Xorshift32(7)
    const read = (bytes: Uint8Array) => {
      try {
        verify(readOnnx(bytes))
      } catch (error) {
        if (!(error instanceof ModelError)) throw error
      }
    }
    for (let n = 0; n < whole.length; n += 7) read(whole.subarray(0, n))
    for (let k = 0; k < 1500; k++) {
      const bytes = whole.slice()
      for (let i = random.between(1, 4); i > 0; i--) bytes[random.between(0, bytes.length - 1)] = random.next()
      read(bytes)
    }
  })

  it('refuses a file of many empty parts before it takes much memory', () => {
    const parts = new Uint8Array(300_000)
    for (let i = 0; i < parts.length; i += 2) parts[i] = 0x42
    expect(refusal(parts).message).toMatch(/far more parts/)
  })
})

it('layout is one of the passes', () => {
  expect(INFERENCE.map((p) => p.name)).toContain('layout')
})
