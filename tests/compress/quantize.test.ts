import { expect, test } from 'vitest'
import { samplesFor } from '../../src/compress/quantize/measure.ts'
import { prepare } from '../../src/compress/quantize/prepare.ts'
import { quantizeGraph } from '../../src/compress/quantize/quantize.ts'
import { toDynamic, toFloat16 } from '../../src/compress/quantize/storage.ts'
import { compile } from '../../src/emit/program.ts'
import { writeOnnx } from '../../src/export/onnx.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { readModel } from '../../src/import/read.ts'
import type { Graph, Node } from '../../src/ir/graph.ts'
import { add, mul } from '../../src/ops/binary/op.ts'
import { clamp } from '../../src/ops/clamp/op.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { concat } from '../../src/ops/shape/concat.ts'
import { pad } from '../../src/ops/shape/pad.ts'
import { reshape } from '../../src/ops/shape/reshape.ts'
import { logistic, tanh } from '../../src/ops/sigmoid/op.ts'
import { sin } from '../../src/ops/unary/op.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { reference } from '../../src/run/reference.ts'
import { FloatNet, mobile, noiseBetween, real, samplesOf } from './nets.ts'

const opsOf = (graph: Graph) => graph.nodes.map((node) => node.op.name)
const named = (graph: Graph, from: string): Node => graph.nodes.find((node) => node.from === from)!
const output = (graph: Graph) => [graph, graph.outputs[0]] as const

test('weights reach to 127 in each channel and are off by half a step at most, biases have the product of both scales', async () => {
  const net = mobile({ spread: 8 })
  const { graph } = await quantizeGraph(net, samplesOf(net, 8))
  for (const from of ['stem', 'depth', 'point', 'dense']) {
    const [x, w, b] = named(graph, from).inputs.map((v) => v!)
    const before = named(net, from).inputs[1]!
    const { scale, axis, zero } = w.type.quant!
    expect(scale.length).toBe(w.type.shape[axis!])
    expect([...zero].every((z) => z === 0)).toBe(true)
    const inner = w.type.shape.slice(axis! + 1).reduce((n, d) => n * d, 1)
    const most = new Float64Array(scale.length)
    w.data!.forEach((q: number | bigint, i: number) => {
      const c = Math.floor(i / inner) % scale.length
      most[c] = Math.max(most[c], Math.abs(Number(q)))
      expect(Math.abs(Number(q) * scale[c] - Number(before.data![i]))).toBeLessThanOrEqual(scale[c] * 0.5001)
    })
    expect([...most].every((m) => m === 127)).toBe(true)
    expect(b.type.dtype).toBe('i32')
    expect([...b.type.quant!.scale]).toEqual([...scale].map((s) => Math.fround(s * x.type.quant!.scale[0])))
  }
})

test('the int8 model answers like the float32 one, and int16 activations come nearer', async () => {
  const net = mobile()
  const samples = samplesOf(net, 24)
  const others = samplesOf(net, 12, 99)
  const int8 = await quantizeGraph(net, samples)
  const int16 = await quantizeGraph(net, samples, { activations: 'i16' })
  const of = (q: typeof int8, from: string) =>
    noiseBetween([net, named(net, from).outputs[0]], [q.graph, named(q.graph, from).outputs[0]], others)
  expect(int8.floats).toEqual([])
  expect(await of(int8, 'dense')).toBeGreaterThan(35)
  expect(await of(int16, 'stem')).toBeGreaterThan((await of(int8, 'stem')) + 3)
})

test('scales for each channel lose less than one for the tensor where channels differ', async () => {
  const net = mobile({ spread: 60 })
  const samples = samplesOf(net, 24)
  const noise = async (weights: 'per-channel' | 'per-tensor') => {
    const { graph } = await quantizeGraph(net, samples, { weights })
    return noiseBetween([net, named(net, 'dense').outputs[0]], [graph, named(graph, 'dense').outputs[0]], samples)
  }
  expect(await noise('per-channel')).toBeGreaterThan(await noise('per-tensor'))
})

test('softmax, logistic and tanh have the scales of the specification, in int8 and int16', async () => {
  const b = new FloatNet()
  const x = b.input('x', real(1, 8))
  const net = b.graph([b.one(logistic, [x], {}, { from: 'l' }), b.one(tanh, [x], {}, { from: 't' })])
  const of = async (activations: 'i8' | 'i16') =>
    (await quantizeGraph(net, samplesOf(net, 4), { activations })).graph.outputs.map(({ type }) => [
      type.quant!.scale[0],
      type.quant!.zero[0],
    ])
  expect(await of('i8')).toEqual([
    [1 / 256, -128],
    [1 / 128, 0],
  ])
  expect(await of('i16')).toEqual([
    [2 ** -15, 0],
    [2 ** -15, 0],
  ])
  const { graph } = await quantizeGraph(mobile(), samplesOf(mobile(), 2))
  expect(graph.outputs[0].type.quant).toMatchObject({ scale: Float64Array.of(1 / 256), zero: Int32Array.of(-128) })
})

test('what moves elements has the scale of what it moves, and all parts of a concatenation have one', async () => {
  const b = new FloatNet()
  const x = b.input('x', real(1, 4, 4, 2))
  const [small, large] = [b.conv('small', x, 2, 1, {}), b.conv('large', x, 2, 3, {})]
  const both = b.one(concat, [small, large], { axis: 3 }, { from: 'both' })
  const padded = b.one(pad, [both], { low: [0, 1, 0, 0], high: [0, 0, 0, 0], value: 0 }, { from: 'padded' })
  const net = b.graph([b.one(reshape, [padded], { shape: [1, 80] }, { from: 'flat' })])
  const { graph } = await quantizeGraph(net, samplesOf(net, 6))
  const scales = ['small', 'large', 'both', 'padded', 'flat'].map((n) => named(graph, n).outputs[0].type.quant!)
  expect(new Set(scales.map((q) => `${q.scale[0]} ${q.zero[0]}`)).size).toBe(1)
  expect(named(graph, 'padded').attrs.value).toBe(scales[0].zero[0])
  expect(opsOf(graph)).toEqual(['conv2d', 'conv2d', 'concat', 'pad', 'reshape'])
})

test('a limit behind a reshape gives its range to what it limits', async () => {
  const b = new FloatNet()
  const x = b.input('x', real(1, 4, 4, 2))
  const flat = b.one(reshape, [b.conv('c', x, 3, 1, {})], { shape: [16, 3] }, { from: 'flat' })
  const net = b.graph([b.one(clamp, [flat], { min: 0 }, { from: 'relu' })])
  const { graph } = await quantizeGraph(net, samplesOf(net, 6))
  expect(named(graph, 'c').outputs[0].type.quant!.zero[0]).toBe(-128)
  expect(named(graph, 'c').outputs[0].type.quant).toEqual(named(graph, 'relu').outputs[0].type.quant)
})

test('an operator without an integer form stays float32 between dequantising and quantising, and is listed', async () => {
  const b = new FloatNet()
  const x = b.input('x', real(1, 4, 4, 2))
  const wave = b.one(sin, [b.conv('before', x, 3, 1, {})], {}, { from: 'wave' })
  const net = b.graph([b.conv('after', wave, 2, 1, {})])
  const { graph, floats } = await quantizeGraph(net, samplesOf(net, 6))
  expect(opsOf(graph)).toEqual(['conv2d', 'dequantize', 'sin', 'quantize', 'conv2d'])
  expect(floats.map((f) => [f.node.from, f.reason])).toEqual([['wave', 'has no integer form']])
})

test('inputs and outputs may stay float32', async () => {
  const net = mobile()
  const { graph } = await quantizeGraph(net, samplesOf(net, 4), { io: 'float' })
  expect([graph.inputs[0].type.dtype, graph.outputs[0].type.dtype]).toEqual(['f32', 'f32'])
  expect([opsOf(graph)[0], opsOf(graph).at(-1)]).toEqual(['quantize', 'dequantize'])
})

test('a layer without weights to speak of keeps its bias to eight digits', async () => {
  const b = new FloatNet()
  const x = b.input('x', real(1, 2, 2, 2))
  const w = b.const('w', real(2, 1, 1, 2), Float32Array.of(0, 0, 0.5, -0.25))
  const bias = b.const('b', real(2), Float32Array.of(0.7, 3))
  const attrs = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, clamp: {} }
  const net = b.graph([b.one(conv2d, [x, w, bias], attrs, { from: 'c' })])
  const { graph } = await quantizeGraph(net, samplesOf(net, 4))
  const { data, type } = named(graph, 'c').inputs[2]!
  expect(Number(data![0]) * type.quant!.scale[0]).toBeCloseTo(0.7, 7)
  expect(await noiseBetween(output(net), output(graph), samplesOf(net, 4))).toBeGreaterThan(40)
})

test('factors and shifts of batch normalisation go into the convolution', async () => {
  const b = new FloatNet()
  const x = b.input('x', real(1, 4, 4, 2))
  const factor = b.const('factor', real(3), b.numbers(3, 2))
  const scaled = b.one(mul, [b.conv('c', x, 3, 3, {}), factor], { clamp: {} }, { from: 'factor' })
  const shifted = b.one(add, [scaled, b.const('shift', real(3), b.numbers(3, 1))], { clamp: {} }, { from: 'shift' })
  const net = b.graph([b.one(clamp, [shifted], { min: 0, max: 6 }, { from: 'relu6' })])
  const folded = prepare(net)
  expect(opsOf(folded)).toEqual(['conv2d'])
  expect(await noiseBetween(output(net), output(folded), samplesOf(net, 4))).toBeGreaterThan(100)
})

test('a model of int8 weights and float32 activations becomes real, and then integers', async () => {
  const net = mobile({ channels: 40 })
  const { graph, floats } = toDynamic(net, true)
  expect(opsOf(graph)).toContain('hybrid_conv2d')
  expect(floats.map((f) => f.node.from)).toEqual(['depth', 'dense'])
  const q = await quantizeGraph(graph, samplesOf(net, 6))
  expect(opsOf(q.float).filter((op) => op.includes('hybrid') || op.includes('dynamic'))).toEqual([])
  expect(opsOf(q.graph).sort()).toEqual(opsOf((await quantizeGraph(net, samplesOf(net, 6))).graph).sort())
})

test('int8, int16, int4, float16 and dynamic models are read back from .tflite with the same bits', async () => {
  const net = mobile({ spread: 3, channels: 40 })
  const samples = samplesOf(net, 6)
  const int4 = (await quantizeGraph(net, samples, { weightBits: 4 })).graph
  const graphs = [
    (await quantizeGraph(net, samples)).graph,
    (await quantizeGraph(net, samples, { activations: 'i16' })).graph,
    int4,
    toFloat16(net).graph,
    toDynamic(net, true).graph,
  ]
  for (const graph of graphs) {
    const inputs = samplesFor(graph, samples).inputs(1)
    const expected = reference(graph).run(inputs)
    expect((await instantiate(compile(graph))).run(inputs)).toEqual(expected)
    expect((await instantiate(compile(readModel(writeTflite(graph))))).run(inputs)).toEqual(expected)
  }
  expect(opsOf(graphs[3]).filter((op) => op === 'cast').length).toBe(10)
  const sizes = graphs.map((graph) => writeTflite(graph).length)
  expect(sizes[2]).toBeLessThan(sizes[0])
  const stored = (graph: Graph, from: string) => named(graph, from).inputs[1]!
  expect(Math.max(...Array.from(stored(int4, 'point').data as Int8Array, Math.abs))).toBe(7)
  const bits = (graph: Graph) => graph.nodes.map((node) => node.inputs[1]?.type.quant?.bits)
  expect(stored(int4, 'point').type.quant!.bits).toBe(4)
  expect(stored(int4, 'depth').type.quant!.bits).toBeUndefined()
  expect(bits(readModel(writeTflite(int4)))).toEqual(bits(int4))
})

test('a float16 model with a fully connected layer is read back from .onnx with the same bits', async () => {
  const { graph } = toFloat16(mobile())
  const samples = samplesOf(graph, 2)
  const ended = reference(graph).run(samples.inputs(1))
  expect(opsOf(graph)).toContain('fully_connected')
  expect(reference(readModel(writeOnnx(graph))).run(samples.inputs(1))).toEqual(ended)
})

test('a model in ONNX arithmetic is read back from .onnx with the same bits', async () => {
  const net = mobile()
  const samples = samplesOf(net, 6)
  const { graph, floats } = await quantizeGraph(net, samples, { arithmetic: 'onnx' })
  const inputs = samplesFor(graph, samples).inputs(2)
  const back = readModel(writeOnnx(graph))
  expect((await instantiate(compile(back))).run(inputs)).toEqual(reference(graph).run(inputs))
  expect(floats.map((f) => f.node.op.name)).toEqual(['average_pool2d', 'softmax'])
})

test('a model without float32 layers, and samples that make NaN, are refused', async () => {
  const net = mobile()
  const { graph } = await quantizeGraph(net, samplesOf(net, 2))
  await expect(quantizeGraph(graph, samplesOf(net, 2))).rejects.toThrow('has no layer in float32 that can be quantised')
  const wrong = { count: 1, inputs: () => [new Float32Array(192).fill(Number.NaN)] }
  await expect(quantizeGraph(net, wrong)).rejects.toThrow('sample 0: makes "picture" NaN or infinite')
})
