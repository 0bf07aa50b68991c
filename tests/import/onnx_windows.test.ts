// Windows of any number of dimensions, against loops over all coordinates.

import { describe, expect, it } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { readOnnx } from '../../src/import/onnx.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { count } from '../../src/loops/ir.ts'
import { reference } from '../../src/run/reference.ts'
import { type FileNode, floats, onnxFile } from '../support/onnx_file.ts'

interface Windows {
  readonly kernel_shape: number[]
  readonly strides: number[]
  readonly dilations: number[]
  readonly pads: number[]
}

function values(n: number, seed: number): number[] {
  const random = new Xorshift32(seed)
  return Array.from({ length: n }, () => random.between(-32, 32) / 8)
}

/** All coordinates in `shape`, the last axis fastest. */
function* coordinates(shape: readonly number[]): Generator<number[]> {
  for (let i = 0; i < count(shape); i++) yield shape.map((e, d) => Math.floor(i / count(shape.slice(d + 1))) % e)
}

const offset = (at: readonly number[], shape: readonly number[]) => at.reduce((sum, v, d) => sum * shape[d] + v, 0)

function outputs(extent: readonly number[], w: Windows): number[] {
  return extent.map((e, d) => {
    const span = (w.kernel_shape[d] - 1) * w.dilations[d] + 1
    return Math.floor((e + w.pads[d] + w.pads[d + extent.length] - span) / w.strides[d]) + 1
  })
}

/** For each window its taps, and where in the image each of them is; undefined in the padding. */
function* windows(extent: readonly number[], w: Windows) {
  for (const o of coordinates(outputs(extent, w))) {
    const taps: { tap: number[]; at: number[] | undefined }[] = []
    for (const tap of coordinates(w.kernel_shape)) {
      const at = tap.map((k, d) => o[d] * w.strides[d] - w.pads[d] + k * w.dilations[d])
      taps.push({ tap, at: at.every((v, d) => v >= 0 && v < extent[d]) ? at : undefined })
    }
    yield taps
  }
}

const CASES: readonly [string, number[], Windows][] = [
  ['three', [4, 5, 6], { kernel_shape: [2, 3, 2], strides: [1, 2, 2], dilations: [2, 1, 1], pads: [1, 0, 1, 0, 1, 0] }],
  [
    'four',
    [3, 4, 2, 5],
    { kernel_shape: [2, 2, 1, 3], strides: [1, 2, 1, 1], dilations: [1, 1, 1, 2], pads: [0, 1, 0, 1, 1, 0, 0, 1] },
  ],
  ['two', [5, 4], { kernel_shape: [3, 2], strides: [2, 1], dilations: [1, 2], pads: [1, 0, 1, 1] }],
  ['one', [7], { kernel_shape: [3], strides: [2], dilations: [2], pads: [1, 2] }],
]

function run(
  node: FileNode,
  dims: readonly number[],
  x: readonly number[],
  constants: Parameters<typeof floats>[] = [],
) {
  const g = readOnnx(
    onnxFile({
      inputs: [{ name: 'x', dims }],
      constants: constants.map((c) => floats(...c)),
      nodes: [node],
      outputs: node.outputs,
    }),
  )
  return { data: reference(g).run([Float32Array.from(x)]), shape: g.outputs[0].type.shape }
}

describe.each(CASES)('windows over %s axes', (_, extent, w) => {
  const dims = [2, 4, ...extent]
  const plane = count(extent)
  const x = values(count(dims), extent.length)
  const planes = Array.from({ length: 8 }, (_, p) => x.slice(p * plane, (p + 1) * plane))
  const inside = (image: readonly number[]) =>
    [...windows(extent, w)].map((taps) => taps.flatMap(({ at }) => (at ? [image[offset(at, extent)]] : [])))

  it.each<[string, FileNode['attrs'], (v: readonly number[]) => number]>([
    ['AveragePool', {}, (v) => v.reduce((s, e) => s + e, 0) / v.length],
    ['AveragePool', { count_include_pad: 1 }, (v) => v.reduce((s, e) => s + e, 0) / count(w.kernel_shape)],
    ['MaxPool', {}, (v) => Math.max(...v)],
    ['LpPool', { p: 1 }, (v) => v.reduce((s, e) => s + Math.abs(e), 0)],
    ['LpPool', { p: 2 }, (v) => Math.sqrt(v.reduce((s, e) => s + e * e, 0))],
  ])('%s %o takes each window as a whole', (op, attrs, of) => {
    const { data, shape } = run({ op, inputs: ['x'], outputs: ['y'], attrs: { ...w, ...attrs } }, dims, x)
    const expected = planes.flatMap((image) => inside(image).map(of))
    expect(shape).toEqual([2, 4, ...outputs(extent, w)])
    expect(data[0].length).toBe(expected.length)
    expected.forEach((e, i) => {
      expect(data[0][i]).toBeCloseTo(e, 4)
    })
  })

  it.each([0, 1])('MaxPool says where the first maximum is, storage_order %i', (storage_order) => {
    const node = { op: 'MaxPool', inputs: ['x'], outputs: ['y', 'i'], attrs: { ...w, storage_order } }
    const { data } = run(node, dims, x)
    const expected = planes.flatMap((image, p) =>
      [...windows(extent, w)].map((taps) => {
        const places = taps.flatMap(({ at }) => (at ? [at] : []))
        const most = Math.max(...places.map((at) => image[offset(at, extent)]))
        const at = places.find((a) => image[offset(a, extent)] === most)!
        const turned = storage_order ? offset(at.toReversed(), extent.toReversed()) : offset(at, extent)
        return BigInt(p * plane + turned)
      }),
    )
    expect([...data[1]]).toEqual(expected)
  })

  it.each([1, 2, 4])('Conv of %i groups sums over each window and the channels of its group', (group) => {
    const [O, CG] = [8, 4 / group]
    const weights = values(O * CG * count(w.kernel_shape), 77)
    const bias = values(O, 5)
    const { kernel_shape, ...attrs } = w
    const node = { op: 'Conv', inputs: ['x', 'w', 'b'], outputs: ['y'], attrs: { ...attrs, group } }
    const { data, shape } = run(node, dims, x, [
      ['w', [O, CG, ...kernel_shape], weights],
      ['b', [O], bias],
    ])
    const expected = [0, 1].flatMap((n) =>
      bias.flatMap((b, o) =>
        [...windows(extent, w)].map((taps) =>
          taps.reduce((sum, { tap, at }) => {
            if (!at) return sum
            for (let c = 0; c < CG; c++) {
              const image = planes[n * 4 + Math.floor(o / (O / group)) * CG + c]
              sum += image[offset(at, extent)] * weights[(o * CG + c) * count(kernel_shape) + offset(tap, kernel_shape)]
            }
            return sum
          }, b),
        ),
      ),
    )
    expect(shape).toEqual([2, O, ...outputs(extent, w)])
    expect(data[0].length).toBe(expected.length)
    expected.forEach((e, i) => {
      expect(data[0][i]).toBeCloseTo(e, 3)
    })
  })
})

it.each([
  ['MaxPool', ['y', 'i'], { kernel_shape: [2, 2, 2], strides: [0, 1, 1] }],
  ['MaxPool', ['y', 'i'], { kernel_shape: [2, 2, 2], pads: [1e6, 1e6, 1e6, 1e6, 1e6, 1e6] }],
  ['MaxPool', ['y'], { kernel_shape: [2, 2, 2], strides: [0, 1, 1] }],
  ['Conv', ['y'], { strides: [0, 1, 1] }],
  ['Conv', ['y'], { dilations: [-1, 1, 1] }],
  ['Conv', ['y'], { pads: [-1, 0, 0, 0, 0, 0] }],
])('%s %j of %j is refused', (op, names, attrs) => {
  const inputs = op === 'Conv' ? ['x', 'w'] : ['x']
  const weights: Parameters<typeof floats> = ['w', [1, 1, 2, 2, 2], values(8, 1)]
  const image = values(27, 1)
  expect(() => run({ op, inputs, outputs: names, attrs }, [1, 1, 3, 3, 3], image, [weights])).toThrow(ModelError)
})
