// Draws the memory of two nets over time, as `mote inspect --html` does, and writes docs/pictures/*.svg.
//
//   npm run docs:pictures

import { mkdirSync, writeFileSync } from 'node:fs'
import { demoNet } from '../dist/cli/demo_net.js'
import { Builder, ops } from '../dist/index.js'
import { reportOf } from '../dist/report/report.js'
import { timelineSvg } from '../dist/report/timeline.js'
import { targetOf } from '../dist/targets/index.js'

const window = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], clamp: { min: 0 } }
const same = { ...window, pad: [1, 1, 1, 1] }

/** float32, weights zero: a convolution and three depthwise-separable blocks, the last two with a sum around them. */
function separable() {
  const b = new Builder('separable')
  const zeros = (name, shape) =>
    b.const(name, { dtype: 'f32', shape }, new Float32Array(shape.reduce((n, d) => n * d, 1)))
  const conv = (x, from, channels, size, window) => {
    const w = zeros(`${from}/weight`, [channels, size, size, x.type.shape[3]])
    return b.one(ops.conv2d, [x, w], { ...window, groups: 1 }, { from })
  }
  const block = (x, from, channels, window) => {
    const w = zeros(`${from}/depthwise/weight`, [1, 3, 3, x.type.shape[3]])
    const filtered = b.one(ops.depthwiseConv2d, [x, w], window, { from: `${from}/depthwise` })
    return conv(filtered, `${from}/pointwise`, channels, 1, { ...same, pad: [0, 0, 0, 0] })
  }
  const around = (x, from) =>
    b.one(ops.add, [x, block(x, from, x.type.shape[3], same)], { clamp: {} }, { from: `${from}/sum` })
  const half = { ...window, stride: [2, 2], pad: [0, 0, 1, 1] }
  const picture = b.input('picture', { dtype: 'f32', shape: [1, 32, 32, 3] })
  const first = block(conv(picture, 'stem', 8, 3, half), 'block_1', 16, half)
  const last = around(around(first, 'block_2'), 'block_3')
  const pooled = b.one(ops.mean, [last], { axes: [1, 2], keepDims: false }, { from: 'pool' })
  const scores = zeros('scores/weight', [10, 16])
  return b.graph([b.one(ops.fullyConnected, [pooled, scores], { keepDims: false, clamp: {} }, { from: 'scores' })])
}

const folder = new URL('pictures/', import.meta.url)
mkdirSync(folder, { recursive: true })
for (const [name, graph] of Object.entries({ demo: demoNet(), separable: separable() })) {
  const { plan } = reportOf(graph, targetOf('c'))
  const file = new URL(`${name}.svg`, folder)
  writeFileSync(file, timelineSvg(plan))
  console.log(`docs/pictures/${name}.svg: ${plan.layers.length} layers, ${plan.arenaBytes} bytes`)
}
