// Int8 layers side by side, each with an image of its own: what the machines' recipes are tried on.

import { quantOf, type Value } from '../../src/ir/graph.ts'
import { type CaseBuilder, i8 } from '../../src/ops/case.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { fullyConnected } from '../../src/ops/fully_connected/op.ts'

/** Functions that append one layer each to `b`, of random weights; `outputs` collects their results. Images are [h, w, c]. */
export function layersOf(b: CaseBuilder) {
  const outputs: Value[] = []
  let n = 0
  const image = (h: number, w: number, c: number) => b.input(`x${n}`, i8([1, h, w, c], 0.05, -3 + n))
  const quant = (relu: boolean) => ({ quant: quantOf(0.11, relu ? -128 : 9) })
  const conv = (
    [h, w, c]: number[],
    [kh, kw]: number[],
    channels: number,
    { stride = 1, pad = [0, 0, 0, 0], relu = true, dilation = 1, zero = 0 } = {},
  ) => {
    const from = `conv${n++}`
    const plain = b.weights(`${from}/w`, [channels, kh, kw, c], 0.004, 0)
    const weight = zero ? b.const(`${from}/w`, i8(plain.type.shape, 0.004, zero), plain.data!) : plain
    const attrs = { stride: [stride, stride], dilation: [dilation, 1], pad, groups: 1, clamp: relu ? { min: 0 } : {} }
    outputs.push(
      b.one(conv2d, [image(h, w, c), weight, b.bias(`${from}/b`, channels, 900)], attrs, { ...quant(relu), from }),
    )
  }
  const depthwise = (
    [h, w, c]: number[],
    [kh, kw]: number[],
    { stride = 1, pad = [0, 0, 0, 0], relu = true, zero = 0 } = {},
  ) => {
    const from = `depthwise${n++}`
    const plain = b.weights(`${from}/w`, [1, kh, kw, c], 0.02, 3)
    const weight = zero ? b.const(`${from}/w`, i8(plain.type.shape, 0.02, zero), plain.data!) : plain
    const attrs = { stride: [stride, stride], dilation: [1, 1], pad, clamp: relu ? { min: 0 } : {} }
    outputs.push(
      b.one(depthwiseConv2d, [image(h, w, c), weight, b.bias(`${from}/b`, c, 900)], attrs, { ...quant(relu), from }),
    )
  }
  const dense = (inputs: number, channels: number, relu = false) => {
    const from = `dense${n}`
    const x = b.input(`x${n++}`, i8([1, inputs], 0.05, 4))
    const weight = b.weights(`${from}/w`, [channels, inputs], 0.01)
    const attrs = { keepDims: false, clamp: relu ? { min: 0 } : {} }
    outputs.push(
      b.one(fullyConnected, [x, weight, b.bias(`${from}/b`, channels, 500)], attrs, { ...quant(relu), from }),
    )
  }
  return { conv, depthwise, dense, outputs }
}
