import { describe, expect, it } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { readOnnx } from '../../src/import/onnx.ts'
import { reference } from '../../src/run/reference.ts'
import { type FileFunction, type FileGraph, type FileNode, floats, onnxFile } from '../support/onnx_file.ts'

const OWN = 'my.functions'
const call = (op: string, inputs: string[], outputs: string[], attrs?: FileNode['attrs']): FileNode => ({
  op,
  domain: OWN,
  name: `call_${outputs[0]}`,
  inputs,
  outputs,
  ...(attrs && { attrs }),
})
const own = (name: string, rest: Omit<FileFunction, 'name' | 'domain'>): FileFunction => ({
  name,
  domain: OWN,
  ...rest,
})

/** x + y, and the negative of it made flat at `axis`. */
const FLATTEN = own('AddAndFlatten', {
  inputs: ['x', 'y'],
  outputs: ['flat_negative', 'both'],
  defaults: { axis: 0 },
  nodes: [
    { op: 'Add', inputs: ['x', 'y'], outputs: ['both'] },
    { op: 'Flatten', inputs: ['both'], outputs: ['flat'], attrs: { axis: { ref: 'axis' } } },
    { op: 'Neg', inputs: ['flat'], outputs: ['flat_negative'] },
  ],
})

const graph = (nodes: readonly FileNode[], outputs: readonly string[]): FileGraph => ({
  inputs: [{ name: 'x', dims: [2, 3] }],
  constants: [floats('c', [3], [10, 20, 30])],
  nodes,
  outputs,
})

function refusal(file: Uint8Array): ModelError {
  try {
    readOnnx(file)
  } catch (error) {
    if (error instanceof ModelError) return error
    throw error
  }
  throw new Error('was read')
}

describe("functions of a model's own", () => {
  it('stand where they are called, with the names of the caller outside and their own inside', () => {
    const g = readOnnx(
      onnxFile(
        graph(
          [call('AddAndFlatten', ['x', 'c'], ['a']), call('AddAndFlatten', ['x', 'x'], ['b', 'd'], { axis: 1 })],
          ['a', 'b', 'd'],
        ),
        17,
        [FLATTEN],
      ),
    )
    expect(g.outputs.map((v) => v.name)).toEqual(['a', 'b', 'd'])
    expect(g.outputs.map((v) => v.type.shape)).toEqual([
      [1, 6],
      [2, 3],
      [2, 3],
    ])
    expect(g.nodes.map((n) => n.outputs[0].name)).toEqual(['call_a/both', 'call_a/flat', 'a', 'd', 'call_b/flat', 'b'])
    const [a, b, d] = reference(g).run([Float32Array.of(1, 2, 3, 4, 5, 6)])
    expect([...a]).toEqual([-11, -22, -33, -14, -25, -36])
    expect([...b]).toEqual([-2, -4, -6, -8, -10, -12])
    expect([...d]).toEqual([2, 4, 6, 8, 10, 12])
  })

  it('call each other, may leave inputs out, and return an input as it is', () => {
    const limited = own('Limited', {
      inputs: ['v', 'low', 'high'],
      outputs: ['w', 'v'],
      nodes: [{ op: 'Clip', inputs: ['v', 'low', 'high'], outputs: ['w'] }],
    })
    const outer = own('Outer', {
      inputs: ['x', 'high'],
      outputs: ['y', 'z'],
      nodes: [call('Limited', ['x', '', 'high'], ['y', 'z'])],
    })
    const file: FileGraph = {
      ...graph([call('Outer', ['x', 'limit'], ['y', 'same'])], ['y', 'same']),
      constants: [floats('limit', [], [2])],
    }
    const g = readOnnx(onnxFile(file, 17, [limited, outer]))
    const [y, same] = reference(g).run([Float32Array.of(-5, 0, 1, 2, 3, 4)])
    expect([...y]).toEqual([-5, 0, 1, 2, 2, 2])
    expect([...same]).toEqual([-5, 0, 1, 2, 3, 4])
  })

  it('are refused where they call themselves, in a line or in a tree', () => {
    const line = own('F', { inputs: ['x'], outputs: ['y'], nodes: [call('F', ['x'], ['y'])] })
    const deep = refusal(onnxFile(graph([call('F', ['x'], ['y'])], ['y']), 17, [line]))
    expect(deep.message).toMatch(/calls functions 32 deep/)
    const tree = Array.from({ length: 24 }, (_, i) =>
      own(`F${i}`, {
        inputs: ['x'],
        outputs: ['y'],
        nodes:
          i === 0
            ? [{ op: 'Neg', inputs: ['x'], outputs: ['y'] }]
            : [call(`F${i - 1}`, ['x'], ['a']), call(`F${i - 1}`, ['a'], ['y'])],
      }),
    )
    const wide = refusal(onnxFile(graph([call('F23', ['x'], ['y'])], ['y']), 17, tree))
    expect(wide.message).toMatch(/beyond 65536/)
  })

  it('are refused where they hold an operator that is not known, and only if they are called', () => {
    const strange = own('F', {
      inputs: ['x'],
      outputs: ['y'],
      nodes: [{ op: 'Strange', inputs: ['x'], outputs: ['y'] }],
    })
    expect(refusal(onnxFile(graph([call('F', ['x'], ['y'])], ['y']), 17, [strange])).message).toMatch(/Strange/)
    expect(() =>
      readOnnx(onnxFile(graph([{ op: 'Neg', inputs: ['x'], outputs: ['y'] }], ['y']), 17, [strange])),
    ).not.toThrow()
  })
})
