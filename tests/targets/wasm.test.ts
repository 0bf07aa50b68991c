import { describe, expect, test } from 'vitest'
import { emitWasm } from '../../src/emit/wasm/module.ts'
import { quantOf, type TensorType } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { requant } from '../../src/loops/arith.ts'
import { add, mul } from '../../src/ops/binary/op.ts'
import { CaseBuilder, i8 } from '../../src/ops/case.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { makePlan } from '../../src/plan/make.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { instantiateWasm } from '../../src/run/wasm.ts'
import type { Channel } from '../../src/targets/armv7em/requantize.ts'
import { targetOf } from '../../src/targets/index.ts'
import { type Form, formOf } from '../../src/targets/wasm/requantize.ts'
import { hashOf } from '../support/bits.ts'
import { layersOf } from '../support/layers.ts'

const MAX = 2 ** 31 - 1

const floatCell = new Float32Array(1)
const intCell = new Int32Array(floatCell.buffer)

/** What four lanes of float32 make of a sum, saturated. */
function inFloats(a: number, { gain, signed, channels }: Form, c: number): number {
  const { offset, scale, magic, negative } = channels[c]!
  const sum = gain * a + offset
  if (Math.abs(sum) > MAX) expect.fail(`${sum} does not fit 32 bits`)
  const whole = signed && sum < 0 ? sum + negative : sum
  floatCell[0] = Math.fround(Math.fround(whole) * scale) + magic
  return Math.max(-128, Math.min(127, intCell[0] - 0x4b400000))
}

describe('the requantisation in floats', () => {
  const random = new Xorshift32(12)
  const channel = (shift: number, range: number): Channel => ({
    low: -range,
    high: range,
    multiplier: random.between(2 ** 30, MAX),
    shift,
  })

  test.each([
    ['a ReLU', -128, -128],
    ['a ReLU6', -128, 90],
    ['a zero point inside', 7, 127],
    ['the highest zero point', 127, 127],
  ])('is the specified one for every sum, with %s', (_, zero, high) => {
    const channels = [0, -1, -2, -5, -6, -7, -8, -8, -9, -9, -10, -11].map((shift) => channel(shift, 30_000))
    const form = formOf(channels, { zero, low: -128, high })!
    const proved = [...channels.keys()].filter((c) => form.channels[c])
    expect(proved.length).toBeGreaterThan(8)
    for (const c of proved) {
      const { low, high: most, multiplier, shift } = channels[c]
      for (let a = low; a <= most; a++) {
        const specified = Math.max(-128, Math.min(high, requant(a, multiplier, shift) + zero))
        const got = Math.min(high, inFloats(a, form, c))
        if (got !== specified) expect.fail(`channel ${c}, sum ${a}: ${got}, not ${specified}`)
      }
    }
  })

  test('needs no bound for channels whose output never changes', () => {
    const dead = { low: 2 ** 30 + 1, high: 2 ** 31 - 1, multiplier: 2 ** 30, shift: 0 }
    const form = formOf([channel(-7, 60_000), dead], { zero: -128, low: -128, high: 127 })!
    expect(form.gain).toBe(256)
    expect(form.channels[1]).toMatchObject({ scale: 0, magic: 1.5 * 2 ** 23 + 127 })
  })

  test('is refused where a sum that is scaled up wraps', () => {
    expect(formOf([channel(12, 2 ** 20)], { zero: 0, low: -128, high: 127 })!.channels).toEqual([undefined])
  })

  test('scales large sums up by less, and is refused where they may wrap', () => {
    expect(formOf([channel(-15, 2 ** 25)], { zero: 0, low: -128, high: 127 })!.gain).toBe(32)
    expect(formOf([channel(-15, 2 ** 31 + 5)], { zero: 0, low: -128, high: 127 })).toBeUndefined()
  })
})

/** Layers of many shapes side by side, each an output of its own. */
function shapes() {
  const b = new CaseBuilder('shapes', 22)
  const { conv, depthwise, dense, outputs } = layersOf(b)
  conv([4, 4, 8], [1, 1], 6)
  conv([3, 3, 16], [1, 1], 7, { relu: false })
  conv([5, 1, 4], [1, 1], 8, { relu: false })
  conv([6, 7, 3], [3, 3], 8, { pad: [1, 1, 1, 1], stride: 2 })
  conv([5, 6, 3], [3, 3], 16, { pad: [1, 1, 1, 1] })
  conv([5, 5, 8], [3, 3], 5, { pad: [1, 1, 1, 1], relu: false })
  conv([9, 4, 1], [5, 4], 12, { pad: [2, 1, 2, 2], stride: 2 })
  conv([2, 2, 48], [2, 2], 4)
  conv([3, 3, 40], [1, 1], 12, { relu: false })
  conv([3, 3, 128], [1, 1], 20)
  conv([1, 2, 95], [1, 1], 10, { relu: false })
  conv([1, 5, 120], [1, 1], 9)
  conv([4, 3, 6], [1, 1], 5)
  conv([2, 3, 144], [1, 1], 16, { relu: false })
  conv([8, 8, 16], [3, 3], 16, { pad: [1, 1, 1, 1], relu: false })
  conv([40, 37, 16], [3, 3], 8, { pad: [1, 1, 1, 1] })
  conv([19, 18, 6], [3, 3], 8, { pad: [0, 0, 1, 1], stride: 2 })
  conv([7, 6, 16], [1, 1], 8, { stride: 2 })
  conv([37, 40, 12], [1, 1], 8)
  conv([29, 30, 20], [1, 1], 8, { stride: 2 })
  conv([12, 1, 5], [4, 1], 4, { pad: [1, 0, 2, 0] })
  dense(640, 8)
  dense(130, 6)
  dense(64, 12)
  dense(10, 5, true)
  depthwise([6, 6, 8], [3, 3], { pad: [1, 1, 1, 1] })
  depthwise([7, 9, 4], [3, 3], { pad: [0, 0, 1, 1], stride: 2, relu: false })
  depthwise([8, 8, 6], [5, 5], { pad: [2, 2, 2, 2] })
  depthwise([8, 10, 4], [7, 7], { pad: [3, 3, 3, 3], relu: false })
  depthwise([5, 3, 4], [2, 4], { pad: [0, 1, 1, 2] })
  depthwise([12, 1, 8], [4, 1])
  depthwise([1, 12, 9], [1, 4], { pad: [0, 1, 0, 2] })
  depthwise([6, 6, 4], [6, 6])
  depthwise([3, 3, 8], [3, 3], { pad: [1, 1, 1, 1], relu: false })
  depthwise([9, 9, 7], [3, 3], { pad: [0, 0, 1, 1], stride: 2 })
  depthwise([15, 1, 16], [10, 1])
  depthwise([40, 41, 24], [3, 3], { pad: [1, 1, 1, 1] })
  depthwise([41, 40, 24], [3, 3], { pad: [1, 1, 1, 1], stride: 2 })
  depthwise([11, 40, 12], [5, 5], { pad: [2, 2, 2, 2], stride: 2, relu: false })
  depthwise([10, 7, 4], [6, 6], { pad: [2, 2, 3, 3], relu: false })
  depthwise([5, 5, 5], [7, 7], { pad: [3, 3, 3, 3] })
  depthwise([20, 9, 5], [8, 2], { stride: 2 })
  depthwise([4, 11, 5], [2, 2], { stride: 3 })
  depthwise([8, 3, 8], [1, 1], { stride: 3 })
  conv([6, 6, 16], [1, 1], 200)
  depthwise([5, 5, 400], [5, 5], { pad: [2, 2, 2, 2], relu: false })
  const image = b.input('image', i8([1, 7, 6, 8], 0.05, 5))
  const window = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1], clamp: { max: 3 } }
  const convolved = (from: string, scaling: object) => {
    const w = b.asymmetricWeights(`${from}/w`, [12, 3, 3, 8], 0.004, 37)
    const d = b.asymmetricWeights(`${from}/d`, [1, 3, 3, 8], 0.02, -50)
    const [own, of] = [{ quant: quantOf(0.11, 5) }, { ...window, ...scaling }]
    outputs.push(b.one(conv2d, [image, w, b.bias(`${from}/b`, 12, 900)], { ...of, groups: 1 }, { ...own, from }))
    outputs.push(b.one(depthwiseConv2d, [image, d], of, { ...own, from: `${from} by channel` }))
  }
  convolved('weights with a zero point', {})
  convolved('scaled in floats', { scaling: 'float' })
  const [large, row] = [b.input('large', i8([1, 4, 3, 19], 0.05, -7)), b.input('row', i8([1, 1, 1, 19], 0.04, 3))]
  outputs.push(b.one(mul, [large, row], { clamp: {} }, { quant: quantOf(0.021, -4), from: 'mul' }))
  const sum: TensorType = i8([1, 3, 3, 5], 0.03, 11)
  const [p, q] = [b.input('p', sum), b.input('q', i8([1, 3, 3, 5], 0.07, -20))]
  outputs.push(b.one(add, [p, q], { clamp: {} }, { quant: quantOf(0.09, 1), from: 'add' }))
  return b.graph(outputs)
}

describe('layers on WebAssembly', () => {
  const graph = shapes()
  const plan = makePlan(graph, targetOf('wasm'))
  const random = new Xorshift32(3)
  const inputs = [1, 2].map(() => graph.inputs.map((v) => random.fill(v.type)))
  const expected = inputs.map((given) => reference(graph).run(given).map(hashOf))

  test('are tiles, pairs of taps and sums in lanes', () => {
    const recipes = plan.steps.map((s) => `${s.node.from} ${s.recipe}`)
    expect(recipes.filter((r) => !/of dot|of taps|in floats/.test(r))).toEqual([])
  })

  test('are requantised as specified where no float form is proved', () => {
    const exact = plan.steps.filter(({ call, node }) => {
      const words = call.args.flatMap((arg) => {
        if (!('data' in arg) || arg.made?.kernel.name !== 'ends') return []
        return [...new Uint16Array((arg.made.from[0] as Int32Array).buffer).slice(-node.outputs[0].type.shape.at(-1)!)]
      })
      return words.some((word) => (word & 1023) === 1023)
    })
    expect(new Set(exact.map((s) => s.recipe))).toEqual(new Set(['tiles of dot', 'pairs of taps']))
  })

  test('mean what the operators mean', () => {
    for (const [i, given] of inputs.entries()) expect(runPlan(plan, 0x5a).run(given).map(hashOf)).toEqual(expected[i])
  })

  test('give these bits where they run', async () => {
    const model = await instantiateWasm(emitWasm(plan), plan)
    for (const [i, given] of inputs.entries()) expect(model.run(given).map(hashOf)).toEqual(expected[i])
  })
})
