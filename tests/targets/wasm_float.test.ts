import { describe, expect, test } from 'vitest'
import { emitWasm } from '../../src/emit/wasm/module.ts'
import type { Graph, Value } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { CaseBuilder, f32 } from '../../src/ops/case.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { fullyConnected } from '../../src/ops/fully_connected/op.ts'
import { makePlan } from '../../src/plan/make.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { instantiateWasm } from '../../src/run/wasm.ts'
import { targetOf } from '../../src/targets/index.ts'
import { describeShared, sharedModel } from '../shared/shared.ts'
import { hashOf } from '../support/bits.ts'

const SPECIAL = [-0, 0, 3e38, -3e38, 1e-45, -1e-40, 1e30, 1 + 2 ** -23]

/** `data` with some of `values` strewn in. */
function strewn(data: Float32Array, values: readonly number[], every: number): Float32Array {
  return data.map((v, i) => (i % every === 0 ? values[(i / every) % values.length] : v))
}

interface Window {
  readonly stride?: number
  readonly pad?: readonly number[]
  readonly dilation?: number
  readonly clamp?: { readonly min?: number; readonly max?: number }
  readonly bias?: boolean
  /** Of all weights; the first bias is -0. */
  readonly positive?: boolean
}

/** Float32 layers side by side, each with an image of its own; `odd` values are strewn among the weights. */
function layers(name: string, odd: readonly number[] = SPECIAL) {
  const b = new CaseBuilder(name, 31)
  const outputs: Value[] = []
  let n = 0
  const constant = (of: string, shape: readonly number[], { positive }: Window = {}) => {
    const plain = b.floats(of, shape)
    const data = strewn(plain.data as Float32Array, odd, 29)
    return b.const(of, plain.type, positive ? data.map(Math.abs) : data)
  }
  const attrs = ({ stride = 1, pad = [0, 0, 0, 0], dilation = 1, clamp = { min: 0 } }: Window) => ({
    ...{ stride: [stride, stride], dilation: [dilation, dilation], pad, clamp },
  })
  const image = ([h, w, c]: number[], batch = 1) => b.input(`x${n}`, f32([batch, h, w, c]))
  const biasOf = (of: string, channels: number, { bias = true }: Window) =>
    bias ? [constant(`${of}/b`, [channels])] : []
  const conv = (shape: number[], [kh, kw]: number[], channels: number, window: Window = {}, batch = 1) => {
    const from = `conv${n}`
    const inputs = [image(shape, batch), constant(`${from}/w`, [channels, kh, kw, shape[2]], window)]
    const given = [...inputs, ...biasOf(from, channels, window)]
    outputs.push(b.one(conv2d, given, { ...attrs(window), groups: 1 }, { from }))
    n++
  }
  const depthwise = (shape: number[], [kh, kw]: number[], window: Window = {}, batch = 1) => {
    const from = `depthwise${n}`
    const inputs = [image(shape, batch), constant(`${from}/w`, [1, kh, kw, shape[2]], window)]
    outputs.push(b.one(depthwiseConv2d, [...inputs, ...biasOf(from, shape[2], window)], attrs(window), { from }))
    n++
  }
  const dense = (rows: number, inputs: number, channels: number, window: Window = {}) => {
    const from = `dense${n}`
    const given = [b.input(`x${n}`, f32([rows, inputs])), constant(`${from}/w`, [channels, inputs])]
    const own = { keepDims: false, clamp: window.clamp ?? {} }
    outputs.push(b.one(fullyConnected, [...given, ...biasOf(from, channels, window)], own, { from }))
    n++
  }
  return { conv, depthwise, dense, graph: () => b.graph(outputs) }
}

function shapes(): Graph {
  const { conv, depthwise, dense, graph } = layers('shapes')
  const [same, behind] = [
    [1, 1, 1, 1],
    [0, 0, 1, 1],
  ]
  conv([4, 4, 8], [1, 1], 6)
  conv([3, 3, 16], [1, 1], 7, { clamp: {} })
  conv([1, 1, 20], [1, 1], 37, { bias: false })
  conv([5, 1, 4], [1, 1], 8, { clamp: { min: 0, max: 6 } })
  conv([6, 7, 3], [3, 3], 8, { pad: same, stride: 2 })
  conv([12, 13, 3], [3, 3], 16, { pad: behind, stride: 2, clamp: { max: 1 } })
  conv([5, 5, 8], [3, 3], 5, { pad: same, bias: false, clamp: {} })
  conv([9, 4, 1], [5, 4], 12, { pad: [2, 1, 2, 2], stride: 2 })
  conv([8, 8, 4], [3, 3], 16)
  conv([9, 8, 6], [2, 3], 24, { stride: 2 })
  conv([7, 6, 5], [1, 1], 8, { stride: 2 })
  conv([11, 10, 5], [3, 3], 8, { dilation: 3, pad: [3, 3, 3, 3] })
  conv([9, 9, 4], [3, 2], 4, { dilation: 2, bias: false })
  conv([8, 8, 4], [3, 3], 9, { dilation: 2, stride: 2, pad: [2, 2, 1, 1] })
  conv([3, 4, 7], [3, 3], 13, { pad: same }, 2)
  conv([12, 1, 5], [4, 1], 4, { pad: [1, 0, 2, 0] })
  conv([1, 20, 6], [1, 5], 32, { pad: [0, 2, 0, 2] })
  conv([4, 3, 6], [1, 1], 40, {}, 3)
  dense(1, 64, 12)
  dense(1, 33, 70, { bias: false })
  dense(5, 10, 9, { clamp: { min: -1, max: 1 } })
  depthwise([6, 6, 8], [3, 3], { pad: same })
  depthwise([12, 30, 8], [3, 3], { pad: same, clamp: { min: 0, max: 6 } })
  depthwise([7, 29, 5], [3, 3], { pad: behind, stride: 2, bias: false })
  depthwise([9, 20, 6], [5, 5], { pad: [2, 2, 2, 2], clamp: {} })
  depthwise([11, 40, 4], [5, 5], { pad: [1, 1, 2, 2], stride: 2 })
  depthwise([8, 10, 4], [7, 7], { pad: [3, 3, 3, 3] })
  depthwise([5, 3, 4], [2, 4], { pad: [0, 1, 1, 2] })
  depthwise([12, 1, 8], [4, 1])
  depthwise([1, 12, 9], [1, 4], { pad: [0, 1, 0, 2] })
  depthwise([4, 15, 5], [2, 2], { stride: 3 })
  depthwise([6, 25, 4], [3, 3], { clamp: {} })
  depthwise([3, 17, 7], [3, 3], { pad: same }, 2)
  conv([5, 5, 4], [3, 3], 8, { pad: same, positive: true, clamp: {} })
  depthwise([5, 12, 8], [3, 3], { pad: same, positive: true, clamp: {} })
  return graph()
}

const wasm = targetOf('wasm')

async function expectSameBits(graph: Graph, inputs: readonly Float32Array[]): Promise<void> {
  const plan = makePlan(graph, wasm)
  const expected = reference(graph).run(inputs).map(hashOf)
  const model = await instantiateWasm(emitWasm(plan), plan)
  expect(model.run(inputs).map(hashOf)).toEqual(expected)
  expect(runPlan(plan, 0x5a).run(inputs).map(hashOf)).toEqual(expected)
}

function inputsOf(graph: Graph, change: (data: Float32Array) => Float32Array): Float32Array[] {
  const random = new Xorshift32(5)
  return graph.inputs.map((v) => change(random.fill(v.type) as Float32Array))
}

describe('float32 layers on WebAssembly', () => {
  const graph = shapes()

  test('are tiles and rows', () => {
    const recipes = makePlan(graph, wasm).steps.map((s) => `${s.node.from} ${s.recipe}`)
    expect(recipes.filter((r) => !/^(conv|dense)\d+ float tiles$|^depthwise\d+ float rows$/.test(r))).toEqual([])
  })

  test.each([
    ['random numbers', (data: Float32Array) => data],
    ['zeros of both signs, very small and very large numbers', (data: Float32Array) => strewn(data, SPECIAL, 3)],
    ['only -0', (data: Float32Array) => data.fill(-0)],
    ['infinities', (data: Float32Array) => strewn(data, [Number.POSITIVE_INFINITY, 1, Number.NEGATIVE_INFINITY], 7)],
    ['no numbers', (data: Float32Array) => strewn(data, [Number.NaN, 0, -0], 11)],
  ])('give the reference bits for %s', (_, change) => expectSameBits(graph, inputsOf(graph, change)))

  test('with weights that are not finite, are tiles only where nothing is padded', async () => {
    const { conv, depthwise, graph: built } = layers('not finite', [Number.POSITIVE_INFINITY, 0.5, Number.NaN])
    conv([5, 5, 4], [3, 3], 8, { pad: [1, 1, 1, 1] })
    conv([5, 5, 4], [3, 3], 8)
    depthwise([5, 20, 4], [3, 3], { pad: [1, 1, 1, 1] })
    const odd = built()
    expect(makePlan(odd, wasm).steps.map((s) => s.recipe)).toEqual(['4 lanes', 'float tiles', 'float rows'])
    await expectSameBits(
      odd,
      inputsOf(odd, (data) => data),
    )
  })
})

describeShared('float32 models on WebAssembly', () => {
  test.each([
    'mlperf_tiny/ad_autoenc_fp32.tflite',
    'mlperf_tiny/ic_resnet8_fp32.tflite',
    'mlperf_tiny/vww_mbv1_025_96_fp32.tflite',
    'onnx/esp_streaming.onnx',
    'onnx/mnist_cnn.onnx',
    'imu/magic_wand_5spells_fp32.tflite',
  ])('%s gives the reference bits', async (file) => {
    const graph = sharedModel(`models/${file}`)
    const plan = makePlan(graph, wasm)
    const random = new Xorshift32(9)
    const inputs = graph.inputs.map((v) => random.fill(v.type))
    const model = await instantiateWasm(emitWasm(plan), plan)
    expect(model.run(inputs).map(hashOf)).toEqual(reference(graph).run(inputs).map(hashOf))
  })
})
