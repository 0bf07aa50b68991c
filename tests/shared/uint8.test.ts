import { expect, test } from 'vitest'
import type { Node, Value } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Data } from '../../src/loops/ir.ts'
import type { Window } from '../../src/ops/window.ts'
import { describeShared, sharedModel } from './shared.ts'

/** The real numbers that stored ones mean; biases have the product of the scales. */
function reals(v: Value, data: Data, scale = v.type.quant!.scale[0]): Float64Array {
  const zero = v.type.dtype === 'i32' ? 0 : v.type.quant!.zero[0]
  return Float64Array.from(data as ArrayLike<number | bigint>, (x) => (Number(x) - zero) * scale)
}

/** How far the stored outputs of a convolution are from its real ones, in steps, on every seventh pixel. */
function worstOf(node: Node, inputs: readonly Data[], stored: Int8Array): number {
  const [x, w, b] = node.inputs as Value[]
  const { stride, pad, clamp } = node.attrs as Window & { clamp: { min?: number; max?: number } }
  const [X, W] = [reals(x, inputs[0]), reals(w, inputs[1])]
  const B = reals(b, inputs[2], x.type.quant!.scale[0] * w.type.quant!.scale[0])
  const [, H, IW, C] = x.type.shape
  const [, KH, KW] = w.type.shape
  const y = node.outputs[0].type
  const [, OH, OW, O] = y.shape
  const depthwise = node.op.name === 'depthwise_conv2d'
  let worst = 0
  for (let pixel = 0; pixel < OH * OW; pixel += 7)
    for (let o = 0; o < O; o++) {
      const [oh, ow] = [Math.floor(pixel / OW), pixel % OW]
      let sum = B[o]
      for (let kh = 0; kh < KH; kh++)
        for (let kw = 0; kw < KW; kw++) {
          const [ih, iw] = [oh * stride[0] + kh - pad[0], ow * stride[1] + kw - pad[1]]
          if (ih < 0 || iw < 0 || ih >= H || iw >= IW) continue
          if (depthwise) sum += X[(ih * IW + iw) * C + Math.floor((o * C) / O)] * W[(kh * KW + kw) * O + o]
          else for (let c = 0; c < C; c++) sum += X[(ih * IW + iw) * C + c] * W[((o * KH + kh) * KW + kw) * C + c]
        }
      const limited = Math.min(
        clamp.max ?? Number.POSITIVE_INFINITY,
        Math.max(clamp.min ?? Number.NEGATIVE_INFINITY, sum),
      )
      const exact = limited / y.quant!.scale[0] + y.quant!.zero[0]
      worst = Math.max(worst, Math.abs(Math.min(127, Math.max(-128, exact)) - stored[pixel * O + o]))
    }
  return worst
}

describeShared('a model in uint8, weights with zero points', () => {
  test('keeps its uint8 inputs and outputs, and every convolution is within a step of the real one', () => {
    const graph = sharedModel('models/coral/mobilenet_v1_0.25_128_quant.tflite')
    expect([...graph.inputs, ...graph.outputs].map((v) => v.type.dtype)).toEqual(['u8', 'u8'])
    const random = new Xorshift32(1)
    const data = new Map<Value, Data>(graph.inputs.map((v) => [v, random.fill(v.type)]))
    let convolutions = 0
    for (const node of graph.nodes) {
      const inputs = node.inputs.map((v) => (data.get(v!) ?? v!.data)!)
      const outputs = node.op.eval(node, inputs)
      for (const [i, v] of node.outputs.entries()) data.set(v, outputs[i])
      if (!/conv2d$/.test(node.op.name)) continue
      convolutions++
      expect(worstOf(node, inputs, outputs[0] as Int8Array), node.from).toBeLessThan(1)
    }
    expect(convolutions).toBe(28)
  })
})
